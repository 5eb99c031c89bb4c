//! `POST /api/admin/auth/login`: an operator's or a company admin's e-mail address and password, for a token of their own
//! audience. It lives for an hour and is not renewed.

use axum::{Json, extract::State};
use ivy_domain::{AdminId, CompanyId, Email, admin::AdminRole};
use ivy_flows::{
    Ivy,
    admins::{self, AdminSignIn},
};
use ivy_runtime::{
    AppState, CallerAddress, Input, Problem, Sent, Tokens, WriteProblems, auth::ADMIN_TOKEN_SECONDS, input, routes,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

input! {
    #[schema(as = AdminLogin)]
    pub struct AdminLoginInput {
        #[schema(value_type = String, example = "sam@example.com")]
        pub email: Email,
        #[schema(value_type = String, format = Password, max_length = 200, example = "a long password of mine")]
        pub password: Sent<200>,
    }
}

/// A token and whose it is.
#[derive(Clone, Serialize, ToSchema)]
pub struct AdminSessionView {
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds that the token is good for; then sign in again.
    #[schema(example = 3600)]
    pub expires_in: i64,
    #[schema(value_type = String, format = Uuid)]
    pub admin_id: AdminId,
    /// `operator` or `company_admin`.
    #[schema(example = "company_admin")]
    pub role: &'static str,
    /// The company that an admin looks after; null for operators.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub company_id: Option<CompanyId>,
}

impl std::fmt::Debug for AdminSessionView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminSessionView({})", self.admin_id)
    }
}

impl AdminSessionView {
    fn new(access_token: String, admin_id: AdminId, role: AdminRole) -> Self {
        let (role, company_id) = (role.name(), role.company_id());
        Self { access_token, token_type: "Bearer", expires_in: ADMIN_TOKEN_SECONDS, admin_id, role, company_id }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(admin_login))
}

/// Sign in as an operator or a company's admin
#[utoipa::path(
    post, path = "/api/admin/auth/login", tag = "auth", operation_id = "admin-login", security(()),
    request_body = AdminLoginInput,
    responses((status = 200, description = "A token for the routes of its role", body = AdminSessionView), WriteProblems)
)]
async fn admin_login(
    State(ivy): State<Ivy>,
    State(tokens): State<Tokens>,
    CallerAddress(address): CallerAddress,
    Input(input): Input<AdminLoginInput>,
) -> Result<Json<AdminSessionView>, Problem> {
    let AdminSignIn { id, role } = admins::sign_in(&ivy, &input.email, &input.password, &address).await?;
    tracing::info!(event = "admin_signed_in", admin_id = %id, role = role.name());
    Ok(Json(AdminSessionView::new(tokens.issue_admin(id, role, ivy.now())?, id, role)))
}
