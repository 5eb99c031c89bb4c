//! The world itself: what runs, and how time moves.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use aws_sdk_dynamodb::{Client as DynamoDb, types::AttributeValue};
use axum::{
    Router,
    body::Body,
    http::{Method, StatusCode},
};
use ivy_domain::{CharityId, charity::Charity};
use ivy_flows::{Clock as _, Ivy, Settings, ports::Queue};
use ivy_providers::{Secret, http_client, retell::Retell, stripe::Stripe, twilio::Twilio, whatsapp::WhatsApp};
use ivy_runtime::{AppState, batch, config::HttpConfig, http::harden, jobs};
use ivy_simulators::{Delivery, Secrets, Simulators, Webhook};
use ivy_store::{Keyring, Store, TokenKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    Client, PersonBuilder, QueuedMessage, Reply, TestClock, TestMailer, TestQueues, TestTimers,
    api::{self, WebhookSecrets},
    gate::{Gate, OpenGate},
    relay,
    table::{self, Stream},
};

/// What Meta was told when the webhook was set up.
pub const VERIFY_TOKEN: &str = "whatsapp_verify_token_test";
const MASTER_KEY: &[u8] = b"the master key of the in-process world";
/// The name of the in-memory table.
pub const TABLE: &str = "ivy-world";

/// Everything, in one process.
pub struct World {
    pub ivy: Ivy,
    pub clock: Arc<TestClock>,
    pub simulators: Simulators,
    pub queues: Arc<TestQueues>,
    pub timers: Arc<TestTimers>,
    pub mailer: Arc<TestMailer>,
    pub retell: Retell,
    stripe: Stripe,
    whatsapp: WhatsApp,
    twilio: Twilio,
    pub table: DynamoDb,
    app: Router,
    /// What was inserted into the outbox, in order.
    stream: Stream,
    /// How much of it was carried out.
    published: AtomicUsize,
    /// The outbox is not carried out while this is set.
    outbox_stopped: Mutex<bool>,
    /// Webhooks stay with the providers while this is set.
    webhooks_held: AtomicBool,
    addresses: AtomicU32,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// What the calendar starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    PlanDay,
    ResetWallets,
    SendReminders,
    WeeklySummaries,
    MonthlyReceipts,
    SweepCalls,
}

/// What a world is built with, where a test wants it otherwise.
#[derive(Debug)]
pub struct Setup {
    /// Stands between the functions and everything outside of them.
    pub gate: Option<Arc<dyn Gate>>,
    /// How often the table's client tries a request; production's three.
    pub table_attempts: u32,
    pub settings: Settings,
}

impl Default for Setup {
    fn default() -> Self {
        Self { gate: None, table_attempts: 3, settings: Settings::for_testing() }
    }
}

