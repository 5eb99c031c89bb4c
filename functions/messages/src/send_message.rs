//! `POST /api/messages/send`: an operator writes to a user.
//!
//! Templates are offered where a person can know better than Ivy what is to be said: `completion_check`, `rescue_support`,
//! `celebration`, `payment_problem`. The others state sums and counts or carry a sign-in link, which only Ivy knows.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::{
    Text, UserId,
    message::{Message, MessageKind, Via},
};
use ivy_flows::{
    Error, FieldError, Ivy,
    messages::{self, Saying},
};
use ivy_runtime::{AppState, Keyed, Operator, Problem, WriteProblems, idempotency, input, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// How an operator's message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    #[default]
    Whatsapp,
    Sms,
}

impl From<Way> for Via {
    fn from(way: Way) -> Self {
        match way {
            Way::Whatsapp => Self::Whatsapp,
            Way::Sms => Self::Sms,
        }
    }
}

/// Free words, or a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Template,
}

/// The templates that an operator may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    CompletionCheck,
    RescueSupport,
    Celebration,
    PaymentProblem,
}

input! {
    /// What a template leaves open.
    #[derive(Clone)]
    #[schema(as = TemplateParameters)]
    pub struct ParametersInput {
        /// Of `completion_check`: what was planned.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = json!(null))]
        pub activity: Option<Text<200>>,
        /// Of `rescue_support`; by default the user's own.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = json!(null))]
        pub minimum_action: Option<Text<200>>,
        /// Of `celebration`.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = "30 days kept in a row")]
        pub milestone: Option<Text<200>>,
    }
}

input! {
    /// A message to a user.
    #[schema(as = NewMessage)]
    pub struct NewMessageInput {
        /// To whom.
        #[schema(value_type = String, format = Uuid)]
        pub user_id: UserId,
        /// `whatsapp` (the default) or `sms`. By WhatsApp, a message that cannot be delivered there goes by SMS, once.
        #[schema(value_type = Option<String>, example = "whatsapp")]
        pub via: Option<Way>,
        /// `text` or `template`.
        #[schema(value_type = String, example = "template")]
        pub kind: Kind,
        /// The words of a text.
        #[schema(value_type = Option<String>, min_length = 1, max_length = 1600, example = json!(null))]
        pub content: Option<Text<1600>>,
        /// `completion_check`, `rescue_support`, `celebration` or `payment_problem`.
        #[schema(value_type = Option<String>, example = "celebration")]
        pub template: Option<Offered>,
        #[schema(inline)]
        pub parameters: Option<ParametersInput>,
    }
    also(kind, content, template, parameters) { Words { content, template, parameters }.faults(kind) }
}

impl NewMessageInput {
    /// What is to be said, or every field that does not go with the others.
    fn saying(&self) -> Result<Saying, Error> {
        let mut wrong = Vec::new();
        let words =
            Words { content: Some(&self.content), template: Some(&self.template), parameters: Some(&self.parameters) };
        let saying = words.saying(self.kind, &mut wrong);
        saying.filter(|_| wrong.is_empty()).ok_or(Error::Invalid(wrong))
    }
}

/// The fields that make up what is said, each as it was read: `None` for one that could not be, which has a fault of its own.
struct Words<'a> {
    content: Option<&'a Option<Text<1600>>>,
    template: Option<&'a Option<Offered>>,
    parameters: Option<&'a Option<ParametersInput>>,
}

/// Whether a field was sent, readable or not.
fn sent<T>(field: Option<&Option<T>>) -> bool {
    field.is_none_or(Option::is_some)
}

