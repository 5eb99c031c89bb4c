//! What no API does for us, with the values to put in.

use crate::{report::AgentIds, settings::Settings};

/// The sentences at the end of a run.
pub(crate) fn left_by_hand(settings: &Settings, agents: &AgentIds) -> Vec<String> {
    let base = &settings.api_url;
    let mut lines = vec!["What a person must still do:".to_owned()];
    if settings.retell.is_some() {
        let parameters: Vec<String> = agents
            .iter()
            .map(|(parameter, ids)| {
                let by_language =
                    ids.iter().map(|(language, id)| format!("{language}={}", id.as_deref().unwrap_or("(after apply)")));
                format!("{parameter}={}", by_language.collect::<Vec<_>>().join(","))
            })
            .collect();
        lines.push(format!("- Deploy with these parameters of template.yaml: {}", parameters.join(" ")));
        lines.push(
            "- Retell: the API key of the secret must be the one with the webhook badge; listen to each agent's voice once.".to_owned(),
        );
    }
    if settings.whatsapp.is_some() {
        lines.push(format!(
            "- Meta, app dashboard, WhatsApp, Configuration: callback URL {base}/webhooks/whatsapp, the secret's whatsapp_verify_token, field messages."
        ));
        lines.push(
            "- Meta, business manager: business verification, the display name, a means of payment, a system user's token that does not expire.".to_owned(),
        );
    }
    if settings.twilio.is_some() {
        lines.push(
            "- Twilio: a number in a Messaging Service goes by the service's webhook; let it defer to the number's. The same for a SIP trunk's.".to_owned(),
        );
    }
    lines.push(
        "- Secrets Manager, the stack's secret: retell_api_key, whatsapp_token, whatsapp_app_secret, whatsapp_verify_token, twilio_account_sid, twilio_auth_token.".to_owned(),
    );
    lines
}
