//! Encryption of fields and keyed hashes.
//!
//! One master secret. From it HKDF (SHA-256) derives a key per purpose, and per user one with the random salt on the profile:
//! erasing the salt makes what the user's key sealed unreadable wherever a copy remains. Fields are sealed with AES-256-GCM;
//! the user's id and the field's name are authenticated with them, so a sealed value cannot be moved to another place.
//! Looking up a phone or an e-mail goes through an HMAC, so the table never shows whose it is.
//!
//! What the master secret sealed or hashed cannot be moved to another, so it stays. Tokens are short-lived, so their keys
//! can change: a [`TokenKey`] has an id, several are live at once, the first signs and all verify.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use ivy_domain::{Email, Phone, UserId};

use crate::StoreError;

/// Marks the format, so that another can stand beside it.
const FORMAT: &str = "1.";
const NONCE_LENGTH: usize = 12;

struct Length32;

impl KeyType for Length32 {
    fn len(&self) -> usize {
        32
    }
}

/// A key that tokens are signed with, known by its id.
#[derive(Clone)]
pub struct TokenKey {
    id: String,
    key: Arc<[u8]>,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.id)
    }
}

impl TokenKey {
    #[must_use]
    pub fn new(id: impl Into<String>, key: &[u8]) -> Self {
        Self { id: id.into(), key: key.into() }
    }

    /// Stands in the tokens that it signed.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key of a purpose: access and refresh tokens never share one.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        derive(&self.key, OURS, purpose)
    }

    /// A keyed hash (hex) of a value under a purpose.
    #[must_use]
    pub fn mac(&self, purpose: &str, value: &str) -> String {
        mac(&self.derive(purpose), value)
    }
}

/// Derives every key from the master secret; tokens have keys of their own that can be changed.
#[derive(Clone)]
pub struct Keyring {
    master: Arc<[u8]>,
    token_keys: Arc<[TokenKey]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The salt of whatever belongs to no single user.
const OURS: &[u8] = b"ivy";

fn derive(secret: &[u8], salt: &[u8], purpose: &str) -> [u8; 32] {
    let mut key = [0_u8; 32];
    let info = [purpose.as_bytes()];
    let derived = Salt::new(HKDF_SHA256, salt).extract(secret);
    // 32 bytes is within what HKDF gives, so neither step can fail; a zero key would open nothing.
    if let Ok(okm) = derived.expand(&info, Length32) {
        let _ = okm.fill(&mut key);
    }
    key
}

fn mac(key: &[u8; 32], value: &str) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), value.as_bytes()).as_ref())
}

impl Keyring {
    /// The id of the token key that comes from the master key.
    pub const MASTER_TOKEN_KEY: &'static str = "master";

    /// Everything from one secret, the only token key included.
    #[must_use]
    pub fn from_master_key(master: &[u8]) -> Self {
        let token_key = TokenKey::new(Self::MASTER_TOKEN_KEY, master);
        Self { master: master.into(), token_keys: Arc::new([token_key]) }
    }

    /// Gives tokens keys of their own; without any, the master's stays.
    #[must_use]
    pub fn with_token_keys(self, keys: Vec<TokenKey>) -> Self {
        if keys.is_empty() { self } else { Self { token_keys: keys.into(), ..self } }
    }

    /// The keys of tokens, at least one: the first signs, all verify.
    #[must_use]
    pub fn token_keys(&self) -> &[TokenKey] {
        &self.token_keys
    }

    /// The token key of an id.
    #[must_use]
    pub fn token_key(&self, id: &str) -> Option<&TokenKey> {
        self.token_keys.iter().find(|key| key.id == id)
    }

    /// The token key that signs.
    #[must_use]
    pub fn signing_key(&self) -> &TokenKey {
        &self.token_keys[0]
    }

    fn derive_salted(&self, salt: &[u8], purpose: &str) -> [u8; 32] {
        derive(&self.master, salt, purpose)
    }

