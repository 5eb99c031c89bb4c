//! `GET /api/calls/{id}`: a call with its history, and the transcript for its owner.

use axum::{Json, extract::State};
use ivy_domain::CallId;
use ivy_flows::Ivy;
use ivy_runtime::{AppState, PathId, Problem, ReadProblems, SignedIn, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

/// A call with what was said in it. Transcripts are kept for 90 days.
#[derive(Serialize, ToSchema)]
pub struct CallDetailView {
    #[serde(flatten)]
    pub call: CallView,
    pub transcript: Option<String>,
    pub summary: Option<String>,
}

impl std::fmt::Debug for CallDetailView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallDetailView({})", self.call.id)
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_call))
}

/// Read a call
#[utoipa::path(
    get, path = "/api/calls/{id}", tag = "calls", operation_id = "get-call",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The call", body = CallDetailView), ReadProblems)
)]
async fn get_call(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<CallId>,
) -> Result<Json<CallDetailView>, Problem> {
    let found = ivy.store.call_with_transcript(who.user_id, id, ivy.now()).await.map_err(ivy_flows::Error::from)?;
    let (stored, words) = found.ok_or(ivy_flows::Error::NotFound("call"))?;
    Ok(Json(CallDetailView {
        call: CallView::from(&stored.call),
        transcript: words.transcript,
        summary: words.summary,
    }))
}
