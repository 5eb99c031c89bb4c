//! The driver: time, the deliveries that are due, and the bursts in which they run together.
//!
//! Everything that is due at a moment (outbox records, timers, queue messages, webhooks, a sweep) and what the story adds
//! runs in bursts of a few tasks at once. What fails or crashes is delivered again as its source does it: a queue after a
//! minute and up to the template's number of times, the stream from the failed record on, a provider some minutes later.
//! Deliveries are doubled by the seed, also within one burst. Now and then a burst leaves one of its tasks before a request, and
//! the next one at that moment takes it along: so what a change brings with it runs beside tasks that began before the change.
//!
//! Time stands still during a burst and moves to the next full minute at which something is due, at least 44 seconds after
//! it: so the jitter of the flows (a random id's last digits) is less than a step, and no ids enter the order of things.
//! `plan-day` itself is not run, only the jobs that it puts on the queue for the zones of these users: for the other six
//! hundred zones it is a thousand empty queries a day.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ivy_domain::{UserId, company::Company, days};
use ivy_flows::ports::Queue;
use ivy_simulators::{CallScript, CallStatus, Provider, Webhook};
use ivy_store::keys;
use ivy_world::{Client, Job, QueuedMessage, World};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::{
    book::Book,
    chance::Chance,
    schedule::{Ended, Outcome, Schedule, Task},
};

/// Deliveries of a queue before its dead-letter queue, as in `template.yaml`.
const fn most_deliveries(queue: Queue) -> u32 {
    match queue {
        Queue::DueCalls => 10,
        Queue::Messages => 30,
        Queue::PlanUsers => 5,
        Queue::EraseUsers => 20,
        // People read them; no function does.
        Queue::MessagesDead | Queue::OutboxDead | Queue::Reviews => 1,
    }
}

/// Bursts, in a thousand, that leave a task for the next one.
const LEFT_RUNNING: u32 = 300;

/// How often a provider tries to deliver: Retell three times, Meta for days.
const fn most_tries(provider: Provider) -> u32 {
    match provider {
        Provider::Retell => 3,
        Provider::WhatsApp => 40,
        // Once, and three times more, as our address asks for.
        Provider::Twilio => 4,
    }
}

/// A message that ended in a dead-letter queue.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) queue: Queue,
    pub(crate) body: Value,
    /// Deliveries that failed although nothing was made to go wrong in them.
    pub(crate) undisturbed: u32,
}

/// A user of the story.
#[derive(Debug, Clone)]
pub(crate) struct Someone {
    pub(crate) name: &'static str,
    pub(crate) id: UserId,
    pub(crate) phone: String,
    pub(crate) zone: String,
    /// Whether days are planned with calls.
    pub(crate) called: bool,
    pub(crate) refresh_token: String,
}

impl Someone {
    pub(crate) fn key(&self) -> String {
        self.id.to_string()
    }
}

/// Something to run.
pub(crate) enum Doing {
    Stream(Vec<Value>),
    Message(QueuedMessage),
    Webhook {
        webhook: Webhook,
        tries: u32,
    },
    Sweep,
    /// Somebody calls Ivy: what the provider asks, and for which call.
    CallIn {
        who: Someone,
        call_id: String,
        question: Webhook,
    },
    /// A request of a client, and where its answer is kept.
    Request {
        request: Request,
        index: usize,
    },
    /// A change that no endpoint makes.
    Change {
        who: Someone,
        change: Change,
    },
}

/// A request as a client sends it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) who: Option<Someone>,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) key: Option<String>,
    /// For the trace: nothing random.
    pub(crate) label: String,
}

/// A request that was sent, and its answer; none when the function crashed.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) request: Request,
    pub(crate) answer: Option<(u16, Value)>,
    pub(crate) at: Timestamp,
}

/// What billing and the company will do by endpoints to come; here written through the store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Tier(&'static str),
    /// An invoice starts a wallet period, so many hours from now.
    Invoice(i64),
    /// The company's limit for each employee's month, in pence.
    CompanyLimit(i64),
}

/// A user's day that `plan-users` planned, and when it was done with it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) user: UserId,
    pub(crate) zone: String,
    pub(crate) date: Date,
    pub(crate) at: Timestamp,
}

