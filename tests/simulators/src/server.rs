//! The HTTP server: one router for the three providers, the handset page and the console, and the layer that applies faults.
//!
//! A lost answer closes the connection's socket while the handler never answers, so the client sees what a network failure looks like.

use std::{
    future::pending,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post, put},
    serve::IncomingStream,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    Fault, Inner, Provider, console, retell, retell_admin, stripe, twilio, twilio_admin, whatsapp, whatsapp_admin,
};

/// A second handle on the request's socket, to close it with.
#[derive(Clone)]
struct Connection(Option<Arc<TcpStream>>);

impl Connected<IncomingStream<'_, TcpListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let handle = stream.io().as_fd().try_clone_to_owned().ok();
        Self(handle.map(|handle| Arc::new(TcpStream::from(handle))))
    }
}

type FaultState = (Arc<Inner>, Provider);

pub(crate) async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    let service = router(inner).into_make_service_with_connect_info::<Connection>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(%error, "the simulators stopped");
    }
}

fn router(inner: Arc<Inner>) -> Router {
    let faulty = |provider| from_fn_with_state((Arc::clone(&inner), provider), misbehave);
    let retell = Router::new()
        .route("/v2/create-phone-call", post(retell::create_phone_call))
        .route("/v2/get-call/{call_id}", get(retell::get_call))
        .route("/v2/stop-call/{call_id}", post(retell::stop_call))
        .route("/v2/delete-call/{call_id}", delete(retell::delete_call))
        .route("/v3/list-calls", post(retell::list_calls))
        .route("/get-concurrency", get(retell::get_concurrency))
        .route("/create-retell-llm", post(retell_admin::create_llm))
        .route("/get-retell-llm/{llm_id}", get(retell_admin::get_llm))
        .route("/v2/list-retell-llms", get(retell_admin::list_llms))
        .route("/update-retell-llm/{llm_id}", patch(retell_admin::update_llm))
        .route("/create-agent", post(retell_admin::create_agent))
        .route("/get-agent/{agent_id}", get(retell_admin::get_agent))
        .route("/v2/list-agents", get(retell_admin::list_agents))
        .route("/update-agent/{agent_id}", patch(retell_admin::update_agent))
        .route("/create-agent-version/{agent_id}", post(retell_admin::create_agent_version))
        .route("/publish-agent-version/{agent_id}", post(retell_admin::publish_agent_version))
        .route("/v2/list-phone-numbers", get(retell_admin::list_numbers))
        .route("/update-phone-number/{phone_number}", patch(retell_admin::update_number))
        .layer(faulty(Provider::Retell));
    let whatsapp = Router::new()
        .route("/{version}/{phone_number_id}/messages", post(whatsapp::messages))
        .route(
            "/{version}/{phone_number_id}/message_templates",
            get(whatsapp_admin::list_templates).post(whatsapp_admin::create_template),
        )
        .route(
            "/{version}/{phone_number_id}/subscribed_apps",
            get(whatsapp_admin::subscribed_apps).post(whatsapp_admin::subscribe_app),
        )
        .layer(faulty(Provider::WhatsApp));
    let twilio = Router::new()
        .route("/2010-04-01/Accounts/{account_sid}/Messages.json", post(twilio::messages).get(twilio::list_messages))
        .route("/2010-04-01/Accounts/{account_sid}/Messages/{file}", delete(twilio::delete_message))
        .route("/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers.json", get(twilio_admin::list_numbers))
        .route("/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{file}", post(twilio_admin::update_number))
        .layer(faulty(Provider::Twilio));
    Router::new()
        .nest("/retell", retell)
        .nest("/whatsapp", whatsapp)
        .nest("/twilio", twilio)
        .route("/stripe/v1/customers/{id}", delete(stripe::delete_customer))
        .route("/", get(console::page))
        .route("/handset", get(console::page))
        .route("/templates", get(console::page))
        .route("/simulator/templates", get(console::templates))
        .route("/simulator/state", get(console::state))
        .route("/simulator/rings", get(console::rings))
        .route("/simulator/faults", post(console::faults))
        .route("/simulator/persona/{phone}", put(console::persona))
        .route("/simulator/handset/{phone}", get(console::handset))
        .route("/simulator/handset/{phone}/{action}", post(console::act))
        .with_state(inner)
}

async fn misbehave(State((inner, provider)): State<FaultState>, request: Request, next: Next) -> Response {
    let Some(fault) = inner.faults.take(provider) else { return next.run(request).await };
    let connection = request.extensions().get::<ConnectInfo<Connection>>().map(|info| info.0.clone());
    match fault {
        Fault::Status(status) => refusal(provider, status, None),
        Fault::Error { status, code } => refusal(provider, status, Some(code)),
        Fault::TimeoutBefore => lose(&inner, connection).await,
        Fault::TimeoutAfterDoingTheWork => {
            next.run(request).await;
            lose(&inner, connection).await
        }
    }
}

async fn lose(inner: &Inner, connection: Option<Connection>) -> Response {
    tokio::time::sleep(inner.faults.holding()).await;
    match connection.and_then(|connection| connection.0) {
        Some(socket) => {
            // It fails if the client was gone already.
            let _ = socket.shutdown(Shutdown::Both);
            pending().await
        }
        None => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

fn refusal(provider: Provider, status: u16, code: Option<i64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = status.canonical_reason().unwrap_or("Error");
    let mut response = match provider {
        Provider::Retell => retell::error(status, message),
        Provider::WhatsApp => whatsapp::error(status, code.unwrap_or_else(|| whatsapp::usual_code(status)), message),
        Provider::Twilio => twilio::error(status, code.unwrap_or_else(|| twilio::usual_code(status)), message),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

/// JSON with a status; axum's own `Json` would need a type for every answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `+` and 7 to 15 digits, the first not zero.
pub(crate) fn is_e164(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
