//! `GET /api/users/{id}/receipts`: what was given on a user's behalf, month by month, newest first.
//!
//! A receipt is made of sums that each donation's transaction adds to, so it says what was given whatever was corrected since,
//! and costs one query however many donations there were. A donation stands in the user's local month in which it was made.
//! The donor is whoever pays: the user's company at that time, else Ivy. A receipt therefore is no proof of a donation by the
//! user, and says whose it is on every line.

use std::fmt;

use axum::{Json, extract::State};
use ivy_domain::{Invalid, Pence, User, days};
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, Cursor, Own, Page, Problem, Query, ReadProblems, SentCursor, page::Limit, query, routes};
use ivy_store::{Receipt, ReceiptLine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CharityView;

/// Who gives where no company does.
const IVY: &str = "Ivy";

/// A month, such as `2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Month(String);

impl TryFrom<String> for Month {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        let first: Option<jiff::civil::Date> = format!("{text}-01").parse().ok();
        match first {
            Some(first) if days::month(first) == text => Ok(Self(text)),
            _ => Err(Invalid::new("must be a month, such as 2026-11")),
        }
    }
}

query! {
    /// Which receipts.
    pub struct ReceiptQuery {
        /// One month's only.
        #[param(value_type = Option<String>, example = "2026-11")]
        pub month: Option<Month>,
        /// How many items at most: 1 to 100, by default 20.
        #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
        pub limit: Option<Limit>,
        /// Where the page before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
}

/// What was given on a user's behalf in one month. Amounts are pounds.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "month": "2026-11", "complete": false, "on_behalf_of": "Mara Lane", "total": 8.0, "donations": 6,
    "lines": [{"charity": {"id": "0192f0a0-0000-7000-8000-000000000001", "name": "Mind"}, "donor": "Ivy", "amount": 8.0, "donations": 6}],
}))]
pub struct MonthReceiptView {
    pub month: String,
    /// Whether the month is over; until then more may come.
    pub complete: bool,
    /// The user's name.
    pub on_behalf_of: String,
    pub total: f64,
    pub donations: i64,
    /// By charity and donor, the most first.
    pub lines: Vec<ReceiptLineView>,
}

impl fmt::Debug for MonthReceiptView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MonthReceiptView({})", self.month)
    }
}

/// What one charity was given by one donor.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptLineView {
    pub charity: CharityView,
    /// Whose donation it is: the user's company at that time, or Ivy. It is not the user's own.
    #[schema(example = "Ivy")]
    pub donor: String,
    pub amount: f64,
    pub donations: i64,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_receipts))
}

/// List receipts
#[utoipa::path(
    get, path = "/api/users/{id}/receipts", tag = "donations", operation_id = "list-receipts",
    params(("id" = String, Path, description = "`me` or the own id"), ReceiptQuery),
    responses((status = 200, description = "A page of receipts, newest first; months without donations have none", body = Page<MonthReceiptView>), ReadProblems)
)]
async fn list_receipts(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<ReceiptQuery>,
) -> Result<Json<Page<MonthReceiptView>>, Problem> {
    let month = query.month.as_ref().map(|month| month.0.as_str());
    let (scope, keyring) =
        (format!("list-receipts/{}/{}", own.user_id, month.unwrap_or_default()), ivy.store.keyring());
    let after = query.cursor.as_deref().map(|cursor| Cursor::open(keyring, &scope, cursor)).transpose()?;
    let limit = query.limit.unwrap_or_default().get().into();
    let listed = ivy.store.list_receipts(own.user_id, month, limit, after.as_deref());
    let (profile, page) = ivy.of_user(own.user_id, listed).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for receipt in page.items {
        items.push(view(&ivy, &profile.user, receipt).await?);
    }
    let next_cursor = page.next.map(|position| Cursor::seal(keyring, &scope, &position));
    Ok(Json(Page { items, next_cursor }))
}

async fn view(ivy: &Ivy, user: &User, receipt: Receipt) -> Result<MonthReceiptView, Error> {
    let total: Pence = receipt.lines.iter().map(|line| line.amount).sum();
    let donations = receipt.lines.iter().map(|line| line.donations).sum();
    let mut lines = Vec::with_capacity(receipt.lines.len());
    for line in receipt.lines {
        lines.push(line_view(ivy, line).await?);
    }
    let on_behalf_of = match &user.last_name {
        Some(last_name) => format!("{} {}", user.first_name.as_str(), last_name.as_str()),
        None => user.first_name.as_str().to_owned(),
    };
    let this_month = days::month(user.days().date_of(ivy.now()));
    let complete = receipt.month < this_month;
    Ok(MonthReceiptView { month: receipt.month, complete, on_behalf_of, total: total.pounds(), donations, lines })
}

async fn line_view(ivy: &Ivy, line: ReceiptLine) -> Result<ReceiptLineView, Error> {
    let donor = match line.company_id {
        Some(company) => ivy.company(company).await?.name,
        None => IVY.to_owned(),
    };
    let charity = ivy.charity_or_former(line.charity_id).await?.into();
    Ok(ReceiptLineView { charity, donor, amount: line.amount.pounds(), donations: line.donations })
}