pub(crate) struct Driver {
    pub(crate) world: Arc<World>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) chance: Chance,
    pub(crate) book: Book,
    pub(crate) people: Vec<Someone>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) dead: Vec<Dead>,
    pub(crate) happenings: u64,
    /// How far time has moved while a call rang or was talked on. What a scripted talk tells of its end is no measure: it
    /// lies ahead of the clock.
    pub(crate) live_until: BTreeMap<String, Timestamp>,
    /// Deliveries doubled, in a thousand.
    pub(crate) twice: u32,
    /// Webhooks that come minutes late, in a thousand.
    pub(crate) late: u32,
    pub(crate) stream_stopped: bool,
    pub(crate) webhooks_held: bool,
    /// Minutes between sweeps.
    pub(crate) sweep_minutes: i64,
    /// What has begun and not ended, by the task's number.
    running: BTreeMap<usize, Doing>,
    stream: Vec<Value>,
    webhooks: Vec<(Timestamp, Webhook, u32)>,
    undisturbed: BTreeMap<String, u32>,
    swept_at: Timestamp,
    planned: BTreeSet<(String, String, Date)>,
    /// The days that were planned, in the order in which it was done.
    pub(crate) days: Vec<Planned>,
    /// The analyses that were taken in: what Retell told of a call.
    pub(crate) analysed: Vec<Value>,
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The full minute at or after a moment.
fn full_minute(at: Timestamp, minutes: i64) -> Timestamp {
    let step = minutes * 60_000;
    Timestamp::from_millisecond((millis(at) + step - 1).div_euclid(step) * step).unwrap()
}

impl Driver {
    pub(crate) fn new(world: Arc<World>, schedule: Arc<Schedule>, seed: u64) -> Self {
        let swept_at = world.now();
        Self {
            world,
            schedule,
            chance: Chance::new(seed, 2),
            book: Book::default(),
            people: Vec::new(),
            sent: Vec::new(),
            dead: Vec::new(),
            happenings: 0,
            live_until: BTreeMap::new(),
            twice: 0,
            late: 0,
            stream_stopped: false,
            webhooks_held: false,
            sweep_minutes: 5,
            running: BTreeMap::new(),
            stream: Vec::new(),
            webhooks: Vec::new(),
            undisturbed: BTreeMap::new(),
            swept_at,
            planned: BTreeSet::new(),
            days: Vec::new(),
            analysed: Vec::new(),
        }
    }

    pub(crate) fn set_time(&mut self, now: Timestamp) {
        for call in self.world.simulators.calls() {
            if call.is_live() {
                self.live_until.insert(call.call_id, now);
            }
        }
        self.world.clock.set(now);
        self.world.simulators.set_time(now);
        self.schedule.set_time(now);
    }

    /// Takes what is due now out of its source; of the stream only while no batch of it is `streaming`.
    fn take_due(&mut self, streaming: bool) -> Vec<Doing> {
        let now = self.world.now();
        let mut due = Vec::new();
        for timer in self.world.timers.take_due(now) {
            let copies = 1 + usize::from(self.chance.happens(self.twice));
            for _ in 0..copies {
                self.world.queues.put(timer.queue, timer.body.clone(), now);
            }
        }
        self.stream.extend(self.world.take_stream(usize::MAX));
        if !self.stream_stopped && !streaming && !self.stream.is_empty() {
            // One shard, so one batch at a time.
            let batch = self.stream.len().min(1 + self.chance.below(4));
            due.push(Doing::Stream(self.stream.drain(..batch).collect()));
        }
        while let Some(message) = self.world.queues.take() {
            // People read the reviews.
            if message.queue != Queue::Reviews {
                due.push(Doing::Message(message));
            }
        }
        self.pick_up();
        for webhook in self.world.simulators.take_webhooks() {
            let late = if self.chance.happens(self.late) { self.chance.between(1, 20) } else { 0 };
            self.webhooks.push((now + SignedDuration::from_mins(late), webhook, 1));
        }
        if !self.webhooks_held {
            let (ready, later): (Vec<_>, Vec<_>) = self.webhooks.drain(..).partition(|(at, _, _)| *at <= now);
            self.webhooks = later;
            due.extend(ready.into_iter().map(|(_, webhook, tries)| Doing::Webhook { webhook, tries }));
        }
        if self.sweep_due_at().is_some_and(|at| at <= now) {
            self.swept_at = now;
            due.push(Doing::Sweep);
        }
        due
    }

