//! `GET /api/users/{id}/impact`: what was donated for a user in all, to whom, and what it does there.
//!
//! Answered from the sums that each donation's transaction keeps, so the cost does not grow with the donations.

use axum::{Json, extract::State};
use ivy_domain::{Pence, impact};
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use ivy_store::Me;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CharityView;

/// A user's impact. Amounts are pounds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user_id": "0192f0a0-1111-7000-8000-000000000001",
    "total_donated": 92.5,
    "by_charity": [
        {"charity": {"id": "0192f0a0-0000-7000-8000-000000000001", "name": "Mind"}, "donated": 89.5,
         "impact_equivalent": "179 helpline calls"},
        {"charity": {"id": "0192f0a0-0000-7000-8000-000000000002", "name": "WaterAid"}, "donated": 3.0,
         "impact_equivalent": "9 days of clean water"},
    ],
    "this_period": {"period_start": "2026-11-01T03:00:00Z", "period_end": "2026-12-01T03:00:00Z", "donated": 8.0},
}))]
pub struct FullImpactView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    /// All that was ever donated.
    pub total_donated: f64,
    /// The most first; charities that received nothing are not listed.
    pub by_charity: Vec<CharityImpactView>,
    pub this_period: PeriodView,
}

/// What one charity received, and what it does there.
#[derive(Debug, Serialize, ToSchema)]
pub struct CharityImpactView {
    pub charity: CharityView,
    pub donated: f64,
    /// Rounded down; null for a charity that is none of ours any more.
    #[schema(example = "179 helpline calls")]
    pub impact_equivalent: Option<String>,
}

/// What was donated in the wallet's present period.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodView {
    #[schema(value_type = String, format = DateTime)]
    pub period_start: jiff::Timestamp,
    /// The first instant after the period.
    #[schema(value_type = String, format = DateTime)]
    pub period_end: jiff::Timestamp,
    pub donated: f64,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_impact))
}

/// Impact
#[utoipa::path(
    get, path = "/api/users/{id}/impact", tag = "donations", operation_id = "get-impact",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "What was donated and what it does", body = FullImpactView), ReadProblems)
)]
async fn get_impact(State(ivy): State<Ivy>, own: Own) -> Result<Json<FullImpactView>, Problem> {
    let me = ivy.me(own.user_id).await?;
    let wallet = me.wallet(ivy.now());
    Ok(Json(FullImpactView {
        user_id: me.id(),
        total_donated: wallet.lifetime_donated.pounds(),
        by_charity: by_charity(&ivy, &me).await?,
        this_period: PeriodView {
            period_start: wallet.period_start,
            period_end: wallet.period_end,
            donated: wallet.amount_used.pounds(),
        },
    }))
}

async fn by_charity(ivy: &Ivy, me: &Me) -> Result<Vec<CharityImpactView>, Error> {
    let mut sums: Vec<_> = me.counters.donated.iter().filter(|(_, donated)| **donated > Pence::ZERO).collect();
    sums.sort_by_key(|(id, donated)| (std::cmp::Reverse(**donated), **id));
    let mut views = Vec::with_capacity(sums.len());
    for (id, donated) in sums {
        let (charity, impact_equivalent) = match ivy.charity(*id).await {
            Ok(charity) => {
                let equivalent = impact::equivalent(*donated, &charity);
                (charity, Some(equivalent))
            }
            // What it did there is not known any more; that it was given is.
            Err(Error::NotFound(_)) => (ivy_flows::former_charity(*id), None),
            Err(other) => return Err(other),
        };
        views.push(CharityImpactView { donated: donated.pounds(), impact_equivalent, charity: charity.into() });
    }
    Ok(views)
}
