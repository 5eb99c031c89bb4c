//! `GET /api/users/{id}/calls`: a user's calls, newest first.

use axum::{Json, extract::State};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Cursor, Own, Page, Problem, Query, ReadProblems, page::PageQuery, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_calls))
}

/// List calls
#[utoipa::path(
    get, path = "/api/users/{id}/calls", tag = "calls", operation_id = "list-calls",
    params(("id" = String, Path, description = "`me` or the own id"), PageQuery),
    responses((status = 200, description = "A page of calls, newest first", body = Page<CallView>), ReadProblems)
)]
async fn list_calls(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<CallView>>, Problem> {
    let scope = format!("list-calls/{}", own.user_id);
    let keyring = ivy.store.keyring();
    let after = query.cursor.map(|cursor| Cursor::open(keyring, &scope, &cursor)).transpose()?;
    let limit = query.limit.unwrap_or_default().get();
    let listed = ivy.store.list_calls(own.user_id, limit.into(), after.as_deref());
    let (_, page) = ivy.of_user(own.user_id, listed).await?;
    Ok(Json(Page {
        items: page.items.iter().map(|stored| CallView::from(&stored.call)).collect(),
        next_cursor: page.next.map(|position| Cursor::seal(keyring, &scope, &position)),
    }))
}