    /// Phones that ring are answered, declined, or left to ring; a talk ends after an hour.
    fn pick_up(&mut self) {
        let longest = SignedDuration::from_mins(60);
        for call in self.world.simulators.calls() {
            let since = call.started_at.map(|start| self.world.now().duration_since(start));
            if call.status == CallStatus::Ongoing && since.is_some_and(|since| since >= longest) {
                // The provider's own limit.
                self.world.simulators.hang_up(&call.call_id, CallScript::nothing());
            }
            if call.status != CallStatus::Registered {
                continue;
            }
            match self.chance.below(6) {
                0 | 1 => self.world.simulators.pick_up(&call.call_id),
                2 => self.world.simulators.answer(&call.call_id, CallScript::log("completed", 20)),
                3 => self.world.simulators.decline(&call.call_id),
                _ => {}
            }
        }
    }

    fn sweep_due_at(&mut self) -> Option<Timestamp> {
        self.book.follow(&self.schedule);
        let attention = self.book.attention()?;
        let next = self.swept_at + SignedDuration::from_mins(self.sweep_minutes);
        Some(full_minute(attention.max(next), self.sweep_minutes))
    }

    /// The jobs of `plan-day` for the zones of those who are called, in the hour of their 03:00. A date that is lived again in
    /// another zone is planned again.
    fn plan_days(&mut self) {
        let now = self.world.now();
        for someone in self.people.clone().iter().filter(|someone| someone.called) {
            let zone = self.zone_of(someone);
            let date = days::days_planned_at(now, &zone.parse().unwrap()).pop().unwrap();
            if !self.planned.insert((someone.key(), zone.clone(), date)) {
                continue;
            }
            let shard = keys::shard_of(someone.id);
            let job = json!({"kind": "page", "zone": zone, "shard": shard, "date": date, "after": null});
            self.world.queues.put(Queue::PlanUsers, job.to_string(), now);
        }
    }

    /// Where someone lives at present, by the profile that was written last.
    pub(crate) fn zone_of(&self, someone: &Someone) -> String {
        let profile = self.book.of("user").find(|user| user["id"] == someone.key().as_str());
        profile.and_then(|user| user["timezone"].as_str()).unwrap_or(&someone.zone).to_owned()
    }

    fn next_day_begins(&self) -> Option<Timestamp> {
        let now = self.world.now();
        let begins = |someone: &Someone| {
            let zone = self.zone_of(someone).parse().unwrap();
            let planned = days::days_planned_at(now, &zone).pop().unwrap();
            let next = days::day_start(planned.tomorrow().unwrap(), &zone);
            Timestamp::from_second(next.as_second().div_euclid(3600) * 3600).unwrap()
        };
        self.people.iter().filter(|someone| someone.called).map(begins).min()
    }

    /// When the provider ends the talk that has lasted longest.
    fn talk_ends_at(&self) -> Option<Timestamp> {
        let calls = self.world.simulators.calls();
        let ongoing = calls.iter().filter(|call| call.status == CallStatus::Ongoing);
        let starts = ongoing.filter_map(|call| call.started_at).min();
        starts.map(|start| full_minute(start + SignedDuration::from_mins(60), 1))
    }

    /// Runs all that is due now, with `extra` in the first burst, until nothing is.
    pub(crate) async fn run_due(&mut self, extra: Vec<Doing>) {
        self.plan_days();
        let mut pending: Vec<Doing> = Vec::new();
        let mut extra = Some(extra);
        for _ in 0..400 {
            let mut on_the_way = pending.iter().chain(self.running.values());
            let streaming = on_the_way.any(|doing| matches!(doing, Doing::Stream(_)));
            pending.extend(self.take_due(streaming));
            let mut now = extra.take().unwrap_or_default();
            if now.is_empty() && pending.is_empty() && self.running.is_empty() {
                return;
            }
            let most = 1 + self.chance.below(4);
            for _ in 0..most.min(pending.len()) {
                let doing = pending.remove(self.chance.below(pending.len()));
                now.extend(self.copy(&doing));
                now.push(doing);
            }
            Box::pin(self.burst(now)).await;
        }
        panic!("the world does not come to rest");
    }

