//! The phone and the e-mail address of a user: whose they are, and how another one comes to be theirs.
//!
//! Both sign in, so each is a user's only once a code that was sent to it came back from a session of that user. Until then
//! it is `unproven_phone` or `unproven_email`: it owns nothing, nobody signs in by it, nothing else is sent to it, and whether somebody
//! else has it does not show. The phone that somebody signs up with is the exception, since nobody is signed in yet: the first
//! sign-in proves it, by the link that was sent to it (decision 0006).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use ivy_domain::{
    User, UserId,
    message::{Notice, Via},
    values::Contact,
};
use ivy_store::{ContactCode, Me, Profile, Transaction};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    Error, FieldError, Ivy,
    messages::{self, Outgoing},
    retrying::contended,
    sign_in,
};

/// How long a code is good.
const CODE_SECONDS: i64 = 15 * 60;
const CODE_TRIES: u32 = 5;

/// The conflict of a contact that is another account's.
pub(crate) fn taken(field: &str) -> Error {
    let slug = if field == "phone" { "phone-taken" } else { "email-taken" };
    Error::Conflict { slug, detail: format!("Another account uses this {field}. Sign in with it instead.") }
}

/// Counts a wish for another phone or address, five in 15 minutes for a user, and each code that is sent, five in 15 minutes
/// for the contact that gets it. Sign-in links have a count of their own: naming a contact must not keep its owner out.
///
/// # Errors
/// [`Error::RateLimited`].
pub(crate) async fn limit_wishes(ivy: &Ivy, user: UserId, wanted: &[Contact]) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    sign_in::limit(ivy, "contact_change", &user.to_string()).await?;
    for contact in wanted {
        sign_in::limit(ivy, "contact_code_sent", contact.as_str()).await?;
    }
    Ok(())
}

/// The codes that a user sends back.
#[derive(Clone, Copy)]
pub(crate) struct Codes<'a> {
    pub phone: Option<&'a str>,
    pub email: Option<&'a str>,
}

/// Counts a request with codes, five in 15 minutes for a user, before they are looked at.
///
/// # Errors
/// [`Error::RateLimited`].
pub(crate) async fn limit_tries(ivy: &Ivy, user: UserId, codes: Codes<'_>) -> Result<(), Error> {
    if codes.phone.is_none() && codes.email.is_none() {
        return Ok(());
    }
    sign_in::limit(ivy, "contact_code", &user.to_string()).await
}

fn code_hash(ivy: &Ivy, user: UserId, contact: &Contact, code: &str) -> String {
    ivy.store.keyring().keyed_hash("contact-code", &format!("{user}|{}|{code}", contact.as_str()))
}

/// Eight digits: many users may name one contact, and each has tries of their own.
fn random_code() -> String {
    format!("{:08}", Uuid::new_v4().as_u128() % 100_000_000)
}

/// Adds a code for a contact that its user wants to have, and the message that carries it there.
///
/// # Errors
/// When the message cannot be written down.
pub(crate) fn add_code(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    profile: &Profile,
    contact: &Contact,
    now: Timestamp,
) -> Result<(), Error> {
    let user = profile.user.id;
    let code = random_code();
    let kept = ContactCode {
        code_hash: code_hash(ivy, user, contact, &code),
        tries_left: CODE_TRIES,
        expires_at: now.as_second() + CODE_SECONDS,
        version: sign_in::fresh_version(),
    };
    transaction.contact_code(user, contact, &kept);
    let outgoing = Outgoing {
        not_after: Some(now + SignedDuration::from_secs(CODE_SECONDS)),
        ..Outgoing::new(Via::to(contact), Notice::ContactCode { contact: contact.clone(), code })
    };
    messages::add(transaction, profile, outgoing, now).map(|_| ())
}

/// A contact whose right code came back.
pub(crate) struct Proof {
    contact: Contact,
    code: ContactCode,
}

