//! `POST /webhooks/whatsapp`: messages of users, and what became of ours. Meta sends several of both in one request.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use ivy_domain::message::{MessageStatus, Via};
use ivy_flows::{
    Ivy,
    inbound::{self, Inbound, InboundContent, Received, Sender},
    messages::{self, StatusReport, WentTo},
};
use ivy_providers::{
    Failure, Secret,
    whatsapp::{self, Content, InboundMessage, Status, Webhook, WhatsApp},
};
use ivy_runtime::{
    AppState, Problem, WebhookProblems,
    http::{WEBHOOK_BODY_LIMIT, body_limit},
    routes,
    webhook::{RawBody, signature_failed},
};
use utoipa_axum::router::OpenApiRouter;

/// The app secrets that may sign: the present one, and the one before it while they rotate.
#[derive(Debug, Clone)]
pub struct AppSecrets(pub Vec<Secret>);

/// `whatsapp` answers strangers, who have no queue.
pub fn router(secrets: AppSecrets, whatsapp: WhatsApp) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(whatsapp_webhook))
        .layer(Extension(secrets))
        .layer(Extension(whatsapp))
        .layer(body_limit(WEBHOOK_BODY_LIMIT))
}

/// Messages and statuses from WhatsApp
#[utoipa::path(
    post, path = "/webhooks/whatsapp", tag = "webhooks", operation_id = "whatsapp-webhook", security(()),
    params(("X-Hub-Signature-256" = String, Header, description = "sha256=<hex HMAC-SHA256>")),
    request_body(content = Object, description = "Meta's notification"),
    responses((status = 204, description = "Taken, or known before, or not ours"), WebhookProblems)
)]
async fn whatsapp_webhook(
    State(ivy): State<Ivy>,
    Extension(AppSecrets(secrets)): Extension<AppSecrets>,
    Extension(client): Extension<WhatsApp>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, Problem> {
    whatsapp::verify_webhook(&secrets, &headers, &body).map_err(|_| signature_failed("whatsapp"))?;
    let webhook: Webhook =
        serde_json::from_slice(&body).map_err(|_| Problem::malformed("The body is not a notification."))?;
    // Everything in it is tried before a failure is reported: what was taken is known when Meta sends it all again.
    let mut failure = None;
    for value in webhook.values() {
        for message in value.messages.iter().filter_map(|message| read(message, &ivy)) {
            match inbound::inbound_message(&ivy, &message).await {
                Ok(Received::Stranger { answer: true }) => inbound::answer_stranger(&client, &message.from).await,
                Ok(_) => {}
                Err(error) => failure = Some(error),
            }
        }
        for status in value.statuses.iter().filter_map(report) {
            failure = messages::message_status(&ivy, &status).await.err().or(failure);
        }
    }
    failure.map_or(Ok(StatusCode::NO_CONTENT), |error| Err(error.into()))
}

/// A message in our terms; `None` for one without anything to know its sender by.
fn read(message: &InboundMessage, ivy: &Ivy) -> Option<Inbound> {
    let phone = message.from.as_deref().and_then(|digits| format!("+{}", digits.trim_start_matches('+')).parse().ok());
    let from = Sender { phone, whatsapp_user_id: message.from_user_id.clone() };
    if from.phone.is_none() && from.whatsapp_user_id.is_none() {
        tracing::info!(event = "message_without_sender");
        return None;
    }
    let content = match message.content() {
        Content::Text(text) => InboundContent::Text(text.to_owned()),
        Content::TemplateButton { payload, text } => {
            InboundContent::Button { id: payload.to_owned(), title: text.to_owned() }
        }
        Content::Reply { id, title } => InboundContent::Button { id: id.to_owned(), title: title.to_owned() },
        Content::VoiceNote(media) => InboundContent::VoiceNote { media_id: media.id.clone(), seconds: None },
        Content::Media(_) | Content::Unsupported => InboundContent::Other,
        Content::Reaction { .. } => return None,
    };
    // A time ahead of ours is not believed: it would keep the conversation's window open for longer.
    let at = message.sent_at().map_or_else(|| ivy.now(), |at| at.min(ivy.now()));
    let replies_to = message.context.as_ref().and_then(|context| context.id.clone());
    Some(Inbound { via: Via::Whatsapp, id: message.id.clone(), from, content, replies_to, at })
}

fn report(status: &Status) -> Option<StatusReport<'_>> {
    let moved_to = match status.status.as_str() {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" | "played" => MessageStatus::Read,
        "failed" => MessageStatus::Failed,
        _ => return None,
    };
    let class = status.error_code().and_then(whatsapp::failure).and_then(|failure| match failure {
        Failure::Final(class) => Some(class),
        Failure::RateLimited | Failure::Transient | Failure::Misconfigured => None,
    });
    let failure = (moved_to == MessageStatus::Failed).then(|| messages::failure(class, status.error_code()));
    let owner = status.biz_opaque_callback_data.as_deref().and_then(messages::owner_of_callback_data);
    // What failed went to nobody.
    let arrives = moved_to != MessageStatus::Failed;
    let went_to = WentTo {
        phone: status.recipient_id.as_deref(),
        whatsapp_user_id: status.recipient_user_id.as_deref().filter(|_| arrives),
    };
    let provider_id = &status.id;
    Some(StatusReport { provider: "whatsapp", provider_id, owner, went_to, status: moved_to, failure, class })
}