    /// The same delivery a second time, by chance.
    fn copy(&mut self, doing: &Doing) -> Option<Doing> {
        if !self.chance.happens(self.twice) {
            return None;
        }
        match doing {
            Doing::Stream(items) => Some(Doing::Stream(items.clone())),
            Doing::Message(message) => Some(Doing::Message(message.clone())),
            Doing::Webhook { webhook, tries } => Some(Doing::Webhook { webhook: webhook.clone(), tries: *tries }),
            Doing::Sweep => Some(Doing::Sweep),
            // One call is asked about once; the agent's tools are webhooks.
            Doing::CallIn { .. } | Doing::Request { .. } | Doing::Change { .. } => None,
        }
    }

    async fn burst(&mut self, doings: Vec<Doing>) {
        let tasks: Vec<Task> = doings.iter().map(|doing| self.task(doing)).collect();
        let left = usize::from(!tasks.is_empty() && self.chance.happens(LEFT_RUNNING));
        let schedule = Arc::clone(&self.schedule);
        self.running.extend(schedule.begin(tasks).into_iter().zip(doings));
        for (number, ended) in schedule.burst(left).await {
            let doing = self.running.remove(&number).expect("what ended was running");
            self.after(doing, ended);
        }
        self.book.follow(&self.schedule);
    }

    fn task(&self, doing: &Doing) -> Task {
        let world = Arc::clone(&self.world);
        match doing {
            Doing::Stream(items) => {
                let items = items.clone();
                let name = format!("publish-outbox ({})", items.len());
                Task { name, work: Box::pin(async move { Outcome::Did(world.carry_out(&items).await) }) }
            }
            Doing::Message(message) => {
                let message = message.clone();
                let name = match message.queue {
                    Queue::DueCalls => "place-call",
                    Queue::Messages => "send-message",
                    Queue::PlanUsers => "plan-users",
                    Queue::EraseUsers => "erase-user",
                    Queue::MessagesDead | Queue::OutboxDead | Queue::Reviews => "nobody",
                };
                let name = name.to_owned();
                let work = async move { Outcome::Did(usize::from(world.deliver_message(&message).await)) };
                Task { name, work: Box::pin(work) }
            }
            Doing::Webhook { webhook, .. } => {
                let kind = kind_of(webhook);
                // Signed anew, as each delivery is.
                let signed = self.world.simulators.sign(webhook.provider, &webhook.path, webhook.body.clone());
                let work = async move { Outcome::Answered(world.deliver(&signed).await.as_u16(), Value::Null) };
                Task { name: format!("webhook {kind}"), work: Box::pin(work) }
            }
            Doing::CallIn { who, question, .. } => {
                let signed = self.world.simulators.sign(question.provider, &question.path, question.body.clone());
                let work = async move {
                    let reply = world.post_webhook(&signed).await;
                    Outcome::Answered(reply.status.as_u16(), reply.body)
                };
                Task { name: format!("{} calls", who.name), work: Box::pin(work) }
            }
            Doing::Sweep => {
                let work = async move { Outcome::Did(usize::from(world.try_job(Job::SweepCalls, world.now()).await)) };
                Task { name: "sweep-calls".to_owned(), work: Box::pin(work) }
            }
            Doing::Request { request, .. } => {
                let client = self.client(request.who.as_ref());
                let request = request.clone();
                let name = request.label.clone();
                let work = async move {
                    let method = request.method.parse().unwrap();
                    let key = request.key.as_deref().map(|key| ("idempotency-key", key));
                    let headers: Vec<_> = [("content-type", "application/json")].into_iter().chain(key).collect();
                    let reply = client.send(method, &request.path, &headers, request.body.to_string()).await;
                    Outcome::Answered(reply.status.as_u16(), reply.body)
                };
                Task { name, work: Box::pin(work) }
            }
            Doing::Change { who, change } => {
                let (id, change) = (who.id, change.clone());
                let name = format!("{}: {change:?}", who.name);
                let work = async move { Outcome::Did(usize::from(apply(&world, id, &change).await)) };
                Task { name, work: Box::pin(work) }
            }
        }
    }

