//! The bench: a world with a meter in it, and the rows that were measured.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{body::Body, http::Method};
use ivy_world::{Client, Setup, World};
use jiff::SignedDuration;
use serde_json::Value;

use crate::{
    Rows,
    meter::{Cost, Meter},
    operations,
};

/// Further on than the window in which an account's requests are counted.
const A_MINUTE: SignedDuration = SignedDuration::from_secs(61);

pub(crate) struct Bench {
    pub(crate) world: World,
    meter: Arc<Meter>,
    rows: Mutex<Rows>,
    /// Method and path by operation id.
    routes: BTreeMap<String, (String, String)>,
}

impl Bench {
    /// Monday morning at ten, when nobody is called.
    pub(crate) async fn new() -> Self {
        let meter = Arc::new(Meter::default());
        let setup = Setup { gate: Some(meter.clone()), ..Setup::default() };
        let world = Box::pin(World::with("2026-11-23T10:00:00Z", setup)).await;
        let routes = operations().into_iter().map(|(id, method, path)| (id, (method, path))).collect();
        Self { world, meter, rows: Mutex::default(), routes }
    }

    pub(crate) fn into_rows(self) -> Rows {
        self.rows.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures a piece of work in a warm process: charities are in its memory, where they stay for ten minutes.
    pub(crate) async fn measure<T>(&self, work: impl Future<Output = T>) -> (T, Cost) {
        let ivy = &self.world.ivy;
        Box::pin(ivy.charity(self.world.charity())).await.unwrap();
        Box::pin(ivy.charities()).await.unwrap();
        self.meter.measure(Box::pin(work)).await
    }

    /// Keeps a row; of what happens often, the first.
    pub(crate) fn keep(&self, function: &str, case: &str, cost: Cost) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.entry((function.to_owned(), case.to_owned())).or_insert(cost);
    }

    /// Measures a request, a minute after the one before. The path has to be the function's own.
    pub(crate) async fn request(
        &self,
        (function, case): (&str, &str),
        client: &Client,
        path: &str,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        self.keyed((function, case), client, path, body, None, status).await
    }

    /// As [`Bench::request`], with an `Idempotency-Key`.
    pub(crate) async fn keyed(
        &self,
        (function, case): (&str, &str),
        client: &Client,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
        status: u16,
    ) -> Value {
        let (method, documented) = &self.routes[function];
        assert!(leads_to(path, documented), "{function} is {documented}, not {path}");
        self.world.advance(A_MINUTE).await;
        // A session that has to be renewed is renewed before.
        Box::pin(client.access_token()).await;
        let method: Method = method.to_uppercase().parse().unwrap();
        let mut headers = Vec::new();
        headers.extend(body.as_ref().map(|_| ("content-type", "application/json")));
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (reply, cost) = self.measure(client.send(method, path, &headers, body)).await;
        let answer = reply.expect(status);
        self.keep(function, case, cost);
        answer
    }
}

fn leads_to(path: &str, documented: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (path, documented): (Vec<_>, Vec<_>) = (path.split('/').collect(), documented.split('/').collect());
    path.len() == documented.len() && path.iter().zip(&documented).all(|(a, b)| b.starts_with('{') || a == b)
}
