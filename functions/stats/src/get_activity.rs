//! `GET /api/users/{id}/stats/activity`: what happened in each day, week or month, for charts.
//!
//! Three queries, two of them at once: the user's state, then the workouts and the donations of the span. It costs half a unit
//! for each 4 KB of them twice over, about 40 for a busy year.

use axum::{Json, extract::State};
use ivy_domain::{
    activity::{Bucket, Step, activity},
    days,
};
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, Own, Problem, Query, ReadProblems, query, routes, span};
use ivy_store::{Days, Profile, Span};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The longest span.
const LONGEST_DAYS: i32 = 366;

query! {
    /// How and of which days.
    pub struct ActivityQuery {
        /// `day`, `week` (ISO weeks) or `month`; by default `day`.
        #[param(value_type = Option<String>, example = "week")]
        pub by: Option<Step>,
        /// The first local day; by default 30 days, 12 weeks or a year before `to`. The span has at most 366 days.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
        pub from: Option<Date>,
        /// The last local day; by default today.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
        pub to: Option<Date>,
    }
    also(from, to) { span::out_of_order(from, to) }
}

/// What happened over a span of days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0192f0a0-1111-7000-8000-000000000001", "by": "week", "from": "2026-11-16", "to": "2026-11-24",
    "items": [
        {"period": "2026-W47", "from": "2026-11-16", "to": "2026-11-22", "completed": 3, "partial": 1, "skipped": 0, "rested": 1,
         "planned": 0, "minutes": 110, "donated": 4.0},
        {"period": "2026-W48", "from": "2026-11-23", "to": "2026-11-24", "completed": 1, "partial": 0, "skipped": 0, "rested": 0,
         "planned": 1, "minutes": 30, "donated": 1.0},
    ],
}))]
pub struct ActivityView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    #[schema(example = "week")]
    pub by: &'static str,
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// In the order of time, those without activity included.
    pub items: Vec<BucketView>,
}

/// What happened in a day, week or month.
#[derive(Debug, Serialize, ToSchema)]
pub struct BucketView {
    /// `2026-11-23`, `2026-W48` or `2026-11`.
    #[schema(example = "2026-W48")]
    pub period: String,
    /// The first and the last of its days that lie in the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    pub completed: u32,
    pub partial: u32,
    pub skipped: u32,
    pub rested: u32,
    /// Plans that are not logged.
    pub planned: u32,
    /// Minutes of completed and partial workouts: as reported, else as planned where it was completed.
    pub minutes: u32,
    /// Pounds donated on these days, streak bonuses included.
    #[schema(example = 4.0)]
    pub donated: f64,
}

impl From<Bucket> for BucketView {
    fn from(bucket: Bucket) -> Self {
        Self {
            period: bucket.name,
            from: bucket.from,
            to: bucket.to,
            completed: bucket.completed,
            partial: bucket.partial,
            skipped: bucket.skipped,
            rested: bucket.rested,
            planned: bucket.planned,
            minutes: bucket.minutes,
            donated: bucket.donated.pounds(),
        }
    }
}

const fn usual_days(by: Step) -> i32 {
    match by {
        Step::Day => 30,
        Step::Week => 12 * 7,
        Step::Month => 365,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_activity))
}

/// Activity over time
#[utoipa::path(
    get, path = "/api/users/{id}/stats/activity", tag = "stats", operation_id = "get-activity",
    params(("id" = String, Path, description = "`me` or the own id"), ActivityQuery),
    responses((status = 200, description = "What happened, by day, week or month", body = ActivityView), ReadProblems)
)]
async fn get_activity(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<ActivityQuery>,
) -> Result<Json<ActivityView>, Problem> {
    let profile = ivy.store.profile(own.user_id).await.map_err(Error::from)?.ok_or(Error::NotFound("user"))?;
    let by = query.by.unwrap_or_default();
    let today = profile.user.days().date_of(ivy.now());
    let (from, to) = span::bounded(query.from, query.to, today, usual_days(by), LONGEST_DAYS)?;
    let buckets = buckets(&ivy, &profile, by, from, to).await?;
    let items = buckets.into_iter().map(Into::into).collect();
    Ok(Json(ActivityView { user_id: own.user_id, by: by.name(), from, to, items }))
}

async fn buckets(ivy: &Ivy, profile: &Profile, by: Step, from: Date, to: Date) -> Result<Vec<Bucket>, Error> {
    let (user, local) = (profile.user.id, profile.user.days());
    let made = Span { from: Some(local.begins_at(from)), until: Some(local.begins_at(days::plus_days(to, 1))) };
    let (workouts, donations) = tokio::try_join!(
        ivy.store.workouts_between(user, Days { from: Some(from), to: Some(to) }),
        ivy.store.donations_between(user, made)
    )?;
    let donated: Vec<_> =
        donations.iter().map(|donation| (local.date_of(donation.created_at), donation.amount)).collect();
    Ok(activity(by, from, to, &workouts, &donated))
}