    pub(crate) fn client(&self, who: Option<&Someone>) -> Client {
        let tokens = ivy_runtime::Tokens::new(self.world.ivy.store.keyring());
        let now = self.world.now();
        let token = who.map(|who| tokens.issue(who.id, ivy_domain::SessionId::generate(now), now).unwrap());
        let mut client = self.world.client();
        client.token = token;
        client
    }

    /// What its source does about a delivery that ended this way.
    fn after(&mut self, doing: Doing, ended: Ended) {
        let now = self.world.now();
        match (doing, ended.outcome) {
            (Doing::Stream(items), outcome) => {
                let done = match outcome {
                    Some(Outcome::Did(done)) => done,
                    _ => 0,
                };
                let rest: Vec<Value> = items.into_iter().skip(done).collect();
                self.stream.splice(0..0, rest);
            }
            (Doing::Message(message), outcome) => {
                if outcome == Some(Outcome::Did(1)) {
                    self.note_planning(&message);
                } else {
                    self.give_back(message, ended.disturbed);
                }
            }
            (Doing::Webhook { webhook, tries }, outcome) => {
                let taken = matches!(outcome, Some(Outcome::Answered(200..=299, _)));
                let event: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
                if taken && event["event"] == "call_analyzed" {
                    self.analysed.push(event["call"].clone());
                }
                // A tool that did not answer is not asked again: the talk goes on.
                if !taken && !webhook.path.contains("/functions/") && tries < most_tries(webhook.provider) {
                    let later = now + SignedDuration::from_mins(self.chance.between(1, 7));
                    self.webhooks.push((later, webhook, tries + 1));
                }
            }
            (Doing::CallIn { who, call_id, .. }, outcome) => {
                // Without an answer the number's own agent talks, who knows nobody.
                let answer = match outcome {
                    Some(Outcome::Answered(200, answer)) => answer,
                    _ => Value::Null,
                };
                self.world.simulators.begin_inbound(&call_id, &who.phone, &answer);
            }
            (Doing::Request { index, .. }, outcome) => {
                if let Some(Outcome::Answered(status, body)) = outcome {
                    self.sent[index].answer = Some((status, body));
                }
            }
            (Doing::Sweep | Doing::Change { .. }, _) => {}
        }
    }

    /// Remembers whose day a page planned.
    fn note_planning(&mut self, message: &QueuedMessage) {
        let job: Value = serde_json::from_str(&message.body).unwrap();
        if job["kind"] != "page" {
            return;
        }
        let (zone, date) = (job["zone"].as_str().unwrap(), job["date"].as_str().unwrap().parse().unwrap());
        let at = self.world.now();
        for someone in self.people.clone() {
            let shard = keys::shard_of(someone.id);
            if Some(shard) == job["shard"].as_u64() && self.zone_of(&someone) == zone {
                self.days.push(Planned { user: someone.id, zone: zone.to_owned(), date, at });
            }
        }
    }

    fn give_back(&mut self, mut message: QueuedMessage, disturbed: bool) {
        if !disturbed {
            *self.undisturbed.entry(message.id.clone()).or_default() += 1;
        }
        if message.receive_count >= most_deliveries(message.queue) {
            let undisturbed = self.undisturbed.get(&message.id).copied().unwrap_or_default();
            let body = serde_json::from_str(&message.body).unwrap();
            self.dead.push(Dead { queue: message.queue, body, undisturbed });
            return;
        }
        message.visible_at = self.world.now() + SignedDuration::from_secs(60);
        self.world.queues.put_back(message);
    }

