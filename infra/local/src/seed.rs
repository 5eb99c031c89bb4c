//! What a fresh deployment needs before its first request: keys in the secret, a verified sender, the charities.

use std::fs;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use ivy_domain::charity::Charity;
use ivy_simulators::Secrets;
use ivy_store::{Keyring, Store};
use serde_json::json;
use uuid::Uuid;

use crate::{
    console::Console,
    deploy::EMAIL_FROM,
    emulator::{Aws, REGION},
    failure::Failure,
    layout::Layout,
};

/// The charities of the data file; the first is everybody's default.
pub(crate) fn charities(layout: &Layout) -> Result<Vec<Charity>, Failure> {
    let file = layout.infra("charities.json");
    let wrong = |reason: String| Failure::new(format!("{} cannot be read: {reason}.", file.display()));
    let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    let charities: Vec<Charity> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if charities.is_empty() { Err(wrong("it names none".to_owned())) } else { Ok(charities) }
}

pub(crate) async fn seed(
    console: &Console,
    layout: &Layout,
    aws: &Aws,
    secret_id: &str,
    table: &str,
    secrets: &Secrets,
    charities: &[Charity],
) -> Result<(), Failure> {
    let step = console.step("seed");
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
        }),
    )
    .await?;
    aws.verify_sender(EMAIL_FROM).await?;
    put_charities(aws, table, &master_key, charities).await?;
    step.done(&format!("secret, sender, {} charities", charities.len()));
    Ok(())
}

/// Writes the charities as the store crate writes them; this file knows no key of the table.
async fn put_charities(aws: &Aws, table: &str, master_key: &str, charities: &[Charity]) -> Result<(), Failure> {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(&aws.url)
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .build();
    let keyring = Keyring::from_master_key(master_key.as_bytes());
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), table.to_owned(), keyring);
    for charity in charities {
        Box::pin(store.put_charity(charity))
            .await
            .map_err(|error| Failure::new(format!("The charity {} was not written: {error}.", charity.name)))?;
    }
    Ok(())
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
