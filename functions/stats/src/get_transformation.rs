//! `GET /api/users/{id}/transformation`: energy, mood and confidence over time, and the life markers.

use std::fmt;

use axum::{Json, extract::State};
use ivy_domain::scores::{ScoreKind, Scores, Trend};
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use ivy_store::ScoreEntry;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{get_stats::ScoreView, record_marker::MarkerView};

/// How many scores the history goes back.
const SCORES: u32 = 90;
/// How many life markers are shown.
const MARKERS: u32 = 50;

/// A user's scores over time and their life markers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0192f0a0-1111-7000-8000-000000000001",
    "energy": {"start": 4, "current": 7, "change": "+75%", "trend": "up",
        "history": [{"recorded_on": "2026-09-07", "score": 4}, {"recorded_on": "2026-11-23", "score": 7}]},
    "mood": null,
    "confidence": null,
    "life_markers": [{"id": "0192f0a0-2222-7000-8000-000000000002", "text": "ran to the top of the hill",
        "recorded_at": "2026-11-20T19:05:12Z"}],
}))]
pub struct FullTransformationView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    /// Null where none was recorded, as with the others.
    pub energy: Option<TrackView>,
    pub mood: Option<TrackView>,
    pub confidence: Option<TrackView>,
    /// The last 50, newest first.
    pub life_markers: Vec<MarkerView>,
}

impl fmt::Debug for FullTransformationView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FullTransformationView")
    }
}

/// One kind of score over time.
#[derive(Serialize, ToSchema)]
pub struct TrackView {
    #[serde(flatten)]
    pub score: ScoreView,
    /// Where the last six scores are heading: `up`, `flat` or `down`.
    #[schema(value_type = String, example = "up")]
    pub trend: Trend,
    /// Those among the last 90 records that have this score, in the order of time.
    pub history: Vec<DatedScoreView>,
}

impl fmt::Debug for TrackView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrackView")
    }
}

/// A score of a day.
#[derive(Serialize, ToSchema)]
pub struct DatedScoreView {
    #[schema(value_type = String, format = Date)]
    pub recorded_on: jiff::civil::Date,
    #[schema(minimum = 1, maximum = 10)]
    pub score: u8,
}

impl fmt::Debug for DatedScoreView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatedScoreView")
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_transformation))
}

/// Transformation
#[utoipa::path(
    get, path = "/api/users/{id}/transformation", tag = "stats", operation_id = "get-transformation",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "Scores over time and life markers", body = FullTransformationView), ReadProblems)
)]
async fn get_transformation(State(ivy): State<Ivy>, own: Own) -> Result<Json<FullTransformationView>, Problem> {
    let user = own.user_id;
    let me = ivy.me(user).await?;
    let (history, markers) =
        tokio::try_join!(ivy.store.last_scores(user, SCORES), ivy.store.last_markers(&me.profile, MARKERS))
            .map_err(Error::from)?;
    let track = |kind| track(&me.counters.scores, &history, kind);
    Ok(Json(FullTransformationView {
        user_id: user,
        energy: track(ScoreKind::Energy),
        mood: track(ScoreKind::Mood),
        confidence: track(ScoreKind::Confidence),
        life_markers: markers.iter().map(Into::into).collect(),
    }))
}

fn track(scores: &Scores, history: &[ScoreEntry], kind: ScoreKind) -> Option<TrackView> {
    let track = scores.track(kind)?;
    let of_kind =
        |entry: &ScoreEntry| Some(DatedScoreView { recorded_on: entry.recorded_on, score: entry.score(kind)?.get() });
    Some(TrackView { score: track.into(), trend: track.trend(), history: history.iter().filter_map(of_kind).collect() })
}
