//! `GET /api/users/{id}/stats/streak`: the streak, what is open today, and the last thirty days.

use axum::{Json, extract::State};
use ivy_domain::streak::{DayState, Milestone, Streak};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// How many days are shown.
const DAYS: i32 = 30;

/// A user's streak.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0192f0a0-1111-7000-8000-000000000001", "date": "2026-11-24",
    "current_streak": 12, "longest_streak": 23, "previous_streak": 4,
    "kept_today": false, "commitment_today": true, "at_risk": true,
    "next_milestone": {"kept_days": 30, "days_to_go": 18, "bonus": 10.0}, "rest_days_left_this_week": 1,
    "days": [{"date": "2026-11-23", "state": "kept"}, {"date": "2026-11-24", "state": "open"}],
}))]
pub struct StreakView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    /// The user's present local day: what "today" means here.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// Kept days of the current run.
    pub current_streak: u32,
    pub longest_streak: u32,
    /// The length of the run that ended last.
    pub previous_streak: u32,
    pub kept_today: bool,
    /// Whether something is due today: a planned workout or a preferred day, and not paused.
    pub commitment_today: bool,
    /// Whether the run ends with today unless it is kept or rested.
    pub at_risk: bool,
    /// Null when the run has had all bonuses.
    pub next_milestone: Option<MilestoneView>,
    /// How many rest days would still protect the run in this ISO week.
    #[schema(minimum = 0, maximum = 2)]
    pub rest_days_left_this_week: u32,
    /// The last 30 days in the order of time, today included.
    pub days: Vec<DayView>,
}

/// The next streak bonus.
#[derive(Debug, Serialize, ToSchema)]
pub struct MilestoneView {
    /// 7, 30 or 90.
    pub kept_days: u32,
    pub days_to_go: u32,
    /// Pounds; less where the wallet's period has less left.
    pub bonus: f64,
}

impl From<Milestone> for MilestoneView {
    fn from(next: Milestone) -> Self {
        Self { kept_days: next.kept_days, days_to_go: next.days_to_go, bonus: next.bonus.pounds() }
    }
}

/// What became of a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayView {
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// `kept`, `rested`, `frozen`, `missed`, `open` (today) or `no_commitment`.
    #[schema(example = "kept")]
    pub state: &'static str,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_streak))
}

/// Streak
#[utoipa::path(
    get, path = "/api/users/{id}/stats/streak", tag = "stats", operation_id = "get-streak",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "The streak and the last 30 days", body = StreakView), ReadProblems)
)]
async fn get_streak(State(ivy): State<Ivy>, own: Own) -> Result<Json<StreakView>, Problem> {
    let me = ivy.me(own.user_id).await?;
    Ok(Json(view(own, &me.progress().streak, me.date_at(ivy.now()))))
}

fn view(own: Own, streak: &Streak, today: Date) -> StreakView {
    let standing = streak.standing(today);
    let days = streak.calendar(today, DAYS);
    let open_today = days.last().is_some_and(|(_, state)| *state == DayState::Open);
    StreakView {
        user_id: own.user_id,
        date: today,
        current_streak: standing.current,
        longest_streak: standing.longest,
        previous_streak: standing.previous,
        kept_today: standing.kept_today,
        commitment_today: standing.commitment_today,
        at_risk: open_today && standing.current > 0,
        next_milestone: streak.next_milestone(today).map(Into::into),
        rest_days_left_this_week: streak.rest_days_left(today),
        days: days.into_iter().map(|(date, state)| DayView { date, state: state.name() }).collect(),
    }
}
