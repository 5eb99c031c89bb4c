//! What a fresh deployment needs before its first request: keys in the secret, a verified sender, the charities, an operator.

use std::fs;

use ivy_domain::{admin::AdminRole, charity::Charity};
use ivy_flows::{Clock as _, SystemClock, admins};
use ivy_simulators::Secrets;
use ivy_store::{Keyring, Store};
use serde_json::json;
use uuid::Uuid;

use crate::{
    admin::local_store, console::Console, deploy::EMAIL_FROM, emulator::Aws, failure::Failure, layout::Layout,
};

/// The charities of the data file; the first is everybody's default.
pub(crate) fn charities(layout: &Layout) -> Result<Vec<Charity>, Failure> {
    let file = layout.infra("charities.json");
    let wrong = |reason: String| Failure::new(format!("{} cannot be read: {reason}.", file.display()));
    let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let charities: Vec<Charity> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if charities.is_empty() { Err(wrong("it names none".to_owned())) } else { Ok(charities) }
}

/// The operator of every fresh deployment.
pub(crate) const OPERATOR_EMAIL: &str = "operator@ivy.test";

/// What is put into a fresh deployment.
#[derive(Debug)]
pub(crate) struct Fresh<'a> {
    pub(crate) secrets: &'a Secrets,
    pub(crate) charities: &'a [Charity],
    pub(crate) operator_password: &'a str,
}

pub(crate) async fn seed(
    console: &Console,
    layout: &Layout,
    aws: &Aws,
    secret_id: &str,
    table: &str,
    fresh: &Fresh<'_>,
) -> Result<(), Failure> {
    let step = console.step("seed");
    let Fresh { secrets, charities, operator_password } = fresh;
    let master_key = master_key(layout)?;
    aws.put_secret(
        secret_id,
        &json!({
            "master_key": master_key,
            "retell_api_key": secrets.retell_api_key,
            "whatsapp_token": secrets.whatsapp_token,
            "whatsapp_app_secret": secrets.whatsapp_app_secret,
            "whatsapp_verify_token": format!("verify-{}", secrets.whatsapp_token),
            "twilio_account_sid": secrets.twilio_account_sid,
            "twilio_auth_token": secrets.twilio_auth_token,
            "stripe_secret_key": secrets.stripe_secret_key,
        }),
    )
    .await?;
    aws.verify_sender(EMAIL_FROM).await?;
    let store = local_store(&aws.url, table, keyring(layout)?);
    put_charities(&store, charities).await?;
    add_operator(&store, operator_password).await?;
    step.done(&format!("secret, sender, {} charities, an operator", charities.len()));
    Ok(())
}

/// Writes the charities as the store crate writes them; this file knows no key of the table.
async fn put_charities(store: &Store, charities: &[Charity]) -> Result<(), Failure> {
    for charity in charities {
        Box::pin(store.put_charity(charity))
            .await
            .map_err(|error| Failure::new(format!("The charity {} was not written: {error}.", charity.name)))?;
    }
    Ok(())
}

async fn add_operator(store: &Store, password: &str) -> Result<(), Failure> {
    let failed = |reason: String| Failure::new(format!("The operator was not made: {reason}."));
    let email = OPERATOR_EMAIL.parse().map_err(|reason| failed(format!("{reason}")))?;
    let password = password.parse().map_err(|reason| failed(format!("the password {reason}")))?;
    let work = admins::add(store, &email, AdminRole::Operator, &password, SystemClock.now());
    Box::pin(work).await.map(|_| ()).map_err(|error| failed(error.to_string()))
}

/// The keyring that the functions get from this machine's secret, read as they read it.
pub(crate) fn keyring(layout: &Layout) -> Result<Keyring, Failure> {
    let secret = json!({ "master_key": master_key(layout)? }).to_string();
    let keyring = ivy_runtime::secrets::Secrets::from_json(&secret).and_then(|secrets| secrets.keyring());
    keyring.map_err(|error| Failure::new(error.to_string()))
}

/// This machine's master key: 64 random hexadecimal digits, made once.
fn master_key(layout: &Layout) -> Result<String, Failure> {
    let file = layout.local().join("master-key");
    if let Ok(key) = fs::read_to_string(&file)
        && key.len() == 64
    {
        return Ok(key);
    }
    let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    fs::write(&file, &key).map_err(|error| Failure::new(format!("{} cannot be written: {error}.", file.display())))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_holds_charities() {
        let charities = charities(&Layout::new().unwrap()).unwrap();
        assert_eq!(charities[0].name, "Mind");
        assert_eq!(charities[0].impact_per_pound_milli, 2000);
    }
}
