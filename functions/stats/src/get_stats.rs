//! `GET /api/users/{id}/stats`: progress on one page, from one query.

use axum::{Json, extract::State};
use ivy_domain::{impact, scores::ScoreTrack};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// A user's progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    pub current_streak: u32,
    pub longest_streak: u32,
    /// In this ISO week.
    pub workouts_this_week: u32,
    pub workouts_this_month: u32,
    pub total_workouts: u32,
    pub weekly_goal: u32,
    /// Mean over the last 12 full weeks since onboarding of completions per goal, at most 1 a week.
    #[schema(example = 0.73)]
    pub goal_completion_rate: f64,
    pub impact: ImpactView,
    pub transformation: TransformationView,
}

/// What was donated and what it does.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImpactView {
    /// Pounds.
    #[schema(example = 89.5)]
    pub total_donated: f64,
    #[schema(example = "Mind")]
    pub charity: String,
    #[schema(example = "179 helpline calls")]
    pub impact_equivalent: String,
}

/// Scores from 1 to 10; null where none was recorded.
#[derive(Serialize, ToSchema)]
pub struct TransformationView {
    pub energy: Option<ScoreView>,
    pub mood: Option<ScoreView>,
    pub confidence: Option<ScoreView>,
}

impl std::fmt::Debug for TransformationView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransformationView")
    }
}

/// The first and the last score, and the change in percent of the first.
#[derive(Serialize, ToSchema)]
pub struct ScoreView {
    #[schema(minimum = 1, maximum = 10)]
    pub start: u8,
    #[schema(minimum = 1, maximum = 10)]
    pub current: u8,
    #[schema(example = "+75%")]
    pub change: String,
}

impl std::fmt::Debug for ScoreView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScoreView")
    }
}

impl From<&ScoreTrack> for ScoreView {
    fn from(track: &ScoreTrack) -> Self {
        Self { start: track.start, current: track.current, change: track.change_text() }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_stats))
}

/// Progress
#[utoipa::path(
    get, path = "/api/users/{id}/stats", tag = "stats", operation_id = "get-stats",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "Progress", body = StatsView), ReadProblems)
)]
async fn get_stats(State(ivy): State<Ivy>, own: Own) -> Result<Json<StatsView>, Problem> {
    let me = ivy.me(own.user_id).await?;
    let now = ivy.now();
    let charity = ivy.charity_of(me.user()).await?;
    let today = me.date_at(now);
    let standing = me.progress().streak.standing(today);
    let (counters, user) = (&me.counters, me.user());
    let onboarded_on = user.onboarded_at.map(|at| user.days().date_of(at));
    let donated = me.wallet(now).lifetime_donated;
    let scores = &counters.scores;
    Ok(Json(StatsView {
        user_id: user.id,
        current_streak: standing.current,
        longest_streak: standing.longest,
        workouts_this_week: counters.workouts_in_week_of(today),
        workouts_this_month: counters.workouts_in_month_of(today),
        total_workouts: counters.total_workouts,
        weekly_goal: user.weekly_goal.get(),
        goal_completion_rate: counters.goal_completion_rate(onboarded_on, today, user.weekly_goal),
        impact: ImpactView {
            total_donated: donated.pounds(),
            impact_equivalent: impact::equivalent(donated, &charity),
            charity: charity.name,
        },
        transformation: TransformationView {
            energy: scores.energy.as_ref().map(Into::into),
            mood: scores.mood.as_ref().map(Into::into),
            confidence: scores.confidence.as_ref().map(Into::into),
        },
    }))
}
