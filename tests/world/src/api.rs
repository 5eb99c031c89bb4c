//! All endpoints as one API: what the tests talk to, and what the OpenAPI document is made of.

use axum::Router;
use ivy_providers::{Secret, whatsapp::WhatsApp};
use ivy_runtime::AppState;
use ivy_webhooks::{
    retell_webhook::RetellKeys, twilio_status::TwilioKeys, whatsapp_verify::VerifyToken, whatsapp_webhook::AppSecrets,
};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, SecurityRequirement,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

/// What the webhooks' signatures are checked with, and who answers strangers.
#[derive(Debug, Clone)]
pub struct WebhookSecrets {
    pub whatsapp: WhatsApp,
    pub retell_api_key: String,
    pub whatsapp_app_secret: String,
    pub whatsapp_verify_token: String,
    pub twilio_auth_token: String,
}

/// Every endpoint's router, merged.
#[must_use]
pub fn api(secrets: &WebhookSecrets) -> OpenApiRouter<AppState> {
    let secret = |text: &String| Secret::from(text.clone());
    let retell = || RetellKeys(vec![secret(&secrets.retell_api_key)]);
    let twilio = || TwilioKeys::of(vec![secret(&secrets.twilio_auth_token)]);
    OpenApiRouter::with_openapi(frame())
        .merge(ivy_auth::request_magic_link::router())
        .merge(ivy_auth::verify_magic_link::router())
        .merge(ivy_auth::refresh_session::router())
        .merge(ivy_auth::end_session::router())
        .merge(ivy_auth::admin_login::router())
        .merge(ivy_users::create_user::router())
        .merge(ivy_users::onboard_user::router())
        .merge(ivy_users::get_user::router())
        .merge(ivy_users::update_user::router())
        .merge(ivy_users::pause_user::router())
        .merge(ivy_users::resume_user::router())
        .merge(ivy_users::set_consents::router())
        .merge(ivy_users::export_user::router())
        .merge(ivy_users::delete_user::router())
        .merge(ivy_workouts::create_workout::router())
        .merge(ivy_workouts::update_workout::router())
        .merge(ivy_workouts::get_workout::router())
        .merge(ivy_workouts::delete_workout::router())
        .merge(ivy_workouts::list_workouts::router())
        .merge(ivy_workouts::todays_workouts::router())
        .merge(ivy_calls::schedule_call::router())
        .merge(ivy_calls::initiate_call::router())
        .merge(ivy_calls::reschedule_call::router())
        .merge(ivy_calls::cancel_call::router())
        .merge(ivy_calls::get_call::router())
        .merge(ivy_calls::list_calls::router())
        .merge(ivy_calls::upcoming_calls::router())
        .merge(ivy_calls::record_outcome::router())
        .merge(ivy_messages::list_messages::router())
        .merge(ivy_messages::send_message::router())
        .merge(ivy_donations::get_wallet::router())
        .merge(ivy_donations::list_donations::router())
        .merge(ivy_donations::get_impact::router())
        .merge(ivy_donations::list_receipts::router())
        .merge(ivy_donations::list_charities::router())
        .merge(ivy_donations::log_donation::router())
        .merge(ivy_stats::get_stats::router())
        .merge(ivy_stats::get_streak::router())
        .merge(ivy_stats::get_activity::router())
        .merge(ivy_stats::get_transformation::router())
        .merge(ivy_stats::get_call_stats::router())
        .merge(ivy_stats::record_score::router())
        .merge(ivy_stats::delete_scores::router())
        .merge(ivy_stats::record_marker::router())
        .merge(ivy_webhooks::retell_webhook::router(retell()))
        .merge(ivy_webhooks::retell_inbound::router(retell()))
        .merge(ivy_webhooks::retell_function::router(retell()))
        .merge(ivy_webhooks::twilio_status::router(twilio()))
        .merge(ivy_webhooks::twilio_sms::router(twilio()))
        .merge(ivy_webhooks::whatsapp_verify::router(VerifyToken(secret(&secrets.whatsapp_verify_token))))
        .merge(ivy_webhooks::whatsapp_webhook::router(
            AppSecrets(vec![secret(&secrets.whatsapp_app_secret)]),
            secrets.whatsapp.clone(),
        ))
        .merge(ivy_system::health::router())
        .merge(ivy_system::api_docs::router())
}

/// The document around the paths: title, version, and whose tokens there are. A route that says nothing takes a user's;
/// others say `security(("operator" = []))`.
fn frame() -> OpenApi {
    let bearer = |description: &str| {
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        SecurityScheme::Http(token.description(Some(description)).build())
    };
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", bearer("A user's access token, from /api/auth/verify or /api/auth/refresh"))
        .security_scheme("company_admin", bearer("The token of a company's admin, from /api/admin/auth/login"))
        .security_scheme("operator", bearer("An operator's token, from /api/admin/auth/login"))
        .schema_from::<ivy_runtime::Problem>()
        .schema_from::<ivy_runtime::problem::WrongField>()
        .build();
    let info = InfoBuilder::new()
        .title("Ivy")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The voice-first accountability partner. Times are RFC 3339 in UTC, amounts are pounds, unknown fields are refused. \
             Errors are problem documents (RFC 9457).",
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("bearer", Vec::<String>::new())]))
        .build()
}

/// The router alone, and the document alone.
pub fn split(secrets: &WebhookSecrets) -> (Router<AppState>, OpenApi) {
    api(secrets).split_for_parts()
}

/// The OpenAPI document as it is checked in: pretty JSON with a line break at the end.
#[must_use]
pub fn document() -> String {
    let none = || String::from("not a secret");
    let nowhere = "http://localhost".parse().expect("an address");
    let secrets = WebhookSecrets {
        whatsapp: WhatsApp::new(ivy_providers::http_client(), nowhere, none(), Secret::from(none())),
        retell_api_key: none(),
        whatsapp_app_secret: none(),
        whatsapp_verify_token: none(),
        twilio_auth_token: none(),
    };
    let (_, document) = split(&secrets);
    let mut json = document.to_pretty_json().expect("the document can be written as JSON");
    json.push('\n');
    json
}