    /// The key of a purpose, such as `lookup-phone`.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        self.derive_salted(OURS, purpose)
    }

    /// A keyed hash (hex) of a value under a purpose: equal values give equal hashes, and nothing else is learnt.
    #[must_use]
    pub fn keyed_hash(&self, purpose: &str, value: &str) -> String {
        mac(&self.derive(purpose), value)
    }

    #[must_use]
    pub fn phone_hash(&self, phone: &Phone) -> String {
        self.keyed_hash("lookup-phone", phone.as_str())
    }

    #[must_use]
    pub fn email_hash(&self, email: &Email) -> String {
        self.keyed_hash("lookup-email", email.as_str())
    }

    #[must_use]
    pub fn admin_hash(&self, email: &Email) -> String {
        self.keyed_hash("lookup-admin", email.as_str())
    }

    /// Seals what belongs to no single user, under a purpose of its own.
    ///
    /// # Errors
    /// Only if the cipher itself fails.
    pub fn seal(&self, purpose: &'static str, text: &str) -> Result<String, StoreError> {
        seal(&self.derive(purpose), purpose, purpose, text)
    }

    /// Opens what was sealed under the same purpose.
    ///
    /// # Errors
    /// When it was sealed otherwise, or changed.
    pub fn open(&self, purpose: &'static str, sealed: &str) -> Result<String, StoreError> {
        open(&self.derive(purpose), purpose, purpose, sealed)
    }

    /// A user's cipher; `salt` stands on the profile.
    #[must_use]
    pub fn user_cipher(&self, user: UserId, salt: &str) -> UserCipher {
        UserCipher { user, salt: salt.to_owned(), key: self.derive_salted(salt.as_bytes(), "user-data") }
    }

    /// A cipher with a fresh salt, for a new user.
    #[must_use]
    pub fn new_user_cipher(&self, user: UserId) -> UserCipher {
        self.user_cipher(user, &random_hex::<16>())
    }
}

/// Random bytes in hex; the system's generator does not fail on a running machine, and if it did the process must stop.
#[expect(clippy::expect_used, reason = "without randomness nothing may go on")]
pub(crate) fn random_hex<const N: usize>() -> String {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes).expect("the system's random generator works");
    hex(&bytes)
}

/// Seals and opens one user's fields.
#[derive(Clone)]
pub struct UserCipher {
    user: UserId,
    salt: String,
    key: [u8; 32],
}

impl fmt::Debug for UserCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserCipher({})", self.user)
    }
}

impl UserCipher {
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// Seals a field's text.
    ///
    /// # Errors
    /// Only if the cipher itself fails.
    pub fn seal(&self, field: &'static str, text: &str) -> Result<String, StoreError> {
        seal(&self.key, &format!("{}|{field}", self.user), field, text)
    }

    /// Opens a sealed field.
    ///
    /// # Errors
    /// When it was sealed with another key, for another user or field, or was changed.
    pub fn open(&self, field: &'static str, sealed: &str) -> Result<String, StoreError> {
        open(&self.key, &format!("{}|{field}", self.user), field, sealed)
    }
}

fn seal(key: &[u8; 32], place: &str, field: &'static str, text: &str) -> Result<String, StoreError> {
    let failed = |_| StoreError::unreadable(field, "cannot be sealed");
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(failed)?;
    let mut sealed = text.as_bytes().to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed).map_err(failed)?;
    let mut bytes = nonce.as_ref().to_vec();
    bytes.append(&mut sealed);
    Ok(format!("{FORMAT}{}", BASE64.encode(bytes)))
}

fn open(key: &[u8; 32], place: &str, field: &'static str, sealed: &str) -> Result<String, StoreError> {
    let failed = || StoreError::unreadable(field, "cannot be opened");
    let bytes = sealed.strip_prefix(FORMAT).and_then(|b| BASE64.decode(b).ok()).ok_or_else(failed)?;
    let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LENGTH).ok_or_else(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| failed())?;
    let mut plain = ciphertext.to_vec();
    let opened = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut plain).map_err(|_| failed())?;
    String::from_utf8(opened.to_vec()).map_err(|_| failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn a_sealed_field_opens_only_where_it_belongs() {
        let ring = Keyring::from_master_key(b"a master key of at least 32 bytes!");
        let user = UserId::generate(Timestamp::UNIX_EPOCH);
        let cipher = ring.new_user_cipher(user);
        let sealed = cipher.seal("phone", "+447700900123").unwrap();
        assert!(!sealed.contains("447700900123"));
        assert_eq!(cipher.open("phone", &sealed).unwrap(), "+447700900123");
        assert_ne!(sealed, cipher.seal("phone", "+447700900123").unwrap(), "each sealing has its own nonce");
        assert!(cipher.open("transcript", &sealed).is_err(), "another field");
        assert!(ring.new_user_cipher(user).open("phone", &sealed).is_err(), "another salt");
        let other = ring.user_cipher(UserId::generate(Timestamp::UNIX_EPOCH), cipher.salt());
        assert!(other.open("phone", &sealed).is_err(), "another user");
        assert!(cipher.open("phone", "1.AAAA").is_err());
    }

    #[test]
    fn keyed_hashes_depend_on_key_purpose_and_value() {
        let ring = Keyring::from_master_key(b"one");
        assert_eq!(ring.keyed_hash("a", "x"), ring.keyed_hash("a", "x"));
        assert_ne!(ring.keyed_hash("a", "x"), ring.keyed_hash("b", "x"));
        assert_ne!(ring.keyed_hash("a", "x"), Keyring::from_master_key(b"two").keyed_hash("a", "x"));
    }
}
