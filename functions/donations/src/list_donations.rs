//! `GET /api/users/{id}/donations`: what was donated for a user, newest first.

use axum::{Json, extract::State};
use ivy_domain::wallet::Donation;
use ivy_flows::{Error, Ivy};
use ivy_runtime::{
    AppState, Cursor, Own, Page, Problem, Query, ReadProblems, SentCursor, page::Limit, query, routes, span,
};
use ivy_store::{PageOf, Span};
use jiff::civil::Date;
use utoipa_axum::router::OpenApiRouter;

use crate::view::DonationView;

query! {
    /// Which donations.
    pub struct DonationQuery {
        /// The first local day on which they were made.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
        pub from: Option<Date>,
        /// The last one.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
        pub to: Option<Date>,
        /// How many items at most: 1 to 100, by default 20.
        #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
        pub limit: Option<Limit>,
        /// Where the page before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
    also(from, to) { span::out_of_order(from, to) }
}

impl DonationQuery {
    /// A cursor goes on within the same filter only.
    fn scope(&self, own: Own) -> String {
        let day = |date: Option<Date>| date.map_or_else(String::new, |date| date.to_string());
        format!("list-donations/{}/{}/{}", own.user_id, day(self.from), day(self.to))
    }

    /// The page. Only a filter needs to know where the user lives before it is read.
    async fn page(&self, ivy: &Ivy, own: Own, after: Option<&str>) -> Result<PageOf<Donation>, Error> {
        let (user, limit) = (own.user_id, self.limit.unwrap_or_default().get().into());
        if self.from.is_none() && self.to.is_none() {
            let listed = ivy.store.list_donations(user, Span::default(), limit, after);
            return Ok(ivy.of_user(user, listed).await?.1);
        }
        let profile = ivy.store.profile(user).await?.ok_or(Error::NotFound("user"))?;
        let made = crate::made_between(&profile.user.days(), self.from, self.to);
        Ok(ivy.store.list_donations(user, made, limit, after).await?)
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_donations))
}

/// List donations
#[utoipa::path(
    get, path = "/api/users/{id}/donations", tag = "donations", operation_id = "list-donations",
    params(("id" = String, Path, description = "`me` or the own id"), DonationQuery),
    responses((status = 200, description = "A page of donations, newest first", body = Page<DonationView>), ReadProblems)
)]
async fn list_donations(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<DonationQuery>,
) -> Result<Json<Page<DonationView>>, Problem> {
    span::in_order(query.from, query.to)?;
    let (scope, keyring) = (query.scope(own), ivy.store.keyring());
    let after = query.cursor.as_deref().map(|cursor| Cursor::open(keyring, &scope, cursor)).transpose()?;
    let page = query.page(&ivy, own, after.as_deref()).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for donation in &page.items {
        items.push(DonationView::new(donation, ivy.charity_or_former(donation.charity_id).await?));
    }
    let next_cursor = page.next.map(|position| Cursor::seal(keyring, &scope, &position));
    Ok(Json(Page { items, next_cursor }))
}
