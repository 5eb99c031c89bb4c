//! `GET /api/calls/upcoming`: the calls of all users that wait, by due time. For operators.
//!
//! It shows ids and times, and nothing of who they are: whoever needs a person's data asks them.

use axum::{Json, extract::State};
use ivy_domain::call::Call;
use ivy_flows::{Error, FieldError, Ivy};
use ivy_runtime::{
    AppState, Cursor, Operator, Page, Problem, Query, ReadProblems, SentCursor, page::Limit, query, routes,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// How far ahead the list looks when nothing else is said, and at most.
const USUAL: SignedDuration = SignedDuration::from_hours(1);
const FURTHEST: SignedDuration = SignedDuration::from_hours(24);

/// A call that waits.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019a1f3c-7b2e-7c41-9d3e-8f6f2f1d7a10", "user_id": "0192f0a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
    "call_type": "evening_review", "state": "retry", "scheduled_time": "2026-11-23T18:10:00Z",
    "next_attempt_at": "2026-11-23T18:40:00Z", "window_start": "2026-11-23T18:00:00Z",
    "window_end": "2026-11-23T20:00:00Z", "attempts": 1, "cause": "no_answer",
}))]
pub struct UpcomingCallView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::CallId,
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    pub call_type: &'static str,
    /// `scheduled`, or `retry` between two attempts.
    pub state: &'static str,
    /// When the first attempt was planned for.
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_time: Timestamp,
    /// When the next attempt is due; in the past when it is overdue.
    #[schema(value_type = String, format = DateTime)]
    pub next_attempt_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub window_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub window_end: Timestamp,
    pub attempts: u8,
    /// Why it is in its state.
    pub cause: Option<String>,
}

impl From<&Call> for UpcomingCallView {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id,
            user_id: call.user_id,
            call_type: call.call_type.name(),
            state: call.state.name(),
            scheduled_time: call.scheduled_time,
            next_attempt_at: call.due_at,
            window_start: call.window.opens_at,
            window_end: call.window.closes_at,
            attempts: call.attempts,
            cause: call.cause.clone(),
        }
    }
}

query! {
    /// How far ahead.
    pub struct UpcomingQuery {
        /// Calls that are due by then: by default within the hour, at most within 24. Overdue ones are always among them.
        #[param(value_type = Option<String>, format = DateTime, example = "2026-11-23T20:00:00Z")]
        pub until: Option<Timestamp>,
        /// How many items at most: 1 to 100, by default 20.
        #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
        pub limit: Option<Limit>,
        /// Where the page before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
}

impl UpcomingQuery {
    /// A cursor goes on for the same operator, with the same `until`.
    fn scope(&self, who: Operator) -> String {
        let until = self.until.map_or_else(String::new, |until| until.to_string());
        format!("upcoming-calls/{}/{until}", who.operator_id)
    }

    fn until(&self, now: Timestamp) -> Result<Timestamp, Error> {
        match self.until {
            None => Ok(now + USUAL),
            Some(until) if now < until && until <= now + FURTHEST => Ok(until),
            Some(_) => Err(Error::Invalid(vec![FieldError::new("until", "must lie within the next 24 hours")])),
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upcoming_calls))
}

/// List upcoming calls
///
/// Of all users, for operators: those that wait, overdue ones first, then by due time.
#[utoipa::path(
    get, path = "/api/calls/upcoming", tag = "calls", operation_id = "upcoming-calls",
    security(("operator" = [])),
    params(UpcomingQuery),
    responses((status = 200, description = "A page of calls by due time", body = Page<UpcomingCallView>), ReadProblems)
)]
async fn upcoming_calls(
    State(ivy): State<Ivy>,
    who: Operator,
    Query(query): Query<UpcomingQuery>,
) -> Result<Json<Page<UpcomingCallView>>, Problem> {
    let (until, scope, keyring) = (query.until(ivy.now())?, query.scope(who), ivy.store.keyring());
    let after = query.cursor.as_deref().map(|cursor| Cursor::open(keyring, &scope, cursor)).transpose()?;
    let limit = query.limit.unwrap_or_default().get().into();
    let page = ivy.store.upcoming_calls(until, limit, after.as_deref()).await.map_err(Error::from)?;
    Ok(Json(Page {
        items: page.items.iter().map(|stored| UpcomingCallView::from(&stored.call)).collect(),
        next_cursor: page.next.map(|position| Cursor::seal(keyring, &scope, &position)),
    }))
}
