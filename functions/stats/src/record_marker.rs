//! `POST /api/users/{id}/life-markers`: remember a moment in the user's words.

use std::fmt;

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::Text;
use ivy_flows::{Ivy, scores};
use ivy_runtime::{AppState, Keyed, Own, Problem, WriteProblems, idempotency, input, routes};
use ivy_store::MarkerEntry;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

input! {
    /// A life marker to remember.
    #[schema(as = NewMarker)]
    pub struct NewMarkerInput {
        #[schema(value_type = String, min_length = 1, max_length = 200, example = "ran to the top of the hill")]
        pub text: Text<200>,
    }
}

/// A life marker.
#[derive(Serialize, ToSchema)]
pub struct MarkerView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::MarkerId,
    #[schema(example = "ran to the top of the hill")]
    pub text: String,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: jiff::Timestamp,
}

impl fmt::Debug for MarkerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MarkerView({})", self.id)
    }
}

impl From<&MarkerEntry> for MarkerView {
    fn from(entry: &MarkerEntry) -> Self {
        Self { id: entry.id, text: entry.words.as_str().to_owned(), recorded_at: entry.recorded_at }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(record_marker))
}

/// Record a life marker
#[utoipa::path(
    post, path = "/api/users/{id}/life-markers", tag = "stats", operation_id = "record-marker",
    params(
        ("id" = String, Path, description = "`me` or the own id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours"),
    ),
    request_body = NewMarkerInput,
    responses((status = 201, description = "The life marker", body = MarkerView), WriteProblems)
)]
async fn record_marker(
    State(ivy): State<Ivy>,
    own: Own,
    Keyed { input, key }: Keyed<NewMarkerInput>,
) -> Result<Response, Problem> {
    let (user, text) = (own.user_id, input.text);
    idempotency::once::<MarkerView, _, _, _>(&ivy, key.map(|key| key.of(user)), StatusCode::CREATED, |once| {
        let (ivy, text) = (ivy.clone(), text.clone());
        async move { scores::record_marker(&ivy, user, text, once.as_deref()).await }
    })
    .await
}
