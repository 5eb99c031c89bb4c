//! `GET /api/charities`: who can be chosen to receive, by name.

use axum::{Json, extract::State};
use ivy_domain::charity::Charity;
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Cursor, Page, Problem, Query, ReadProblems, SignedIn, page::PageQuery, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// A charity that users can choose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0192f0a0-0000-7000-8000-000000000001", "name": "Mind", "impact_unit": "helpline calls", "impact_per_pound": 2.0,
    "is_default": true,
}))]
pub struct ListedCharityView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::CharityId,
    pub name: String,
    /// What is counted there, in the plural.
    pub impact_unit: String,
    /// How many of it a pound pays for.
    pub impact_per_pound: f64,
    /// Who receives for users that chose nobody.
    pub is_default: bool,
}

impl ListedCharityView {
    #[expect(clippy::cast_precision_loss, reason = "thousandths of a unit stay far below 2^53")]
    fn new(charity: &Charity, default: ivy_domain::CharityId) -> Self {
        Self {
            id: charity.id,
            name: charity.name.clone(),
            impact_unit: charity.impact_unit.clone(),
            impact_per_pound: charity.impact_per_pound_milli as f64 / 1000.0,
            is_default: charity.id == default,
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_charities))
}

/// List charities
#[utoipa::path(
    get, path = "/api/charities", tag = "donations", operation_id = "list-charities",
    params(PageQuery),
    responses((status = 200, description = "A page of charities, by name", body = Page<ListedCharityView>), ReadProblems)
)]
async fn list_charities(
    State(ivy): State<Ivy>,
    _: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ListedCharityView>>, Problem> {
    let (scope, keyring) = ("list-charities", ivy.store.keyring());
    let after = query.cursor.map(|cursor| Cursor::open(keyring, scope, &cursor)).transpose()?;
    let limit = usize::from(query.limit.unwrap_or_default().get());
    let charities = ivy.charities().await?;
    // They are few, and the process keeps them: a page is a part of that list, which begins behind a name.
    let begins = after.map_or(0, |after| charities.partition_point(|charity| position(charity) <= after));
    let page: Vec<&Charity> = charities.iter().skip(begins).take(limit).collect();
    let more = begins + page.len() < charities.len();
    let next = page.last().filter(|_| more).map(|last| Cursor::seal(keyring, scope, &position(last)));
    let default = ivy.settings.default_charity_id;
    Ok(Json(Page {
        items: page.into_iter().map(|charity| ListedCharityView::new(charity, default)).collect(),
        next_cursor: next,
    }))
}

/// A charity's place in the order of names; the sign between sorts before all that a name holds.
fn position(charity: &Charity) -> String {
    format!("{}\u{0}{}", charity.name, charity.id)
}
