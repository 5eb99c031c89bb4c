//! The world around one call: its item and slot in the table, two workers, a provider with its phones, the sweep.
//!
//! Every change of the call goes through the real `transition`, on the version that its writer read; what it returns is judged
//! here, as is every ring. A promise that breaks is kept in the world, so that the search finds it with the run that led there.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use ivy_domain::{
    CallId, Tier, UserId, Zone,
    call::{
        Call, CallEffect, CallEnd, CallEvent, CallPolicy, CallState, CallType, CallWindow, EndReason,
        SHORTEST_RETRY_MINUTES, TransitionProblem, transition,
    },
};
use jiff::{SignedDuration, Timestamp};

use crate::scenario::{Flaw, IN_FLIGHT, LONGEST_RING, Scenario, WORKER_LIFE};

/// An attempt: the number of its claim, from 0. Claims that placed nothing count here, unlike in `Call::attempts`.
pub(crate) type Attempt = usize;

/// How a phone call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PhoneEnd {
    Talked,
    TooShort,
    Voicemail,
    /// A machine that only the analysis hears: until then it looks like a talk.
    Machine,
    NoAnswer,
    Declined,
    NeverRedial,
}

impl PhoneEnd {
    pub(crate) const fn had_connected(self) -> bool {
        match self {
            Self::Talked | Self::TooShort | Self::Voicemail | Self::Machine => true,
            Self::NoAnswer | Self::Declined | Self::NeverRedial => false,
        }
    }

    const fn seconds(self) -> Option<u32> {
        match self {
            Self::Talked | Self::Machine => Some(90),
            Self::TooShort => Some(5),
            Self::Voicemail => Some(20),
            Self::NoAnswer | Self::Declined | Self::NeverRedial => None,
        }
    }

    /// The end as the carrier tells it, who knows less.
    pub(crate) const fn by_carrier(self, at: Timestamp) -> CallEnd {
        let end = match self {
            Self::Talked | Self::TooShort | Self::Voicemail | Self::Machine => EndReason::Talked,
            Self::NoAnswer => EndReason::NoAnswer,
            Self::Declined => EndReason::Busy,
            Self::NeverRedial => EndReason::SetupFailed,
        };
        CallEnd { at, duration_seconds: self.seconds(), end, user_spoke: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    Silent,
    Ringing { since: Timestamp },
    Talking { since: Timestamp },
    Over { at: Timestamp, end: PhoneEnd },
}

/// A webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum News {
    Started,
    Ended,
    Analyzed,
}

/// What the provider has under one idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phone {
    /// Before when the attempt had to be claimed.
    pub(crate) before: Timestamp,
    pub(crate) line: Line,
    pub(crate) rings: u8,
    pub(crate) rang_at: Option<Timestamp>,
    /// A request whose sender gave up, until when the provider may still act on it.
    pub(crate) in_flight: Option<Timestamp>,
    /// Which of started, ended, analysed have been taken in.
    pub(crate) told: [bool; 3],
}

impl Phone {
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.line, Line::Ringing { .. } | Line::Talking { .. })
    }
}

/// What `settle` has to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Accepted,
    Refused,
    NotPlaced { seconds: i64 },
}

/// Where a worker is in `place_call`; `began` is when it was started, and the time that its claim is written with.
#[derive(Debug, Clone)]
pub(crate) enum Worker {
    Idle,
    Read { began: Timestamp, call: Rc<Call> },
    Create { began: Timestamp, attempt: Attempt },
    Find { began: Timestamp, attempt: Attempt },
    CreateAgain { began: Timestamp, attempt: Attempt },
    Settle { began: Timestamp, attempt: Attempt, answer: Answer },
    Release { began: Timestamp, attempt: Attempt },
}

