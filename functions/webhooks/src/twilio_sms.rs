//! `POST /webhooks/twilio/sms`: a text from somebody. Users are answered by messages of their own; a stranger in the answer to
//! this very request, so that their number need not be kept to answer them.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use ivy_domain::message::Via;
use ivy_flows::{
    Ivy,
    inbound::{self, Inbound, InboundContent, Received, Sender},
};
use ivy_providers::twilio::{self, Form, InboundSms};
use ivy_runtime::{
    AppState, Problem, WebhookProblems, routes,
    webhook::{PublicUrl, RawBody, signature_failed},
};
use utoipa_axum::router::OpenApiRouter;

use crate::twilio_status::TwilioKeys;

/// TwiML that sends a text, or nothing.
fn twiml(text: Option<&'static str>) -> String {
    // Our own words hold no character that XML would take for its own.
    let message = text.map(|text| format!("<Message>{text}</Message>")).unwrap_or_default();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{message}</Response>")
}

pub fn router(keys: TwilioKeys) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(twilio_sms)).layer(Extension(keys))
}

/// Texts from users
#[utoipa::path(
    post, path = "/webhooks/twilio/sms", tag = "webhooks", operation_id = "twilio-sms", security(()),
    params(("X-Twilio-Signature" = String, Header, description = "base64 HMAC-SHA1 over the whole address and the parameters")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "Twilio's parameters"),
    responses(
        (status = 200, description = "Taken, or known before, or not ours; TwiML that sends nothing, or a stranger one text", body = String, content_type = "text/xml"),
        WebhookProblems
    )
)]
async fn twilio_sms(
    State(ivy): State<Ivy>,
    Extension(TwilioKeys(keys)): Extension<TwilioKeys>,
    PublicUrl(url): PublicUrl,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    twilio::verify_webhook(&keys, &url, &headers, &body).map_err(|_| signature_failed("twilio"))?;
    let sms = InboundSms::from_form(&Form::parse(&body))
        .ok_or_else(|| Problem::malformed("The parameters are no text that somebody sent."))?;
    let mut answer = None;
    match sms.from.parse() {
        Ok(from) => {
            let content = match (sms.body.is_empty(), sms.media) {
                (true, 1..) => InboundContent::Other,
                _ => InboundContent::Text(sms.body),
            };
            let id = sms.message_sid;
            let (from, at) = (Sender::phone(from), ivy.now());
            let inbound = Inbound { via: Via::Sms, id, from, content, replies_to: None, at };
            if let Received::Stranger { answer: true } = inbound::inbound_message(&ivy, &inbound).await? {
                answer = Some(inbound::TO_STRANGERS);
            }
        }
        // A short code or a name: nobody of ours.
        Err(_) => tracing::info!(event = "message_without_number"),
    }
    Ok(([(header::CONTENT_TYPE, "text/xml")], twiml(answer)).into_response())
}