    /// Moves time to a moment, with a stop wherever something is due.
    pub(crate) async fn advance_to(&mut self, until: Timestamp) {
        loop {
            Box::pin(self.run_due(Vec::new())).await;
            let now = self.world.now();
            let later = |at: Timestamp| full_minute(at + SignedDuration::from_secs(44), 1);
            let timer = self.world.timers.set_timers().first().map(|timer| later(timer.at));
            let message = self.world.queues.next_visible_at().map(later);
            let webhook = self.webhooks.iter().map(|(at, _, _)| *at).min().filter(|_| !self.webhooks_held);
            let due = [timer, message, webhook, self.sweep_due_at(), self.next_day_begins(), self.talk_ends_at()];
            let next = due.into_iter().flatten().min().map(|at| at.max(now + SignedDuration::from_secs(1)));
            match next.filter(|at| *at < until) {
                Some(at) => self.set_time(at),
                None => break,
            }
        }
        self.set_time(until.max(self.world.now()));
    }

    /// Sends a request in the next burst; answers where its answer will be.
    pub(crate) fn send(&mut self, request: Request) -> Doing {
        let index = self.sent.len();
        self.sent.push(Sent { request: request.clone(), answer: None, at: self.world.now() });
        Doing::Request { request, index }
    }

    /// The webhooks that the simulators have just made, to run in the burst at hand.
    pub(crate) fn fresh_webhooks(&mut self) -> Vec<Doing> {
        if self.webhooks_held {
            return Vec::new();
        }
        let fresh = self.world.simulators.take_webhooks();
        fresh.into_iter().map(|webhook| Doing::Webhook { webhook, tries: 1 }).collect()
    }

    /// Whether anything is still on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.running.is_empty()
            && self.stream.is_empty()
            && self.webhooks.is_empty()
            && self.world.queues.waiting().is_empty()
    }
}

/// What a webhook brings, for the trace.
fn kind_of(webhook: &Webhook) -> String {
    let event: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
    let status = &event["entry"][0]["changes"][0]["value"]["statuses"][0]["status"];
    match webhook.provider {
        Provider::Retell => match webhook.path.rsplit_once("/functions/") {
            Some((_, tool)) => format!("tool {tool}"),
            None => event["event"].as_str().unwrap_or_default().to_owned(),
        },
        Provider::WhatsApp => status.as_str().map_or("message".to_owned(), |status| format!("status {status}")),
        Provider::Twilio if webhook.path.starts_with("/webhooks/twilio/sms") => "text".to_owned(),
        Provider::Twilio => "status of the carrier".to_owned(),
    }
}

/// The company of those who are sponsored, with its limit for each employee's month.
pub(crate) fn company(pence: i64) -> Company {
    let id = ivy_domain::CompanyId::derive(Date::constant(2026, 1, 1), &["faults", "company"]);
    Company { id, name: "Acme".to_owned(), monthly_wallet_per_employee: Some(ivy_domain::Pence(pence)) }
}

/// Writes a change through the store, as its own flow will.
async fn apply(world: &World, user: UserId, change: &Change) -> bool {
    for _ in 0..6 {
        if try_apply(world, user, change).await.is_some() {
            return true;
        }
    }
    false
}

async fn try_apply(world: &World, user: UserId, change: &Change) -> Option<()> {
    let store = &world.ivy.store;
    let me = store.me(user).await.ok().flatten()?;
    let mut transaction = store.transaction();
    let mut profile = me.profile.clone();
    let now = world.now();
    match change {
        Change::Tier(tier) => profile.user.subscription_type = serde_json::from_value(json!(tier)).unwrap(),
        // Who sponsors gets no invoices.
        Change::Invoice(_) if profile.user.subscription_type == ivy_domain::Tier::B2bSponsor => return Some(()),
        Change::Invoice(hours) => {
            let mut wallet = me.wallet(now);
            let start = now + SignedDuration::from_hours(*hours);
            wallet.start_period(start, start + SignedDuration::from_hours(30 * 24), now);
            transaction.wallet(user, &wallet);
            return Box::pin(transaction.commit()).await.ok();
        }
        Change::CompanyLimit(pence) => return Box::pin(store.put_company(&company(*pence))).await.ok(),
    }
    transaction.user(&profile);
    Box::pin(transaction.commit()).await.ok()
}
