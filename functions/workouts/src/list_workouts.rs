//! `GET /api/users/{id}/workouts`: a user's workouts between two local days, the latest day first.

use axum::{Json, extract::State};
use ivy_domain::workout::WorkoutStatus;
use ivy_flows::Ivy;
use ivy_runtime::{
    AppState, Cursor, Own, Page, Problem, Query, ReadProblems, SentCursor, page::Limit, query, routes, span,
};
use ivy_store::Days;
use jiff::civil::Date;
use utoipa_axum::router::OpenApiRouter;

use crate::view::WorkoutView;

query! {
    /// Which workouts.
    pub struct WorkoutQuery {
        /// The first local day.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
        pub from: Option<Date>,
        /// The last local day.
        #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
        pub to: Option<Date>,
        /// `planned`, `completed`, `partial`, `skipped` or `rest_day`.
        #[param(value_type = Option<String>, example = "completed")]
        pub status: Option<WorkoutStatus>,
        /// How many items at most: 1 to 100, by default 20.
        #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
        pub limit: Option<Limit>,
        /// Where the page before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
    also(from, to) { span::out_of_order(from, to) }
}

impl WorkoutQuery {
    /// A cursor goes on within the same filter only.
    fn scope(&self, own: Own) -> String {
        let day = |date: Option<Date>| date.map_or_else(String::new, |date| date.to_string());
        let status = self.status.map_or("", WorkoutStatus::name);
        format!("list-workouts/{}/{}/{}/{status}", own.user_id, day(self.from), day(self.to))
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_workouts))
}

/// List workouts
#[utoipa::path(
    get, path = "/api/users/{id}/workouts", tag = "workouts", operation_id = "list-workouts",
    params(("id" = String, Path, description = "`me` or the own id"), WorkoutQuery),
    responses((status = 200, description = "A page of workouts, the latest day first", body = Page<WorkoutView>), ReadProblems)
)]
async fn list_workouts(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<WorkoutQuery>,
) -> Result<Json<Page<WorkoutView>>, Problem> {
    span::in_order(query.from, query.to)?;
    let (scope, keyring) = (query.scope(own), ivy.store.keyring());
    let after = query.cursor.map(|cursor| Cursor::open(keyring, &scope, &cursor)).transpose()?;
    let limit = query.limit.unwrap_or_default().get().into();
    let days = Days { from: query.from, to: query.to };
    let listed = ivy.store.list_workouts(own.user_id, days, query.status, limit, after.as_deref());
    let (_, page) = ivy.of_user(own.user_id, listed).await?;
    Ok(Json(Page {
        items: page.items.iter().map(WorkoutView::from).collect(),
        next_cursor: page.next.map(|position| Cursor::seal(keyring, &scope, &position)),
    }))
}
