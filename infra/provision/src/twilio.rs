//! Twilio: where each number of ours posts texts and call statuses. Numbers are bought by a person, since they cost money and need papers.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    api::{Api, Body, object, text},
    compare::{differences, differing},
    failure::Failure,
    report::{Action, Reporter, change},
    settings::{Settings, TwilioSettings},
};

/// Twilio's names in answers and in forms.
const NAMES: [(&str, &str); 4] = [
    ("sms_url", "SmsUrl"),
    ("sms_method", "SmsMethod"),
    ("status_callback", "StatusCallback"),
    ("status_callback_method", "StatusCallbackMethod"),
];

pub(crate) async fn walk(
    api: &Api,
    twilio: &TwilioSettings,
    settings: &Settings,
    reporter: &mut Reporter<'_>,
) -> Result<(), Failure> {
    let account = ["Accounts", twilio.account_sid.as_str()];
    let wanted = wanted(settings)?;
    for number in &twilio.numbers {
        let object_name = format!("Twilio number {number}");
        let path = [account[0], account[1], "IncomingPhoneNumbers.json"];
        let answer = api.get(&path, &[("PhoneNumber", number)]).await?;
        // Twilio's filter also matches parts of numbers.
        let known = answer["incoming_phone_numbers"].as_array().into_iter().flatten();
        let Some(found) = known.into_iter().find(|one| one["phone_number"] == number.as_str()) else {
            let sentence =
                "This account does not own it: buy it, with the papers that its country asks for.".to_owned();
            reporter.found(object_name, Action::ByHand(sentence));
            continue;
        };
        let sid = text(found, "sid", number)?;
        let differences = differences(&wanted, &object(found.clone(), number)?);
        let changes = differing(&wanted, &differences);
        if reporter.found(object_name, change(differences)) {
            let form: Vec<(&str, &str)> = NAMES
                .iter()
                .filter_map(|(answer_name, form_name)| Some((*form_name, changes.get(*answer_name)?.as_str()?)))
                .collect();
            let file = format!("{sid}.json");
            let path = [account[0], account[1], "IncomingPhoneNumbers", file.as_str()];
            api.send(Method::POST, &path, &[], Body::Form(&form)).await?;
            reporter.done(&format!("changed {number}"));
        }
    }
    Ok(())
}

fn wanted(settings: &Settings) -> Result<Map<String, Value>, Failure> {
    let base = format!("{}/webhooks/twilio", settings.api_url);
    let wanted = json!({
        // Twilio repeats a request that failed only where it is told to; the fragment is neither sent nor signed.
        "sms_url": format!("{base}/sms#rc=3&rp=all"), "sms_method": "POST",
        "status_callback": base, "status_callback_method": "POST",
    });
    object(wanted, "Twilio's settings")
}