impl Worker {
    pub(crate) const fn began(&self) -> Option<Timestamp> {
        match self {
            Self::Idle => None,
            Self::Read { began, .. }
            | Self::Create { began, .. }
            | Self::Find { began, .. }
            | Self::CreateAgain { began, .. }
            | Self::Settle { began, .. }
            | Self::Release { began, .. } => Some(*began),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Free,
    Ours {
        attempt: Attempt,
        lease_until: Timestamp,
    },
    /// Another call has it.
    Others,
    /// The setting allows fewer.
    NoSuch,
}

impl Slot {
    pub(crate) const fn is_of(self, attempt: Attempt) -> bool {
        matches!(self, Self::Ours { attempt: holder, .. } if holder == attempt)
    }

    /// Whether it may be taken: nobody has it, or its lease is over.
    pub(crate) fn is_free(self, now: Timestamp) -> bool {
        match self {
            Self::Free => true,
            Self::Ours { lease_until, .. } => lease_until < now,
            Self::Others | Self::NoSuch => false,
        }
    }
}

/// What the sweep was told of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    Nothing,
    Ringing,
    Talking,
    Over,
    Unknown,
}

/// A sweep between the provider's answer and its write.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) call: Rc<Call>,
    pub(crate) told: Told,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    /// The place of now in the scenario's instants.
    pub(crate) instant: usize,
    pub(crate) now: Timestamp,
    pub(crate) call: Rc<Call>,
    pub(crate) workers: [Worker; 2],
    pub(crate) phones: Vec<Phone>,
    pub(crate) slots: [Slot; 2],
    pub(crate) asked: Option<Asked>,
    /// Whether the sweep of this instant is done.
    pub(crate) swept: bool,
    pub(crate) faults: u8,
    pub(crate) texts: u8,
    pub(crate) last_miss: Option<Timestamp>,
    pub(crate) broken: Option<String>,
}

pub(crate) fn attempt_id(attempt: Attempt) -> String {
    format!("attempt {}", attempt + 1)
}

