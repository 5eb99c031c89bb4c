//! `GET /api/users/{id}/export`: everything that is the user's, opened, as one JSON document. Its format has a version and
//! stands in `docs/export.md`.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use ivy_flows::{Ivy, export};
use ivy_runtime::{AppState, Cursor, Own, Problem, Query, ReadProblems, SentCursor, query, routes};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

query! {
    /// Which part of the export.
    pub struct ExportQuery {
        /// Where the part before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
}

/// A part of the export. Nearly everybody's export is one part.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView {
    /// `format` and `version`, `exported_at`, `profile`, `present`, and the lists that docs/export.md describes.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub document: Map<String, Value>,
    /// Give this as `cursor` for the next part; null on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

impl std::fmt::Debug for ExportView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportView").finish_non_exhaustive()
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(export_user))
}

/// Export the own data
#[utoipa::path(
    get, path = "/api/users/{id}/export", tag = "users", operation_id = "export-user",
    params(("id" = String, Path, description = "`me` or the own id"), ExportQuery),
    responses((status = 200, description = "Everything, or a part of it", body = ExportView), ReadProblems)
)]
async fn export_user(
    State(ivy): State<Ivy>,
    own: Own,
    Query(query): Query<ExportQuery>,
) -> Result<([(HeaderName, &'static str); 1], Json<ExportView>), Problem> {
    let scope = format!("export-user/{}", own.user_id);
    let keyring = ivy.store.keyring();
    let after = query.cursor.map(|cursor| Cursor::open(keyring, &scope, &cursor)).transpose()?;
    let part = export::export_user(&ivy, own.user_id, after).await?;
    let next_cursor = part.next.map(|position| Cursor::seal(keyring, &scope, &position));
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ExportView { document: part.document, next_cursor })))
}