/// The first number of six or eight digits in a text.
fn code_in(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().map(|word| word.trim_matches(|c: char| c.is_ascii_punctuation()));
    words.find(|word| matches!(word.len(), 6 | 8) && word.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
}

impl World {
    /// A world on Monday 23 November 2026, 06:00 in London.
    pub async fn new() -> Self {
        Self::at("2026-11-23T06:00:00Z").await
    }

    /// A world at a time.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn at(now: &str) -> Self {
        Box::pin(Self::with(now, Setup::default())).await
    }

    /// A world at a time, built otherwise than usual.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn with(now: &str, setup: Setup) -> Self {
        // With IVY_LOG set, what the functions log is shown.
        if std::env::var_os("IVY_LOG").is_some() {
            ivy_runtime::telemetry::install(ivy_runtime::config::LogLevel::Info);
        }
        let now: Timestamp = now.parse().unwrap();
        let clock = Arc::new(TestClock::at(now));
        let gated = setup.gate.is_some();
        let gate = setup.gate.unwrap_or_else(|| Arc::new(OpenGate));
        let (table, stream) = table::open(gate.clone(), setup.table_attempts);
        ivy_store::create_table(&table, TABLE).await.unwrap();
        let keyring = Keyring::from_master_key(MASTER_KEY);
        let store = Store::new(table.clone(), TABLE.to_owned(), keyring);
        let settings = setup.settings;
        let charity = Charity {
            id: settings.default_charity_id,
            name: "Mind".to_owned(),
            impact_unit: "helpline calls".to_owned(),
            impact_per_pound_milli: 2000,
        };
        store.put_charity(&charity).await.unwrap();
        let ivy = Ivy::new(store, clock.clone(), Arc::new(settings));
        let secrets = Secrets::for_testing();
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let simulators = Simulators::start(secrets.clone(), address, Delivery::Manual).await.unwrap();
        simulators.set_time(now);
        let http = http_client();
        let providers = simulators.url();
        let relayed = if gated { relay::start(gate.clone(), simulators.clone()).await } else { providers.clone() };
        let url = |url: String| url.replace(&providers, &relayed).parse().unwrap();
        let secret = |text: &str| Secret::from(text.to_owned());
        let whatsapp = WhatsApp::new(
            http.clone(),
            url(simulators.whatsapp_url()),
            secrets.whatsapp_phone_number_id.clone(),
            secret(&secrets.whatsapp_token),
        );
        let app = app(&ivy, &secrets, &whatsapp);
        Self {
            retell: Retell::new(http.clone(), url(simulators.retell_url()), secret(&secrets.retell_api_key)),
            stripe: Stripe::new(http.clone(), url(simulators.stripe_url()), secret(&secrets.stripe_secret_key)),
            whatsapp,
            twilio: Twilio::new(
                http,
                url(simulators.twilio_url()),
                secrets.twilio_account_sid.clone(),
                secret(&secrets.twilio_auth_token),
                secrets.twilio_from.clone(),
            ),
            queues: Arc::new(TestQueues::new(clock.clone(), gate.clone())),
            timers: Arc::new(TestTimers::new(gate.clone())),
            mailer: Arc::new(TestMailer::new(gate)),
            stream,
            published: AtomicUsize::new(0),
            outbox_stopped: Mutex::new(false),
            webhooks_held: AtomicBool::new(false),
            addresses: AtomicU32::new(1),
            ivy,
            clock,
            simulators,
            table,
            app,
        }
    }

    /// Starts the functions anew with these token keys. Clients that were made before still talk to those that run.
    pub fn rotate_token_keys(&mut self, keys: Vec<TokenKey>) {
        let keyring = Keyring::from_master_key(MASTER_KEY).with_token_keys(keys);
        let store = Store::new(self.table.clone(), TABLE.to_owned(), keyring);
        self.ivy = Ivy::new(store, self.clock.clone(), self.ivy.settings.clone());
        self.app = app(&self.ivy, &Secrets::for_testing(), &self.whatsapp);
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    #[must_use]
    pub fn charity(&self) -> CharityId {
        self.ivy.settings.default_charity_id
    }

    /// A client that is not signed in, at an address of its own.
    #[must_use]
    pub fn client(&self) -> Client {
        let number = self.addresses.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number).to_string();
        Client { app: self.app.clone(), clock: self.clock.clone(), session: None, token: None, address }
    }

    /// Somebody to sign up.
    #[must_use]
    pub fn person(&self, phone: &str) -> PersonBuilder {
        PersonBuilder::new(phone)
    }

    /// The code in the newest message at a handset.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn code_for(&self, phone: &str) -> String {
        let messages = self.simulators.handset(phone);
        messages.iter().rev().find_map(|message| code_in(&message.text)).expect("a code arrived at the handset")
    }

    /// The code in the newest mail to an address.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn mailed_code(&self, email: &str) -> String {
        let mails = self.mailer.sent();
        let mut to_them = mails.iter().rev().filter(|mail| mail.to == email);
        to_them.find_map(|mail| code_in(&mail.text)).expect("a code was mailed")
    }

    fn set_time(&self, now: Timestamp) {
        self.clock.set(now);
        self.simulators.set_time(now);
    }

    /// Moves time on: every timer and delayed message on the way has its moment, in order.
    pub async fn advance(&self, by: SignedDuration) {
        self.advance_to(self.now() + by).await;
    }

    pub async fn advance_to(&self, until: Timestamp) {
        self.settle().await;
        loop {
            let timer = self.timers.set_timers().first().map(|timer| timer.at);
            let next = [timer, self.queues.next_visible_at()].into_iter().flatten().min();
            match next.filter(|at| *at <= until) {
                Some(at) => self.set_time(at.max(self.now())),
                None => break,
            }
            self.settle().await;
        }
        self.set_time(until);
        self.settle().await;
    }

    /// Lets everything happen that is due now, until nothing moves any more.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub async fn settle(&self) {
        for _ in 0..500 {
            let mut moved = self.publish_outbox().await;
            for timer in self.timers.take_due(self.now()) {
                self.queues.put(timer.queue, timer.body, self.now());
                moved = true;
            }
            while let Some(message) = self.queues.take() {
                moved = true;
                if !self.deliver_message(&message).await {
                    self.queues.give_back(message);
                }
                self.publish_outbox().await;
            }
            let held = self.webhooks_held.load(Ordering::Relaxed);
            for webhook in if held { Vec::new() } else { self.simulators.take_webhooks() } {
                moved = true;
                self.deliver(&webhook).await;
            }
            if !moved {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Hands a queue's message to its function; whether it was dealt with.
    pub async fn deliver_message(&self, message: &QueuedMessage) -> bool {
        let event = sqs_event(message);
        let (ivy, retell) = (self.ivy.clone(), self.retell.clone());
        let queues = self.queues.clone();
        let answer = match message.queue {
            Queue::DueCalls => {
                let handler = move |record| {
                    ivy_calls::place_call::place_call(ivy.clone(), retell.clone(), queues.clone(), record)
                };
                Box::pin(batch::handle_sqs(event, "world", handler)).await
            }
            Queue::Messages => {
                let clients = ivy_messages::send_message_worker::Clients {
                    whatsapp: self.whatsapp.clone(),
                    twilio: self.twilio.clone(),
                    mailer: self.mailer.clone(),
                    queues,
                    timers: self.timers.clone(),
                    sms_status_url: Some("http://localhost/webhooks/twilio".parse().unwrap()),
                };
                let handler =
                    move |record| ivy_messages::send_message_worker::send_message(ivy.clone(), clients.clone(), record);
                Box::pin(batch::handle_sqs(event, "world", handler)).await
            }
            // No function consumes them: people do.
            Queue::MessagesDead | Queue::OutboxDead | Queue::Reviews => return false,
            Queue::EraseUsers => {
                let (twilio, stripe) = (self.twilio.clone(), Some(self.stripe.clone()));
                let clients = ivy_users::erase_user::Clients { retell, twilio, stripe, queues };
                let handler = move |record| ivy_users::erase_user::erase_user(ivy.clone(), clients.clone(), record);
                Box::pin(batch::handle_sqs(event, "world", handler)).await
            }
            Queue::PlanUsers => {
                let handler = move |record| ivy_calls::plan_users::plan_users(ivy.clone(), queues.clone(), record);
                Box::pin(batch::handle_sqs(event, "world", handler)).await
            }
        };
        answer.unwrap()["batchItemFailures"] == json!([])
    }

    /// Keeps webhooks with the providers, for a test that delivers them late, or never.
    pub fn hold_webhooks(&self, held: bool) {
        self.webhooks_held.store(held, Ordering::Relaxed);
    }

    /// Stops or starts the outbox's delivery.
    pub fn stop_outbox(&self, stopped: bool) {
        *self.outbox_stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
    }

    /// Carries out what is new in the outbox; whether there was anything.
    pub async fn publish_outbox(&self) -> bool {
        if *self.outbox_stopped.lock().unwrap_or_else(PoisonError::into_inner) {
            return false;
        }
        let fresh = self.take_stream(usize::MAX);
        if fresh.is_empty() {
            return false;
        }
        let done = self.carry_out(&fresh).await;
        assert_eq!(done, fresh.len(), "an effect was not carried out");
        true
    }

    /// Takes what the stream brings next, oldest first.
    pub fn take_stream(&self, most: usize) -> Vec<Value> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let from = self.published.load(Ordering::Relaxed);
        let until = stream.len().min(from.saturating_add(most));
        self.published.store(until, Ordering::Relaxed);
        stream[from..until].to_vec()
    }

    /// Everything in the outbox once more, as a stream may.
    pub async fn republish_outbox(&self) {
        self.published.store(0, Ordering::Relaxed);
        self.publish_outbox().await;
    }

    /// Hands outbox items to `publish-outbox` in one batch; how many of them it dealt with, from the first on.
    pub async fn carry_out(&self, items: &[Value]) -> usize {
        let records: Vec<Value> = items.iter().enumerate().map(|(index, item)| stream_record(index, item)).collect();
        let (clock, queues, timers) = (self.clock.clone(), self.queues.clone(), self.timers.clone());
        let handler = move |record| {
            ivy_messages::publish_outbox::publish_outbox(clock.clone(), queues.clone(), timers.clone(), record)
        };
        let answer = Box::pin(batch::handle_stream(json!({"Records": records}), "world", handler)).await.unwrap();
        let failed = answer["batchItemFailures"][0]["itemIdentifier"].as_str();
        failed.map_or(items.len(), |index| index.parse().unwrap())
    }

    /// Posts a webhook to the API, as its provider does.
    pub async fn deliver(&self, webhook: &Webhook) -> StatusCode {
        self.post_webhook(webhook).await.status
    }

    /// Posts a webhook and answers what came back.
    pub async fn post_webhook(&self, webhook: &Webhook) -> Reply {
        let headers: Vec<(&str, &str)> = webhook.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.client().send(Method::POST, &webhook.path, &headers, Body::from(webhook.body.clone())).await
    }

    /// Somebody calls Ivy: the provider asks who speaks, and the call runs. Answers its id at the provider and what was answered.
    pub async fn call_in(&self, phone: &str) -> (String, Value) {
        let (call_id, question) = self.simulators.call_in(phone);
        let answer = self.post_webhook(&question).await.expect(200);
        self.simulators.begin_inbound(&call_id, phone, &answer);
        self.settle().await;
        (call_id, answer)
    }

    /// The agent of a running call uses a tool; what it is told.
    pub async fn use_tool(&self, call_id: &str, name: &str, args: Value) -> Value {
        let webhook = self.simulators.use_tool(call_id, name, &args);
        let answer = self.post_webhook(&webhook).await.expect(200);
        self.settle().await;
        answer
    }

    /// Runs a job for an event's time and nothing else; whether it went through.
    pub async fn try_job(&self, job: Job, scheduled: Timestamp) -> bool {
        let (ivy, retell, queues) = (self.ivy.clone(), self.retell.clone(), self.queues.clone());
        let run = async |at| match job {
            Job::PlanDay => ivy_calls::plan_day::plan_day(queues, at).await,
            Job::ResetWallets => ivy_donations::reset_wallets::reset_wallets(queues, at).await,
            Job::SendReminders => ivy_messages::send_reminders::send_reminders(ivy, queues, at).await,
            Job::WeeklySummaries => ivy_messages::weekly_summaries::weekly_summaries(queues, at).await,
            Job::MonthlyReceipts => ivy_messages::monthly_receipts::monthly_receipts(queues, at).await,
            Job::SweepCalls => ivy_calls::sweep_calls::sweep_calls(ivy, retell, queues).await,
        };
        Box::pin(jobs::handle(&json!({"time": scheduled}), "world", run)).await.is_ok()
    }

    /// Runs a job for an event's time, and lets happen what comes of it.
    pub async fn run_job(&self, job: Job, scheduled: Timestamp) {
        assert!(self.try_job(job, scheduled).await, "{job:?} failed");
        self.settle().await;
    }

    /// Runs `plan-day` for the hour of a moment.
    pub async fn plan_day(&self, hour: Timestamp) {
        self.run_job(Job::PlanDay, hour).await;
    }

    /// Runs `sweep-calls` now.
    pub async fn sweep(&self) {
        self.run_job(Job::SweepCalls, self.now()).await;
    }

    /// All items of an entity (an empty name: of all).
    pub async fn items(&self, entity: &str) -> Vec<ivy_store::Item> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let request = self.table.scan().table_name(TABLE).set_exclusive_start_key(start);
            let page = Box::pin(request.send()).await.unwrap();
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        found.retain(|item| {
            entity.is_empty() || item.get("entity").and_then(|v| v.as_s().ok()).is_some_and(|name| name == entity)
        });
        found
    }

    /// Everything in the table but what counts requests: to compare before and after.
    pub async fn snapshot(&self) -> Vec<String> {
        let mut items = self.items("").await;
        items.retain(|item| item.get("entity") != Some(&AttributeValue::S("rate_limit".to_owned())));
        let mut lines: Vec<String> = items.into_iter().map(|item| in_order(&AttributeValue::M(item))).collect();
        lines.sort();
        lines
    }

    /// # Panics
    /// When the table is not as it was at a snapshot; shows what differs.
    pub async fn assert_nothing_written(&self, before: &[String]) {
        let after = self.snapshot().await;
        let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
        let fresh: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
        assert!(gone.is_empty() && fresh.is_empty(), "something was written:\nbefore {gone:#?}\nafter {fresh:#?}");
    }
}

