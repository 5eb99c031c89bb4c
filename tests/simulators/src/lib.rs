//! The providers as Ivy meets them: Retell, WhatsApp and Twilio, speaking their wire formats over HTTP, signing
//! their webhooks with the documented algorithms, and keeping what arrived on each phone.
//!
//! Functions reach the simulators because every provider's base URL is configuration; they can't tell the difference.
//! For that reason this crate shares no code with the crates under test: shapes and signatures are written here a second time, from
//! the contracts, so that one mistake can't hide in both.
//!
//! Two ways to run: in process with [`Delivery::Manual`], where a test takes the webhooks and delivers them itself (twice, late, in the
//! wrong order), and as a server with [`Delivery::Post`], where they are posted with the provider's retries and a person plays the
//! user on the handset page. Nothing here is deployed.

mod calls;
mod clock;
mod console;
mod faults;
mod handset;
mod persona;
mod retell;
mod retell_admin;
mod server;
mod sign;
mod stripe;
mod twilio;
mod twilio_admin;
mod webhooks;
mod whatsapp;
mod whatsapp_admin;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

pub use crate::{
    calls::{CallStatus, Ring, SimulatedCall},
    faults::{Fault, Faults, Provider},
    handset::{Button, HandsetMessage, MessageStatus, ThreadEntry, Via},
    persona::{CallScript, Persona},
    webhooks::Webhook,
};

/// What both sides know: the keys that requests carry and webhooks are signed with, and the numbers.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// Bearer key of the API and HMAC key of Retell's webhooks.
    pub retell_api_key: String,
    pub whatsapp_token: String,
    pub whatsapp_app_secret: String,
    pub whatsapp_phone_number_id: String,
    pub twilio_account_sid: String,
    pub twilio_auth_token: String,
    pub stripe_secret_key: String,
    /// Sender of SMS, E.164.
    pub twilio_from: String,
    /// Caller's number of Ivy's calls, E.164.
    pub retell_from_number: String,
}

impl Secrets {
    /// Fixed values for tests and the local stack; none of them opens anything.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            retell_api_key: "key_simulated_retell".to_owned(),
            whatsapp_token: "simulated-whatsapp-token".to_owned(),
            whatsapp_app_secret: "simulated-whatsapp-app-secret".to_owned(),
            whatsapp_phone_number_id: "200000000000001".to_owned(),
            twilio_account_sid: "AC00000000000000000000000000000001".to_owned(),
            twilio_auth_token: "simulated-twilio-auth-token".to_owned(),
            stripe_secret_key: "sk_simulated_stripe".to_owned(),
            twilio_from: "+447700900990".to_owned(),
            retell_from_number: "+447700900991".to_owned(),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// Where webhooks go.
#[expect(clippy::large_enum_variant, reason = "one value in each process")]
#[derive(Debug, Clone)]
pub enum Delivery {
    /// They wait for [`Simulators::take_webhooks`], and every persona plays its call at once.
    Manual,
    /// They are posted, with the provider's retries and with small real delays so that a person can follow.
    Post {
        /// Where Retell posts call events.
        retell: Url,
        /// Where WhatsApp posts messages and statuses.
        whatsapp: Url,
        /// Where Twilio posts inbound SMS. Status callbacks go to the URL that the message asked for.
        twilio: Url,
    },
}

/// What somebody set up at the providers, in their wire formats.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Retell's agents and language models in their latest versions.
    pub agents: Vec<serde_json::Value>,
    pub llms: Vec<serde_json::Value>,
    pub retell_numbers: Vec<serde_json::Value>,
    /// WhatsApp's templates with their status.
    pub templates: Vec<serde_json::Value>,
    /// Whether the business account's webhooks go to our app.
    pub app_subscribed: bool,
    pub twilio_numbers: Vec<serde_json::Value>,
    /// How many requests changed any of this.
    pub writes: usize,
}

/// Handle to running simulators; clones share one world.
#[derive(Clone)]
pub struct Simulators {
    pub(crate) inner: Arc<Inner>,
}

