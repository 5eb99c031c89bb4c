//! AWS as the functions see it: one address for the table, the secret, queues, schedules and mail.
//!
//! The table is dynoxide in this process, on a real socket, so a function's client, signing and parsing are all at work; the
//! others take what they are given. With TLS the same router stands behind a certificate of a CA made for this run.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    serve::{Listener, ListenerExt as _},
};
use dynoxide::{Database, DynoxideError};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

use crate::failure::{Because as _, Failure};

#[derive(Clone)]
struct Services {
    database: Database,
    secret: Arc<str>,
    requests: Arc<AtomicUsize>,
}

/// The emulated services.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    /// Without TLS.
    pub(crate) url: String,
    /// With TLS.
    pub(crate) tls_url: String,
    /// The certificate, PEM, that whoever takes `tls_url` has to trust.
    pub(crate) authority: String,
    requests: Arc<AtomicUsize>,
}

impl Aws {
    pub(crate) async fn start(secret: &Value) -> Result<Self, Failure> {
        let database = Database::memory().because("the table in memory does not start")?;
        let requests = Arc::default();
        let services = Services { database, secret: secret.to_string().into(), requests: Arc::clone(&requests) };
        let router = Router::new().fallback(answer).with_state(services);
        let (plain, port) = listen().await?;
        let plain = plain.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        serve(plain, router.clone());
        let (tls, tls_port) = listen().await?;
        let (acceptor, authority) = certificate()?;
        serve(Tls { listener: tls, acceptor }, router);
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            tls_url: format!("https://localhost:{tls_port}"),
            authority,
            requests,
        })
    }

    /// How many requests came since the last time.
    pub(crate) fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

async fn listen() -> Result<(TcpListener, u16), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.because("no port for the emulated AWS")?;
    let port = listener.local_addr().because("no port for the emulated AWS")?.port();
    Ok((listener, port))
}

fn serve<L>(listener: L, router: Router)
where
    L: Listener + Send + 'static,
    L::Addr: std::fmt::Debug,
{
    tokio::spawn(async move {
        // It ends with the process.
        let _ = axum::serve(listener, router).await;
    });
}

/// A certificate of its own for `localhost`; a root and a leaf in one, as a client sees a chain of one.
fn certificate() -> Result<(TlsAcceptor, String), Failure> {
    let failed = "no certificate for the emulated AWS";
    let root_key = rcgen::KeyPair::generate().because(failed)?;
    let mut root = rcgen::CertificateParams::new(Vec::new()).because(failed)?;
    root.distinguished_name.push(rcgen::DnType::CommonName, "Ivy's benchmarks");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::DigitalSignature];
    let authority = root.self_signed(&root_key).because(failed)?;
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = rcgen::KeyPair::generate().because(failed)?;
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).because(failed)?;
    let leaf = leaf.signed_by(&key, &issuer).because(failed)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone(), authority.der().clone()], key)
        .because(failed)?;
    Ok((TlsAcceptor::from(Arc::new(config)), authority.pem()))
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that gives up is no reason to stop.
            let Ok((socket, address)) = self.listener.accept().await else { continue };
            let _ = socket.set_nodelay(true);
            if let Ok(stream) = self.acceptor.accept(socket).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn answer(
    State(services): State<Services>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, text) = match target.split_once('.') {
        Some(("secretsmanager", _)) => (200, secret(&services.secret)),
        Some(("AmazonSQS", _)) => (200, taken(&body)),
        Some((_, operation)) => run(&services.database, operation, &body),
        None if uri.path().starts_with("/schedules/") => (200, json!({"ScheduleArn": "arn:aws:scheduler"}).to_string()),
        None if uri.path().starts_with("/v2/email/") => (200, json!({"MessageId": "0100018f"}).to_string()),
        None => (404, json!({"__type": "UnknownOperation", "message": uri.path()}).to_string()),
    };
    services.requests.fetch_add(1, Ordering::Relaxed);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/x-amz-json-1.0")], text)
}

fn secret(values: &str) -> String {
    let arn = "arn:aws:secretsmanager:eu-west-2:000000000000:secret:bench";
    json!({"ARN": arn, "Name": "bench", "VersionId": "1", "SecretString": values}).to_string()
}

/// Every message of a batch is taken.
fn taken(body: &[u8]) -> String {
    let batch: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = batch["Entries"].as_array().map_or(&[][..], Vec::as_slice);
    let taken = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "6f1d2c3b-4a59-4e68-8d77-3c2b1a09f8e7", "MD5OfMessageBody": "99914b932bd37a50b983c5e7c90ae93b"});
    json!({"Successful": entries.iter().map(taken).collect::<Vec<_>>(), "Failed": []}).to_string()
}

fn run(database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match operation {
                $($name => serde_json::from_slice(body)
                    .map_err(|error| DynoxideError::SerializationException(error.to_string()))
                    .and_then(|request| database.$method(request))
                    .and_then(|answer| {
                        serde_json::to_string(&answer)
                            .map_err(|error| DynoxideError::SerializationException(error.to_string()))
                    }),)*
                other => Err(DynoxideError::SerializationException(format!("the table in memory has no {other}"))),
            }
        };
    }
    let answer = operations! {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "GetItem" => get_item,
        "PutItem" => put_item,
        "Query" => query,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UpdateItem" => update_item,
    };
    answer.map_or_else(|error| (error.status_code(), error.to_json()), |text| (200, text))
}