/// Every function's router behind one door.
fn app(ivy: &Ivy, secrets: &Secrets, whatsapp: &WhatsApp) -> Router {
    let webhook_secrets = WebhookSecrets {
        whatsapp: whatsapp.clone(),
        twilio_auth_token: secrets.twilio_auth_token.clone(),
        retell_api_key: secrets.retell_api_key.clone(),
        whatsapp_app_secret: secrets.whatsapp_app_secret.clone(),
        whatsapp_verify_token: VERIFY_TOKEN.to_owned(),
    };
    let (router, _) = api::split(&webhook_secrets);
    harden(router.with_state(AppState::new(ivy.clone())), &HttpConfig::for_testing())
}

/// A value in words, its fields in the order of their names: the table's own maps have none.
fn in_order(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", in_order(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
        AttributeValue::L(items) => {
            let items: Vec<_> = items.iter().map(in_order).collect();
            format!("[{}]", items.join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn sqs_event(message: &QueuedMessage) -> Value {
    json!({"Records": [{
        "messageId": message.id,
        "receiptHandle": "handle",
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": message.receive_count.to_string(), "SentTimestamp": "1795000000000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-2:000000000000:world",
        "awsRegion": "eu-west-2",
    }]})
}

fn stream_record(index: usize, item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    let image: serde_json::Map<String, Value> = fields
        .filter(|(_, value)| value.is_string())
        .map(|(name, value)| (name.clone(), json!({"S": value})))
        .collect();
    json!({
        "eventID": index.to_string(),
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"NewImage": image, "SequenceNumber": index.to_string(), "StreamViewType": "NEW_IMAGE"},
    })
}