pub(crate) fn provider_id(attempt: Attempt) -> String {
    format!("phone call {}", attempt + 1)
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let now = scenario.instants[0];
        let window = CallWindow { opens_at: scenario.opens_at, closes_at: scenario.closes_at };
        let (id, user) = (CallId::generate(now), UserId::generate(now));
        let kind = CallType::EveningReview;
        let call = Call::scheduled(id, user, kind, scenario.opens_at, window, Zone::default(), now);
        Self {
            instant: 0,
            now,
            call: Rc::new(call),
            workers: [Worker::Idle, Worker::Idle],
            phones: Vec::new(),
            slots: [Slot::Free, if scenario.slots > 1 { Slot::Free } else { Slot::NoSuch }],
            asked: None,
            swept: false,
            faults: scenario.faults,
            texts: 0,
            last_miss: None,
            broken: None,
        }
    }

    pub(crate) fn breaks(&mut self, promise: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(promise.into());
        }
    }

    pub(crate) fn rings(&self) -> u8 {
        self.phones.iter().map(|phone| phone.rings).sum()
    }

    pub(crate) fn waits(&self) -> bool {
        matches!(self.call.state, CallState::Scheduled | CallState::Retry)
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.call.state, CallState::Initiating | CallState::InProgress)
    }

    /// Whether the call is in this attempt, or was in it last.
    pub(crate) fn is_current(&self, attempt: Attempt) -> bool {
        self.call.is_current_attempt(Some(&attempt_id(attempt)), Some(&provider_id(attempt)))
    }

    /// Applies an event, judges what comes of it, and counts the texts. Nothing when it does not apply.
    fn apply(&mut self, call: &Call, event: &CallEvent, now: Timestamp) -> Option<Call> {
        let policy = CallPolicy::for_tier(Tier::B2cElite);
        let (next, effects) = match transition(call, event, now, &policy) {
            Ok(done) => done,
            Err(error) if error.is_stale() => return None,
            Err(error) => {
                // Every writer looks before it applies, so nothing but late news may be turned away.
                let means = match error.problem {
                    TransitionProblem::NotAllowed => "a transition that is not allowed",
                    _ => "a transition out of its time",
                };
                self.breaks(format!("{means}: {error}"));
                return None;
            }
        };
        // The one way back from an end.
        let reopened = call.state == CallState::Completed && *event == CallEvent::VoicemailFound;
        if call.state.is_terminal() && !reopened {
            self.breaks(format!("a call that is {} moves on", call.state.name()));
        }
        if next.state == CallState::Missed || next.attempts > 3 {
            self.breaks(format!("stored as {} with {} attempts", next.state.name(), next.attempts));
        }
        let text = |effect: &&CallEffect| matches!(effect, CallEffect::QueueFollowUp | CallEffect::OfferText);
        self.texts += u8::try_from(effects.iter().filter(text).count()).unwrap();
        if self.texts > 0 && self.rings() == 0 {
            self.breaks("a text for a call that never rang");
        }
        if self.texts > 1 {
            self.breaks("more than one text for one call");
        }
        Some(next)
    }

    fn store(&mut self, mut call: Call) {
        // Transitions read the history of moves only, of which there are none here; it would make equal states look different.
        call.history.clear();
        call.version = self.call.version + 1;
        self.call = Rc::new(call);
    }

    /// Writes one event on the version that `read` has.
    pub(crate) fn write(&mut self, read: &Call, event: &CallEvent, now: Timestamp) -> bool {
        if read.version != self.call.version {
            return false;
        }
        let next = self.apply(read, event, now);
        let moved = next.is_some();
        if let Some(next) = next {
            self.store(next);
        }
        moved
    }

    /// The user cancels. Once the call has begun that is refused to them, so here alone a refusal breaks nothing.
    pub(crate) fn cancel(&mut self) {
        let event = CallEvent::Cancelled { by: "user".to_owned() };
        if let Ok((next, _)) = transition(&self.call, &event, self.now, &CallPolicy::default()) {
            self.store(next);
        }
    }

    /// The claim: version and slot in one transaction.
    pub(crate) fn claim(&mut self, scenario: &Scenario, read: &Call, began: Timestamp, slot: usize) -> Option<Attempt> {
        if read.version != self.call.version && !scenario.has(Flaw::ClaimWithoutVersion) {
            return None;
        }
        let before = self.judge_claim(scenario, read, began);
        let repeated = (0..self.phones.len()).find(|attempt| self.is_repeated(read, *attempt));
        let attempt = repeated.unwrap_or(self.phones.len());
        let next = self.apply(read, &CallEvent::Claimed { attempt_id: attempt_id(attempt) }, began)?;
        self.store(next);
        let policy = CallPolicy::default();
        let longest = SignedDuration::from_secs(i64::from(policy.lease_seconds + policy.longest_call_seconds));
        self.slots[slot] = Slot::Ours { attempt, lease_until: began + longest };
        match repeated {
            Some(attempt) => self.phones[attempt].before = before,
            None => {
                let line = Line::Silent;
                self.phones.push(Phone { before, line, rings: 0, rang_at: None, in_flight: None, told: [false; 3] });
            }
        }
        Some(attempt)
    }

    /// Whether the next claim of a call makes this attempt again.
    fn is_repeated(&self, call: &Call, attempt: Attempt) -> bool {
        call.attempt_to_repeat() == Some(attempt_id(attempt).as_str())
    }

    /// Whether a call may be claimed at an instant, by the words of the spec. Until when it may.
    fn judge_claim(&mut self, scenario: &Scenario, read: &Call, began: Timestamp) -> Timestamp {
        let before = if read.state == CallState::Retry { scenario.last_retry } else { scenario.closes_at };
        if began < scenario.opens_at || began >= before {
            self.breaks(format!("claimed outside its window, as {}", read.state.name()));
        }
        before
    }

    /// The phone rings.
    pub(crate) fn ring(&mut self, scenario: &Scenario, attempt: Attempt) {
        let now = self.now;
        if self.phones.iter().any(Phone::is_live) {
            self.breaks("two attempts ring or talk at once");
        }
        if self.phones[attempt].rings > 0 {
            self.breaks("one attempt rings twice");
        }
        if self.rings() >= 3 {
            self.breaks("a fourth ring");
        }
        if self.call.state == CallState::Cancelled {
            self.breaks("a ring after the call was cancelled");
        }
        if self.call.state != CallState::Initiating || !self.is_current(attempt) {
            self.breaks(format!("a ring that the call does not know of: it is {}", self.call.state.name()));
        }
        let shortest = SignedDuration::from_mins(i64::from(SHORTEST_RETRY_MINUTES));
        if self.last_miss.is_some_and(|missed_at| now.duration_since(missed_at) < shortest) {
            self.breaks("a ring too soon after a miss");
        }
        // The claim lies inside (`judge_claim`); the ring follows it by a worker's life and a late act of the provider at most.
        let before = self.phones[attempt].before;
        if now < scenario.opens_at || now >= before + SignedDuration::from_secs(WORKER_LIFE + IN_FLIGHT) {
            self.breaks("a ring outside the window");
        }
        let phone = &mut self.phones[attempt];
        phone.rings += 1;
        phone.line = Line::Ringing { since: now };
        phone.rang_at = phone.rang_at.or(Some(now));
    }

    pub(crate) fn hang_up(&mut self, attempt: Attempt, end: PhoneEnd) {
        self.phones[attempt].line = Line::Over { at: self.now, end };
        if end != PhoneEnd::Talked {
            self.last_miss = Some(self.now);
        }
    }

    /// Gives a slot back if the attempt holds it.
    pub(crate) fn release(&mut self, scenario: &Scenario, attempt: Attempt) {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_of(attempt)) {
            *slot = if scenario.has(Flaw::KeepSlot) { *slot } else { Slot::Free };
        }
    }

    /// Takes in what the provider says of a phone call, as `voice_events::take` does. Whether the attempt is over by it.
    pub(crate) fn take(&mut self, scenario: &Scenario, attempt: Attempt, news: News) -> bool {
        let marker = &mut self.phones[attempt].told[news as usize];
        if std::mem::replace(marker, scenario.markers) {
            return false;
        }
        if !self.is_current(attempt) && !scenario.has(Flaw::AnyAttempt) {
            return false;
        }
        let before = Rc::clone(&self.call);
        let mut call = (*before).clone();
        for event in self.events(&before, attempt, news) {
            if let Some(next) = self.apply(&call, &event, self.now) {
                call = next;
            }
        }
        let analyzed_machine =
            matches!((news, self.phones[attempt].line), (News::Analyzed, Line::Over { end: PhoneEnd::Machine, .. }));
        if analyzed_machine
            && call.state == CallState::Completed
            && let Some(next) = self.apply(&call, &CallEvent::VoicemailFound, self.now)
        {
            call = next;
        }
        if call == *before {
            return false;
        }
        let was_live = self.is_live();
        self.store(call);
        was_live && !self.is_live()
    }

    /// The events that one webhook stands for, in order.
    fn events(&self, before: &Call, attempt: Attempt, news: News) -> Vec<CallEvent> {
        let phone = &self.phones[attempt];
        let mut events = Vec::new();
        if before.attempt.as_ref().is_some_and(|attempt| attempt.provider_call_id.is_none()) {
            events.push(CallEvent::Accepted { provider_call_id: provider_id(attempt) });
        }
        let started_at = phone.rang_at.unwrap_or(self.now);
        match (news, phone.line) {
            (News::Ended | News::Analyzed, Line::Over { at, end }) => {
                let reason = reason(end);
                if reason == EndReason::Talked && before.state == CallState::Initiating {
                    events.push(CallEvent::Connected { at: started_at });
                }
                let seconds = end.seconds();
                let user_spoke = Some(end == PhoneEnd::Talked);
                events.push(CallEvent::Ended(CallEnd { at, duration_seconds: seconds, end: reason, user_spoke }));
            }
            (News::Started, _) => events.push(CallEvent::Connected { at: started_at }),
            (News::Ended | News::Analyzed, _) => {}
        }
        events
    }

    /// Promises about the state as it stands.
    pub(crate) fn judge(&mut self, scenario: &Scenario) {
        if !scenario.slots_judged {
            return;
        }
        let now = self.now;
        let holds = |attempt: Attempt, slot: &Slot| slot.is_of(attempt) && !slot.is_free(now);
        let bare = |(attempt, phone): (Attempt, &Phone)| {
            phone.is_live() && !self.slots.iter().any(|slot| holds(attempt, slot))
        };
        if self.phones.iter().enumerate().any(bare) {
            self.breaks("a phone call without its slot");
        }
        // What a crash leaves behind frees itself; without one everything is given back.
        let kept = self.slots.iter().any(|slot| matches!(slot, Slot::Ours { .. }));
        if kept && self.is_over() && self.faults == scenario.faults {
            self.breaks("a slot that nobody gives back");
        }
    }

    pub(crate) fn heard_a_machine(&self) -> bool {
        self.phones.iter().any(|phone| matches!(phone.line, Line::Over { end: PhoneEnd::Machine, .. }))
    }

    /// Whether nothing can happen to this call any more.
    pub(crate) fn is_over(&self) -> bool {
        self.call.state.is_terminal()
            && self.asked.is_none()
            && self.workers.iter().all(|worker| matches!(worker, Worker::Idle))
            && !self.phones.iter().any(|phone| phone.is_live() || phone.in_flight.is_some())
    }

    /// Until when this world can stand still: what has to happen before time goes on.
    pub(crate) fn may_pass_to(&self, scenario: &Scenario, next: Timestamp) -> bool {
        let within = |since: Timestamp, longest: SignedDuration| next.duration_since(since) <= longest;
        let longest_ring = SignedDuration::from_secs(LONGEST_RING);
        let closing = self.instant >= scenario.closing_from && !scenario.has(Flaw::NoSweep);
        self.asked.is_none()
            && (self.swept || !closing)
            && self.workers.iter().filter_map(Worker::began).all(|began| within(began, scenario.worker_life()))
            && self.phones.iter().all(|phone| match phone.line {
                Line::Silent | Line::Over { .. } => true,
                Line::Ringing { since } => within(since, longest_ring),
                Line::Talking { since } => within(since, scenario.longest_talk()),
            })
            && self.phones.iter().filter_map(|phone| phone.in_flight).all(|until| next <= until)
    }

    /// What can still matter, hashed twice: the worker that is first, markers of attempts that are over, and the numbers of
    /// claims that placed nothing cannot.
    pub(crate) fn key(&self, scenario: &Scenario) -> u128 {
        let mut first = DefaultHasher::new();
        self.hash_into(scenario, &mut first);
        let mut second = first.clone();
        second.write_u8(1);
        u128::from(first.finish()) << 64 | u128::from(second.finish())
    }

    fn hash_into(&self, scenario: &Scenario, into: &mut DefaultHasher) {
        let age = |attempt: Attempt| self.phones.len() - attempt;
        let call = &self.call;
        let shortest = SignedDuration::from_mins(i64::from(SHORTEST_RETRY_MINUTES));
        let fresh_miss = self.last_miss.filter(|at| self.now.duration_since(*at) < shortest);
        (self.instant, self.swept, self.faults, self.texts, fresh_miss).hash(into);
        (call.state, call.follow_up_queued, call.rang).hash(into);
        if self.waits() {
            (call.attempts, call.due_at).hash(into);
        }
        if let Some(attempt) = call.attempt.as_ref().filter(|_| self.is_live()) {
            let told = (attempt.provider_call_id.is_some(), attempt.carrier_end.is_some());
            (call.attempts, attempt.claimed_at, attempt.lease_until, told).hash(into);
        }
        let mut workers = self.workers.each_ref().map(|worker| self.worker_key(worker));
        workers.sort_unstable();
        workers.hash(into);
        self.rings().hash(into);
        for (attempt, phone) in self.phones.iter().enumerate() {
            let current = (self.is_live() && self.is_current(attempt)) || self.is_repeated(call, attempt);
            if current || phone.is_live() || phone.in_flight.is_some() {
                let rang_at = phone.rang_at.filter(|at| self.now.duration_since(*at) <= scenario.list_lag());
                let before = (phone.rings == 0).then_some(phone.before);
                (age(attempt), current, phone.rings, phone.line, rang_at, before).hash(into);
                (phone.in_flight, phone.told).hash(into);
            }
        }
        for slot in &self.slots {
            match slot {
                Slot::Free => 0_u8.hash(into),
                Slot::Ours { attempt, lease_until } => (1_u8, age(*attempt), lease_until).hash(into),
                Slot::Others => 2_u8.hash(into),
                Slot::NoSuch => 3_u8.hash(into),
            }
        }
        if let Some(asked) = &self.asked {
            (asked.call.version == call.version, asked.told).hash(into);
        }
    }

    fn worker_key(&self, worker: &Worker) -> u64 {
        let mut hasher = DefaultHasher::new();
        let age = |attempt: &Attempt| self.phones.len() - attempt;
        worker.began().hash(&mut hasher);
        match worker {
            Worker::Idle => 0.hash(&mut hasher),
            Worker::Read { call, .. } => (1, call.version == self.call.version).hash(&mut hasher),
            Worker::Create { attempt, .. } => (2, age(attempt)).hash(&mut hasher),
            Worker::Find { attempt, .. } => (3, age(attempt)).hash(&mut hasher),
            Worker::CreateAgain { attempt, .. } => (4, age(attempt)).hash(&mut hasher),
            Worker::Settle { attempt, answer, .. } => (5, age(attempt), answer).hash(&mut hasher),
            Worker::Release { attempt, .. } => (6, age(attempt)).hash(&mut hasher),
        }
        hasher.finish()
    }
}

const fn reason(end: PhoneEnd) -> EndReason {
    match end {
        PhoneEnd::Talked | PhoneEnd::TooShort | PhoneEnd::Machine => EndReason::Talked,
        PhoneEnd::Voicemail => EndReason::Voicemail,
        PhoneEnd::NoAnswer => EndReason::NoAnswer,
        PhoneEnd::Declined => EndReason::Declined,
        PhoneEnd::NeverRedial => EndReason::NeverRedial,
    }
}
