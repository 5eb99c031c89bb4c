//! `GET /api/users/{id}/stats/calls`: calls in numbers.
//!
//! Counted from the calls themselves: one read for the zone, one query over the span and the nine weeks before it, since a call's
//! id is as old as the request for it. Three months at three calls a day are some 450 items of 1 KB, about 115 units; that is
//! why the span is limited. Counters were rejected: a call changes its state often, and each change would cost a write more.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use ivy_domain::{call_stats::CallStats, days};
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, Own, Problem, Query, ReadProblems, query, routes, span};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

const USUAL_DAYS: i32 = 30;
const LONGEST_DAYS: i32 = 92;

query! {
    /// Of which days.
    pub struct CallStatsQuery {
        /// The first local day; by default 30 days before `to`. The span has at most 92 days.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
        pub from: Option<Date>,
        /// The last local day; by default today.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
        pub to: Option<Date>,
    }
    also(from, to) { span::out_of_order(from, to) }
}

/// Calls in numbers. A call counts on the local day for which it was scheduled; its retries are part of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallStatsView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    pub total: u32,
    /// By state, each state listed.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub by_state: BTreeMap<&'static str, u32>,
    /// By outcome, each outcome listed; calls without one are in none.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub by_outcome: BTreeMap<&'static str, u32>,
    /// By type, each type listed.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub by_type: BTreeMap<&'static str, u32>,
    /// Calls by Ivy that rang and are over.
    pub attempted: u32,
    /// Those of them in which the user was reached; a voicemail is none.
    pub answered: u32,
    /// `answered` per `attempted`; null before the first.
    #[schema(example = 0.86)]
    pub pickup_rate: Option<f64>,
    /// Of completed calls, whoever made them; null before the first.
    #[schema(example = 134)]
    pub average_duration_seconds: Option<u64>,
    #[schema(example = 53.6)]
    pub total_minutes: f64,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_call_stats))
}

/// Calls in numbers
#[utoipa::path(
    get, path = "/api/users/{id}/stats/calls", tag = "stats", operation_id = "get-call-stats",
    params(("id" = String, Path, description = "`me` or the own id"), CallStatsQuery),
    responses((status = 200, description = "Calls in numbers", body = CallStatsView), ReadProblems)
)]
async fn get_call_stats(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<CallStatsQuery>,
) -> Result<Json<CallStatsView>, Problem> {
    let profile = ivy.store.profile(own.user_id).await.map_err(Error::from)?.ok_or(Error::NotFound("user"))?;
    let local = profile.user.days();
    let today = local.date_of(ivy.now());
    let (from, to) = span::bounded(query.from, query.to, today, USUAL_DAYS, LONGEST_DAYS)?;
    let (begins, ends) = (local.begins_at(from), local.begins_at(days::plus_days(to, 1)));
    let calls = ivy.store.calls_between(own.user_id, begins, ends).await.map_err(Error::from)?;
    let stats = CallStats::of(calls.iter().map(|stored| &stored.call));
    Ok(Json(view(own, from, to, stats)))
}

fn view(own: Own, from: Date, to: Date, stats: CallStats) -> CallStatsView {
    CallStatsView {
        user_id: own.user_id,
        from,
        to,
        total: stats.total,
        attempted: stats.attempted,
        answered: stats.answered,
        pickup_rate: stats.pickup_rate(),
        average_duration_seconds: stats.average_seconds(),
        total_minutes: stats.total_minutes(),
        by_state: stats.by_state,
        by_outcome: stats.by_outcome,
        by_type: stats.by_type,
    }
}
