//! `POST /api/users/{id}/transformation`: record energy, mood or confidence.

use std::fmt;

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::scores::Score;
use ivy_flows::{
    Ivy,
    scores::{self, NewScores},
};
use ivy_runtime::{AppState, Keyed, Own, Problem, WriteProblems, idempotency, input, routes};
use ivy_store::ScoreEntry;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

input! {
    /// Scores from 1 to 10, at least one of them.
    #[schema(as = NewScores)]
    pub struct NewScoresInput {
        #[schema(value_type = Option<u8>, minimum = 1, maximum = 10, example = 6)]
        pub energy: Option<Score>,
        #[schema(value_type = Option<u8>, minimum = 1, maximum = 10)]
        pub mood: Option<Score>,
        #[schema(value_type = Option<u8>, minimum = 1, maximum = 10)]
        pub confidence: Option<Score>,
        /// The local day that they are of: by default today, else one of the last year.
        #[schema(value_type = Option<String>, format = Date)]
        pub recorded_on: Option<Date>,
    }
}

impl From<NewScoresInput> for NewScores {
    fn from(input: NewScoresInput) -> Self {
        let NewScoresInput { energy, mood, confidence, recorded_on } = input;
        Self { energy, mood, confidence, recorded_on }
    }
}

/// Recorded scores.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0192f0a0-3333-7000-8000-000000000003", "energy": 7, "mood": null, "confidence": 6, "recorded_on": "2026-11-23",
    "recorded_at": "2026-11-23T19:05:12Z",
}))]
pub struct ScoresView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::ScoreId,
    pub energy: Option<u8>,
    pub mood: Option<u8>,
    pub confidence: Option<u8>,
    #[schema(value_type = String, format = Date)]
    pub recorded_on: Date,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: jiff::Timestamp,
}

impl fmt::Debug for ScoresView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScoresView({})", self.id)
    }
}

impl From<&ScoreEntry> for ScoresView {
    fn from(entry: &ScoreEntry) -> Self {
        Self {
            id: entry.id,
            energy: entry.energy.map(Score::get),
            mood: entry.mood.map(Score::get),
            confidence: entry.confidence.map(Score::get),
            recorded_on: entry.recorded_on,
            recorded_at: entry.recorded_at,
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(record_score))
}

/// Record scores
#[utoipa::path(
    post, path = "/api/users/{id}/transformation", tag = "stats", operation_id = "record-score",
    params(
        ("id" = String, Path, description = "`me` or the own id"),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours"),
    ),
    request_body = NewScoresInput,
    responses((status = 201, description = "The recorded scores", body = ScoresView), WriteProblems)
)]
async fn record_score(
    State(ivy): State<Ivy>,
    own: Own,
    Keyed { input, key }: Keyed<NewScoresInput>,
) -> Result<Response, Problem> {
    let (user, new) = (own.user_id, NewScores::from(input));
    idempotency::once::<ScoresView, _, _, _>(&ivy, key.map(|key| key.of(user)), StatusCode::CREATED, |once| {
        let ivy = ivy.clone();
        async move { scores::record_score(&ivy, user, new, once.as_deref()).await }
    })
    .await
}