impl fmt::Debug for Simulators {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulators").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

pub(crate) struct Inner {
    pub(crate) secrets: Secrets,
    pub(crate) delivery: Delivery,
    pub(crate) address: SocketAddr,
    pub(crate) faults: Faults,
    pub(crate) templates: whatsapp::Templates,
    /// Posts webhooks; absent in manual delivery, where nothing is posted.
    pub(crate) http: Option<reqwest::Client>,
    state: Mutex<State>,
}

/// Everything that changes. One lock, never held across an await or while a webhook is made.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) test_clock: Option<Timestamp>,
    pub(crate) public_url: Option<Url>,
    /// In order of creation.
    pub(crate) calls: Vec<SimulatedCall>,
    pub(crate) rings: Vec<Ring>,
    pub(crate) phones: BTreeMap<String, handset::Phone>,
    /// Idempotency key of create-phone-call to the call and the time it was made at.
    pub(crate) idempotency: HashMap<String, (String, Timestamp)>,
    /// Ids of texts that Twilio was told to delete. The phone that they went to keeps them.
    pub(crate) deleted_texts: HashSet<String>,
    /// Stripe's customers: id and e-mail address.
    pub(crate) customers: BTreeMap<String, String>,
    /// What is set up at Retell, Meta and Twilio.
    pub(crate) workspace: retell_admin::Workspace,
    pub(crate) account: whatsapp_admin::Account,
    pub(crate) twilio_numbers: twilio_admin::Numbers,
    pub(crate) outgoing: Vec<webhooks::Draft>,
    pub(crate) posted: webhooks::PostedCounts,
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere must not hide its own message behind a poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state().test_clock.unwrap_or_else(clock::real_now)
    }

    pub(crate) fn posts(&self) -> bool {
        match self.delivery {
            Delivery::Manual => false,
            Delivery::Post { .. } => true,
        }
    }
}

/// A phone that can't do what a test asks of it: the test is wrong about its world.
#[track_caller]
fn must(action: &str, done: Result<(), handset::Unable>) {
    if let Err(unable) = done {
        panic!("{action}: {}", unable.reason());
    }
}