impl Proof {
    /// Makes the contact the user's, and uses the code up in the same transaction.
    pub(crate) fn add(self, transaction: &mut Transaction<'_>, user: &mut User) {
        transaction.use_contact_code(user.id, &self.contact, &self.code);
        match self.contact {
            Contact::Phone(phone) => {
                user.phone = phone;
                user.unproven_phone = None;
            }
            Contact::Email(email) => {
                user.email = Some(email);
                user.unproven_email = None;
            }
        }
    }
}

/// Looks at the codes that a user sends for the contacts that they want to have. A wrong one uses up a try.
///
/// # Errors
/// [`Error::Invalid`] for codes that are wrong, used up or too old, and for those of nothing.
pub(crate) async fn check(ivy: &Ivy, user: &User, codes: Codes<'_>) -> Result<Vec<Proof>, Error> {
    let phone = codes.phone.map(|code| ("phone", code, user.unproven_phone.clone().map(Contact::Phone)));
    let email = codes.email.map(|code| ("email", code, user.unproven_email.clone().map(Contact::Email)));
    let (mut proven, mut wrong) = (Vec::new(), Vec::new());
    for (field, code, contact) in phone.into_iter().chain(email) {
        let code_field = if field == "phone" { "phone_code" } else { "email_code" };
        let Some(contact) = contact else {
            let fault = format!("proves nothing: send {field} first, and a code goes there");
            wrong.push(FieldError::new(code_field, fault));
            continue;
        };
        if let Some(code) = right_code(ivy, user.id, &contact, code).await? {
            proven.push(Proof { contact, code });
        } else {
            let fault = format!("is not the code that was sent, or is no longer good: send {field} again for another");
            wrong.push(FieldError::new(code_field, fault));
        }
    }
    if wrong.is_empty() { Ok(proven) } else { Err(Error::Invalid(wrong)) }
}

async fn right_code(ivy: &Ivy, user: UserId, contact: &Contact, code: &str) -> Result<Option<ContactCode>, Error> {
    let good = |kept: &ContactCode| kept.expires_at > ivy.now().as_second() && kept.tries_left > 0;
    let Some(kept) = ivy.store.contact_code(user, contact).await?.filter(good) else { return Ok(None) };
    let candidate = code_hash(ivy, user, contact, code);
    if verify_slices_are_equal(kept.code_hash.as_bytes(), candidate.as_bytes()).is_ok() {
        return Ok(Some(kept));
    }
    let mut transaction = ivy.store.transaction();
    transaction.contact_code_try(user, contact, &ContactCode { tries_left: kept.tries_left - 1, ..kept });
    transaction.commit().await.map_err(contended)?;
    Ok(None)
}

/// Who owns which phone and e-mail address. With an address go the link and code that were sent to it; with a phone go
/// WhatsApp's permission for free text, which the new number has not given, and WhatsApp's id of the old one.
pub(crate) fn add_ownership(ivy: &Ivy, transaction: &mut Transaction<'_>, me: &Me, profile: &Profile) {
    let (before, after) = (me.user(), &profile.user);
    if after.phone != before.phone {
        release(ivy, transaction.own_phone(profile), &Contact::Phone(before.phone.clone()));
        let mut contact = me.contact.clone();
        contact.sms_inbound_at = contact.sms_inbound_at.max(contact.whatsapp_inbound_at);
        contact.whatsapp_inbound_at = None;
        if let Some(id) = contact.whatsapp_user_id.take() {
            transaction.forget_whatsapp_user(&id);
        }
        transaction.contact(after.id, &contact);
    }
    if after.email != before.email {
        transaction.own_email(profile);
        if let Some(email) = &before.email {
            release(ivy, transaction, &Contact::Email(email.clone()));
        }
    }
}

/// Phone and e-mail address of a user who goes are free at once, and the links sent to them open nothing.
pub(crate) fn release_all(ivy: &Ivy, transaction: &mut Transaction<'_>, user: &User) {
    release(ivy, transaction, &Contact::Phone(user.phone.clone()));
    if let Some(email) = &user.email {
        release(ivy, transaction, &Contact::Email(email.clone()));
    }
}

fn release(ivy: &Ivy, transaction: &mut Transaction<'_>, contact: &Contact) {
    transaction.release_contact(contact).forget_sign_in_request(&sign_in::contact_hash(ivy, contact));
}