impl Words<'_> {
    fn faults(&self, kind: Option<&Kind>) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        if let Some(kind) = kind {
            self.saying(*kind, &mut wrong);
        }
        wrong
    }

    fn saying(&self, kind: Kind, wrong: &mut Vec<FieldError>) -> Option<Saying> {
        match kind {
            Kind::Text => self.text(wrong),
            Kind::Template => self.filled_template(wrong),
        }
    }

    fn text(&self, wrong: &mut Vec<FieldError>) -> Option<Saying> {
        if sent(self.template) {
            wrong.push(FieldError::new("template", "is none of a text"));
        }
        if sent(self.parameters) {
            wrong.push(FieldError::new("parameters", "is none of a text"));
        }
        let Some(content) = self.content? else {
            wrong.push(FieldError::new("content", "is required for a text"));
            return None;
        };
        Text::truncated(content.as_str()).map(Saying::Text)
    }

    fn filled_template(&self, wrong: &mut Vec<FieldError>) -> Option<Saying> {
        if sent(self.content) {
            wrong.push(FieldError::new("content", "is none of a template"));
        }
        let Some(template) = *self.template? else {
            wrong.push(FieldError::new("template", "is required for a template"));
            return None;
        };
        let mut open = Open::new(self.parameters?.as_ref(), wrong);
        let saying = match template {
            Offered::CompletionCheck => open.required("activity").map(|activity| Saying::CompletionCheck { activity }),
            Offered::RescueSupport => Some(Saying::RescueSupport { minimum_action: open.take("minimum_action") }),
            Offered::Celebration => open.required("milestone").map(|milestone| Saying::Celebration { milestone }),
            Offered::PaymentProblem => Some(Saying::PaymentProblem),
        };
        open.finish();
        saying
    }
}

/// The parameters that were sent, by name; what no template took is a fault.
struct Open<'a> {
    sent: Vec<(&'static str, Text<200>)>,
    wrong: &'a mut Vec<FieldError>,
}

impl<'a> Open<'a> {
    fn new(parameters: Option<&ParametersInput>, wrong: &'a mut Vec<FieldError>) -> Self {
        let mut sent = Vec::new();
        if let Some(ParametersInput { activity, minimum_action, milestone }) = parameters.cloned() {
            let named = [("activity", activity), ("minimum_action", minimum_action), ("milestone", milestone)];
            sent.extend(named.into_iter().filter_map(|(name, words)| Some((name, words?))));
        }
        Self { sent, wrong }
    }

    fn take(&mut self, name: &str) -> Option<Text<200>> {
        let index = self.sent.iter().position(|(sent, _)| *sent == name)?;
        Some(self.sent.swap_remove(index).1)
    }

    fn required(&mut self, name: &str) -> Option<Text<200>> {
        let words = self.take(name);
        if words.is_none() {
            self.wrong.push(FieldError::new(format!("parameters.{name}"), "is required for this template"));
        }
        words
    }

    fn finish(self) {
        for (name, _) in self.sent {
            self.wrong.push(FieldError::new(format!("parameters.{name}"), "is none of this template"));
        }
    }
}

/// A message that was queued.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueuedMessageView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::MessageId,
    #[schema(value_type = String, format = Uuid)]
    pub user_id: UserId,
    /// `whatsapp` or `sms`.
    #[schema(value_type = String, example = "whatsapp")]
    pub via: Via,
    /// `text`, `template` or `quick_reply`.
    #[schema(value_type = String, example = "template")]
    pub kind: MessageKind,
    #[schema(example = "queued")]
    pub status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
}

impl From<&Message> for QueuedMessageView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            user_id: message.user_id,
            via: message.via,
            kind: message.kind,
            status: message.status.name(),
            created_at: message.created_at,
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(send_message))
}

/// Send a message
///
/// For operators. Consent and quiet hours hold: in the user's night it waits until 07:00.
#[utoipa::path(
    post, path = "/api/messages/send", tag = "messages", operation_id = "send-message",
    security(("operator" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours")),
    request_body = NewMessageInput,
    responses((status = 202, description = "The message, queued", body = QueuedMessageView), WriteProblems)
)]
async fn send_message(
    State(ivy): State<Ivy>,
    who: Operator,
    Keyed { input, key }: Keyed<NewMessageInput>,
) -> Result<Response, Problem> {
    let saying = input.saying()?;
    let (user, via) = (input.user_id, input.via.unwrap_or_default().into());
    let key = key.map(|key| key.of_operator(who));
    idempotency::once::<QueuedMessageView, _, _, _>(&ivy, key, StatusCode::ACCEPTED, |once| {
        let (ivy, saying) = (ivy.clone(), saying.clone());
        async move { messages::send_as_operator(&ivy, who.operator_id, user, via, &saying, once.as_deref()).await }
    })
    .await
}