impl Simulators {
    /// Binds `listen` (port 0 for any free one) and serves in a task of the current tokio runtime, for as long as that runs.
    ///
    /// # Errors
    /// When the address can't be bound, or the client that posts webhooks can't be built.
    pub async fn start(secrets: Secrets, listen: SocketAddr, delivery: Delivery) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let http = match &delivery {
            Delivery::Manual => None,
            Delivery::Post { twilio, .. } => Some(webhooks::client(twilio.host_str()).map_err(std::io::Error::other)?),
        };
        let state = State {
            workspace: retell_admin::Workspace::with_number(&secrets.retell_from_number),
            twilio_numbers: twilio_admin::Numbers::with_number(&secrets.twilio_from),
            ..State::default()
        };
        let inner = Arc::new(Inner {
            secrets,
            delivery,
            address: listener.local_addr()?,
            faults: Faults::default(),
            templates: whatsapp::Templates::of_repository(),
            http,
            state: Mutex::new(state),
        });
        tokio::spawn(server::serve(listener, Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// Base URL without a trailing slash, such as `http://127.0.0.1:4567`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// Stands for `https://api.retellai.com`.
    #[must_use]
    pub fn retell_url(&self) -> String {
        format!("{}/retell", self.url())
    }

    /// Stands for `https://graph.facebook.com/v26.0`.
    #[must_use]
    pub fn whatsapp_url(&self) -> String {
        format!("{}/whatsapp/v26.0", self.url())
    }

    /// Stands for `https://api.twilio.com/2010-04-01`.
    #[must_use]
    pub fn twilio_url(&self) -> String {
        format!("{}/twilio/2010-04-01", self.url())
    }

    /// Stands for `https://api.stripe.com/v1`.
    #[must_use]
    pub fn stripe_url(&self) -> String {
        format!("{}/stripe/v1", self.url())
    }

    /// Somebody who pays, as if they had gone through Stripe's checkout.
    pub fn add_customer(&self, id: &str, email: &str) {
        self.inner.state().customers.insert(id.to_owned(), email.to_owned());
    }

    /// The ids of the texts with a phone that Twilio keeps, of either direction.
    #[must_use]
    pub fn texts_at_twilio(&self, phone: &str) -> Vec<String> {
        [true, false]
            .into_iter()
            .flat_map(|from_ivy| self.inner.texts(phone, from_ivy))
            .map(|entry| entry.message.id)
            .collect()
    }

    /// The customers that Stripe keeps: id and e-mail address.
    #[must_use]
    pub fn customers(&self) -> BTreeMap<String, String> {
        self.inner.state().customers.clone()
    }

    /// What is set up at the providers: agents, numbers, templates.
    #[must_use]
    pub fn setup(&self) -> Setup {
        let state = self.inner.state();
        Setup {
            agents: state.workspace.agents(),
            llms: state.workspace.llms(),
            retell_numbers: state.workspace.numbers(),
            templates: state.account.templates.clone(),
            app_subscribed: state.account.subscribed,
            twilio_numbers: state.twilio_numbers.owned.clone(),
            writes: state.workspace.writes() + state.account.writes + state.twilio_numbers.writes,
        }
    }

    /// One more number in Retell's workspace, as if it had been bought or imported there.
    pub fn add_retell_number(&self, number: &str) {
        self.inner.state().workspace.add_number(number);
    }

    /// One more number of our Twilio account.
    pub fn add_twilio_number(&self, number: &str) {
        self.inner.state().twilio_numbers.add(number);
    }

    /// Meta's review of every template that was submitted: `APPROVED`, `REJECTED` or another of its words.
    pub fn review_templates(&self, status: &str) {
        for template in &mut self.inner.state().account.templates {
            template["status"] = status.into();
        }
    }

    /// Sets the clock of timestamps, signatures, the 24-hour window and idempotency keys. Phones that have rung for 30 seconds by it stop.
    pub fn set_time(&self, now: Timestamp) {
        self.inner.state().test_clock = Some(now);
        self.inner.ring_out();
    }

    /// Public base URL of the API under test, for webhooks whose address the simulators choose in manual delivery
    /// (inbound SMS, whose signature covers the URL). `http://localhost` until set.
    pub fn set_public_url(&self, url: Url) {
        self.inner.state().public_url = Some(url);
    }

    /// Each time that a phone was dialled, in order. A busy line counts; a refused number and a replayed idempotency key don't.
    #[must_use]
    pub fn rings(&self) -> Vec<Ring> {
        self.inner.state().rings.clone()
    }

    #[must_use]
    pub fn calls(&self) -> Vec<SimulatedCall> {
        self.inner.state().calls.clone()
    }

    /// WhatsApp messages and SMS that arrived on the phone, in order. A message that failed never arrived.
    #[must_use]
    pub fn handset(&self, phone: &str) -> Vec<HandsetMessage> {
        self.inner.arrived(phone)
    }

    /// Both sides of the phone's thread, with statuses.
    #[must_use]
    pub fn thread(&self, phone: &str) -> Vec<ThreadEntry> {
        self.inner.thread(phone)
    }

    pub fn set_persona(&self, phone: &str, persona: Persona) {
        self.inner.with_phone(phone, |entry| entry.persona = Some(persona));
    }

    /// Whether the number has WhatsApp (it does until told otherwise); without it messages fail with 131026.
    pub fn set_on_whatsapp(&self, phone: &str, on_whatsapp: bool) {
        self.inner.with_phone(phone, |entry| entry.no_whatsapp = !on_whatsapp);
    }

    /// Plays a whole conversation on a ringing phone.
    ///
    /// # Panics
    /// When the call is not ringing: the test is wrong about its world.
    #[track_caller]
    pub fn answer(&self, call_id: &str, script: CallScript) {
        assert!(self.inner.answer(call_id, script), "answer: {call_id} is not ringing");
    }

    /// Answers a ringing phone and stays on the line, until [`Simulators::hang_up`].
    ///
    /// # Panics
    /// When the call is not ringing.
    #[track_caller]
    pub fn pick_up(&self, call_id: &str) {
        assert!(self.inner.connect(call_id), "pick_up: {call_id} is not ringing");
    }

    /// Ends a running call; the script says how it went.
    ///
    /// # Panics
    /// When the call is not running.
    #[track_caller]
    pub fn hang_up(&self, call_id: &str, script: CallScript) {
        assert!(self.inner.hang_up(call_id, script), "hang_up: {call_id} is not running");
    }

    /// # Panics
    /// When the call is not ringing.
    #[track_caller]
    pub fn decline(&self, call_id: &str) {
        assert!(self.inner.decline(call_id), "decline: {call_id} is not ringing");
    }

    /// The person calls us: Retell's question, to be handed to the API. [`Simulators::begin_inbound`] takes its answer.
    #[must_use]
    pub fn call_in(&self, phone: &str) -> (String, Webhook) {
        let call_id = format!("call_{}", uuid::Uuid::new_v4().simple());
        let body = self.inner.inbound_question(&call_id, phone);
        (call_id, self.inner.sign_own(Provider::Retell, "/webhooks/retell/inbound", body))
    }

    /// The call goes on as the API answered, and is being talked on.
    pub fn begin_inbound(&self, call_id: &str, phone: &str, answer: &serde_json::Value) {
        self.inner.begin_inbound(call_id, phone, answer);
    }

    /// The agent of a running call uses a tool: what Retell sends for it.
    ///
    /// # Panics
    /// When the call is not running.
    #[must_use]
    #[track_caller]
    pub fn use_tool(&self, call_id: &str, name: &str, args: &serde_json::Value) -> Webhook {
        let body = self.inner.tool_request(call_id, name, args);
        let body = body.unwrap_or_else(|| panic!("use_tool: {call_id} is not running"));
        self.inner.sign_own(Provider::Retell, &format!("/webhooks/retell/functions/{name}"), body)
    }

    /// Whether the person hides their number from WhatsApp's webhooks behind a username (they don't until told otherwise).
    pub fn set_number_hidden(&self, phone: &str, hidden: bool) {
        self.inner.with_phone(phone, |entry| entry.number_hidden = hidden);
    }

    /// The person sends a voice note on WhatsApp.
    ///
    /// # Panics
    /// When the phone has no WhatsApp.
    #[track_caller]
    pub fn voice_note(&self, phone: &str) {
        must("voice_note", self.inner.write_voice_note(phone));
    }

    /// The person writes on WhatsApp, which opens the 24-hour window.
    ///
    /// # Panics
    /// When the phone has no WhatsApp.
    #[track_caller]
    pub fn reply(&self, phone: &str, text: &str) {
        must("reply", self.inner.write_whatsapp(phone, text));
    }

    /// The person sends an SMS. STOP and its kin also make Twilio refuse the next messages (21610), START allows them again.
    pub fn reply_sms(&self, phone: &str, text: &str) {
        self.inner.write_sms(phone, text);
    }

    /// The person taps a button, named by its id, payload or title.
    ///
    /// # Panics
    /// When no such message or button arrived on the phone, or one of the message's buttons was tapped before.
    #[track_caller]
    pub fn tap(&self, phone: &str, message_id: &str, button: &str) {
        must(&format!("tap {button:?} on {message_id}"), self.inner.tap(phone, message_id, button));
    }

    /// The person looks at the thread: every delivered WhatsApp message gets its `read` status.
    pub fn look(&self, phone: &str) {
        self.inner.look(phone);
    }

    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// The webhooks since the last call, in order of creation (or as [`Faults`] say), signed now.
    /// Empty in [`Delivery::Post`].
    pub fn take_webhooks(&self) -> Vec<Webhook> {
        self.inner.take_webhooks()
    }

    /// Signs a body of the test's own making, for what the simulators don't start themselves: Retell's inbound webhook and
    /// custom functions, or an event that is odd. `path` is the path under the public URL.
    #[must_use]
    pub fn sign(&self, provider: Provider, path: &str, body: Vec<u8>) -> Webhook {
        self.inner.sign_own(provider, path, body)
    }
}
