//! `GET /api/users/{id}/wallet`: what may still be donated for a user in this period, and what has been.

use axum::{Json, extract::State};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CharityView;

/// An Impact Wallet. Amounts are pounds.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletView {
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    #[schema(value_type = String, format = DateTime)]
    pub period_start: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub period_end: jiff::Timestamp,
    #[schema(example = 1.0)]
    pub donation_per_completion: f64,
    #[schema(example = 3.0)]
    pub daily_cap: f64,
    #[schema(example = 2.0)]
    pub daily_remaining: f64,
    #[schema(example = 20.0)]
    pub monthly_cap: f64,
    /// Donated in this period.
    #[schema(example = 1.0)]
    pub amount_used: f64,
    #[schema(example = 19.0)]
    pub monthly_remaining: f64,
    #[schema(example = 1.0)]
    pub lifetime_donated: f64,
    pub charity: CharityView,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_wallet))
}

/// The Impact Wallet
#[utoipa::path(
    get, path = "/api/users/{id}/wallet", tag = "donations", operation_id = "get-wallet",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "The wallet in its present period", body = WalletView), ReadProblems)
)]
async fn get_wallet(State(ivy): State<Ivy>, own: Own) -> Result<Json<WalletView>, Problem> {
    let me = ivy.me(own.user_id).await?;
    let now = ivy.now();
    let charity = ivy.charity_of(me.user()).await?;
    let wallet = me.wallet(now);
    let caps = ivy.caps_of(me.user()).await?;
    let remaining = wallet.remaining(me.date_at(now), caps);
    Ok(Json(WalletView {
        user_id: me.id(),
        period_start: wallet.period_start,
        period_end: wallet.period_end,
        donation_per_completion: caps.donation.pounds(),
        daily_cap: caps.daily.pounds(),
        daily_remaining: remaining.day.pounds(),
        monthly_cap: caps.monthly.pounds(),
        amount_used: wallet.amount_used.pounds(),
        monthly_remaining: remaining.period.pounds(),
        lifetime_donated: wallet.lifetime_donated.pounds(),
        charity: charity.into(),
    }))
}
