//! `GET /api/users/{id}/messages`: a user's messages in and out, newest first.

use axum::{Json, extract::State};
use ivy_domain::message::{Message, MessageDirection, MessageKind, Notice, Via};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Cursor, Own, Page, Problem, Query, ReadProblems, page::PageQuery, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// A message.
#[derive(Clone, Serialize, ToSchema)]
pub struct MessageView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::MessageId,
    /// `in` (from the user) or `out`.
    #[schema(value_type = String, example = "out")]
    pub direction: MessageDirection,
    /// `whatsapp`, `sms` or `email`.
    #[schema(value_type = String, example = "whatsapp")]
    pub via: Via,
    /// `text`, `template`, `voice_note` or `quick_reply`.
    #[schema(value_type = String, example = "template")]
    pub kind: MessageKind,
    #[schema(example = "completion_confirmation")]
    pub template: Option<&'static str>,
    /// The words; null for what has none, and for sign-in links.
    pub content: Option<String>,
    /// `queued`, `sending`, `unknown`, `sent`, `delivered`, `read`, `failed`, `suppressed` or `received`.
    #[schema(example = "delivered")]
    pub status: &'static str,
    /// Why it failed or was not sent.
    pub failure: Option<String>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub call_id: Option<ivy_domain::CallId>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: jiff::Timestamp,
}

impl std::fmt::Debug for MessageView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageView({})", self.id)
    }
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        let said = message.body.as_ref().map(|body| body.as_str().to_owned());
        // A link that still opens a session belongs where it was sent, and nowhere else.
        let says = message.notice.as_ref().filter(|notice| !notice.is_credential()).map(Notice::render);
        Self {
            id: message.id,
            direction: message.direction,
            via: message.via,
            kind: message.kind,
            template: message.notice.as_ref().and_then(Notice::template_name),
            content: said.or(says),
            status: message.status.name(),
            failure: message.failure_for_user().map(str::to_owned),
            call_id: message.call_id,
            created_at: message.created_at,
            updated_at: message.updated_at,
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_messages))
}

/// List messages
#[utoipa::path(
    get, path = "/api/users/{id}/messages", tag = "messages", operation_id = "list-messages",
    params(("id" = String, Path, description = "`me` or the own id"), PageQuery),
    responses((status = 200, description = "A page of messages, newest first", body = Page<MessageView>), ReadProblems)
)]
async fn list_messages(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<MessageView>>, Problem> {
    let scope = format!("list-messages/{}", own.user_id);
    let keyring = ivy.store.keyring();
    let after = query.cursor.map(|cursor| Cursor::open(keyring, &scope, &cursor)).transpose()?;
    let limit = query.limit.unwrap_or_default().get();
    let listed = ivy.store.list_messages(own.user_id, limit.into(), after.as_deref());
    let (profile, page) = ivy.of_user(own.user_id, listed).await?;
    let messages = page.items.into_iter().map(|sealed| sealed.open(&profile));
    let messages: Vec<Message> = messages.collect::<Result<_, _>>().map_err(ivy_flows::Error::from)?;
    Ok(Json(Page {
        items: messages.iter().map(MessageView::from).collect(),
        next_cursor: page.next.map(|position| Cursor::seal(keyring, &scope, &position)),
    }))
}
