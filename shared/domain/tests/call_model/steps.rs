//! The steps of the world: each is one thing that one party does between two points at which it can be interrupted.
//!
//! A worker goes through `dialling::place_call`: read, claim, create, (find, create again), settle, release; it may crash before
//! each. A wake-up is delivered at any time while the call waits, never, or to both workers at once: that is all that a queue
//! which delivers at least once can do, since one for another due time is dropped at the read. A webhook or a cancellation is
//! one step, because its write holds only if nothing was written since its read. The sweep is two: between the provider's
//! answer and the write the world goes on.

use std::rc::Rc;

use ivy_domain::call::{Call, CallEvent, CallPolicy, CallState, PROVIDER_UNAVAILABLE, Start, may_start};
use jiff::{SignedDuration, Timestamp};

use crate::{
    explore::Model,
    scenario::{Flaw, IN_FLIGHT, Scenario},
    world::{Answer, Asked, Attempt, Line, News, Phone, PhoneEnd, Slot, Told, Worker, World, attempt_id, provider_id},
};

/// What becomes of a request to create a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Taken,
    Refused,
    /// 429, or no connection: nothing was done.
    Busy,
    /// Our account is at fault: nothing was done, and it will take minutes.
    Account,
    /// It was done, and the answer was lost.
    LostAfter,
    /// It was not done, and the answer was lost: a 5xx for one.
    LostBefore,
    /// The answer was lost, and it is done later.
    LostAndLate,
}

/// What a worker's question for its attempt is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Call,
    Nothing,
    NoAnswer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    TimePasses,
    Read(usize),
    Claim(usize),
    Create(usize, Reply),
    Find(usize, Found),
    CreateAgain(usize, Reply),
    Settle(usize),
    Release(usize),
    Crash(usize),
    ActsLate(Attempt),
    Answers(Attempt),
    HangsUp(Attempt, PhoneEnd),
    Webhook(Attempt, News, Released),
    CarrierTells(Attempt),
    Ask(Told),
    Settled(Released),
    SweepWindow,
    SweepNothing,
    Cancel,
    OthersTake,
    OthersLeave,
}

/// Whether the slot was given back after the write, or a crash came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    Yes,
    Crashed,
}

type Steps = Vec<(Step, World)>;

impl Model for Scenario {
    type State = World;
    type Step = Step;

    fn initial(&self) -> World {
        World::new(self)
    }

    fn steps(&self, world: &World) -> Steps {
        let mut steps = Vec::new();
        webhooks(self, world, &mut steps);
        if world.is_over() {
            return steps;
        }
        for worker in 0..world.workers.len() {
            work(self, world, worker, &mut steps);
        }
        provider(self, world, &mut steps);
        sweep(self, world, &mut steps);
        others(world, &mut steps);
        let mut cancelled = world.clone();
        cancelled.cancel();
        steps.push((Step::Cancel, cancelled));
        if let Some(later) = self.instants.get(world.instant + 1)
            && world.may_pass_to(self, *later)
        {
            let mut next = world.clone();
            (next.instant, next.now, next.swept) = (world.instant + 1, *later, false);
            steps.push((Step::TimePasses, next));
        }
        for (_, next) in &mut steps {
            next.judge(self);
        }
        steps
    }

    fn key(&self, world: &World) -> u128 {
        world.key(self)
    }

    fn broken(&self, world: &World) -> Option<String> {
        world.broken.clone()
    }

    fn is_end(&self, world: &World) -> bool {
        world.is_over()
    }

    fn line(&self, step: Step, after: &World) -> String {
        let clock = |at: Timestamp| at.to_string()[11..19].to_owned();
        let call = &after.call;
        let due = if after.waits() { format!(", due {}", clock(call.due_at)) } else { String::new() };
        format!(
            "{} {step:?} → {}, attempts {}, rings {}{due}",
            clock(after.now),
            call.state.name(),
            call.attempts,
            after.rings()
        )
    }

    fn seen(&self, world: &World) -> Vec<&'static str> {
        let ringing_since = |phone: &Phone| match phone.line {
            Line::Ringing { since } => Some((since, phone.before)),
            Line::Silent | Line::Talking { .. } | Line::Over { .. } => None,
        };
        let mut ringing = world.phones.iter().filter_map(ringing_since);
        [
            (world.rings() == 3, THREE_RINGS),
            (world.call.state == CallState::Completed, COMPLETED),
            (world.call.state == CallState::Cancelled, CANCELLED),
            (world.call.state == CallState::Failed, FAILED),
            (ringing.clone().any(|(since, _)| since >= self.closes_at), IN_THE_GRACE),
            (ringing.any(|(since, before)| since >= before), BEHIND_ITS_CLAIM),
            (world.call.attempt.as_ref().is_some_and(|attempt| attempt.carrier_end.is_some()), CARRIERS_WORD),
            (world.call.state == CallState::Retry && world.heard_a_machine(), REOPENED),
            (world.slots.iter().all(|slot| matches!(slot, Slot::Ours { .. })), TWO_SLOTS),
            (world.asked.as_ref().is_some_and(|asked| asked.told != Told::Over && given_up(world, asked)), GIVEN_UP),
        ]
        .into_iter()
        .filter_map(|(holds, name)| holds.then_some(name))
        .collect()
    }
}

// What a search has to have come by, or its bounds were too narrow to mean anything.
pub(crate) const THREE_RINGS: &str = "three rings";
pub(crate) const COMPLETED: &str = "completed";
pub(crate) const CANCELLED: &str = "cancelled";
pub(crate) const FAILED: &str = "failed";
pub(crate) const IN_THE_GRACE: &str = "a ring after the window";
/// Claimed in time, and the phone rang some seconds after it: see `World::ring`.
pub(crate) const BEHIND_ITS_CLAIM: &str = "a ring later than its claim might be";
pub(crate) const CARRIERS_WORD: &str = "the carrier's word";
/// A talk that was none: see `PhoneEnd::Machine`.
pub(crate) const REOPENED: &str = "a completed call that waits again";
/// The slot of an attempt that is over, not given back for a crash, beside that of the next.
pub(crate) const TWO_SLOTS: &str = "two slots held";
pub(crate) const GIVEN_UP: &str = "an attempt that is given up";

/// A world in which something more went wrong; none when enough has.
fn fault(world: &World) -> Option<World> {
    let faults = world.faults.checked_sub(1)?;
    Some(World { faults, ..world.clone() })
}

fn work(scenario: &Scenario, world: &World, number: usize, steps: &mut Steps) {
    let go = |world: World, worker: Worker| {
        let mut next = world;
        next.workers[number] = worker;
        next
    };
    match &world.workers[number] {
        Worker::Idle => read(scenario, world, number, steps),
        Worker::Read { began, call } => {
            steps.push((Step::Claim(number), claim(scenario, world, number, *began, call)));
        }
        Worker::Create { began, attempt } => create(scenario, world, number, (*began, *attempt), steps),
        Worker::Find { began, attempt } => find(scenario, world, number, (*began, *attempt), steps),
        Worker::CreateAgain { began, attempt } => create_again(scenario, world, number, (*began, *attempt), steps),
        Worker::Settle { began, attempt, answer } => {
            steps.push((Step::Settle(number), settle(world, number, (*began, *attempt), *answer)));
        }
        Worker::Release { attempt, .. } => {
            let mut next = go(world.clone(), Worker::Idle);
            next.release(scenario, *attempt);
            steps.push((Step::Release(number), next));
        }
    }
    if !matches!(world.workers[number], Worker::Idle)
        && let Some(world) = fault(world)
    {
        steps.push((Step::Crash(number), go(world, Worker::Idle)));
    }
}

/// A wake-up arrives and the worker reads the call. One that has nothing to do changes nothing.
fn read(scenario: &Scenario, world: &World, number: usize, steps: &mut Steps) {
    let idle_before = world.workers[..number].iter().any(|worker| matches!(worker, Worker::Idle));
    let due = may_start(&world.call, world.now) != Start::TooEarly || scenario.has(Flaw::AnyTime);
    // Of two idle workers it does not matter which one starts.
    if world.waits() && due && !idle_before {
        let mut next = world.clone();
        next.workers[number] = Worker::Read { began: world.now, call: Rc::clone(&world.call) };
        steps.push((Step::Read(number), next));
    }
}

/// What follows from the read: the claim, the end of the window, or a wait for a slot.
fn claim(scenario: &Scenario, world: &World, number: usize, began: Timestamp, read: &Rc<Call>) -> World {
    let mut next = world.clone();
    next.workers[number] = Worker::Idle;
    if may_start(read, began) == Start::WindowClosed && !scenario.has(Flaw::AnyTime) {
        next.write(read, &CallEvent::WindowClosed, began);
        return next;
    }
    let Some(slot) = world.slots.iter().position(|slot| slot.is_free(began)) else {
        if read.version == world.call.version {
            let due_at = began + SignedDuration::from_secs(20);
            next.call = Rc::new(Call { due_at, version: read.version + 1, ..(**read).clone() });
        }
        return next;
    };
    if let Some(attempt) = next.claim(scenario, read, began, slot) {
        next.workers[number] = Worker::Create { began, attempt };
    }
    next
}

/// The provider gets the request. A key that it knows rings nothing.
fn dial(scenario: &Scenario, world: &mut World, attempt: Attempt) {
    if world.phones[attempt].rings == 0 || scenario.has(Flaw::NewKey) {
        world.ring(scenario, attempt);
    }
}

fn create(
    scenario: &Scenario,
    world: &World,
    number: usize,
    (began, attempt): (Timestamp, Attempt),
    steps: &mut Steps,
) {
    let mut reply = |reply: Reply, world: Option<World>, worker: Worker| {
        let Some(mut next) = world else { return };
        match reply {
            Reply::Taken | Reply::LostAfter => dial(scenario, &mut next, attempt),
            Reply::LostAndLate => {
                next.phones[attempt].in_flight = Some(next.now + SignedDuration::from_secs(IN_FLIGHT));
            }
            Reply::Refused | Reply::Busy | Reply::Account | Reply::LostBefore => {}
        }
        next.workers[number] = worker;
        steps.push((Step::Create(number, reply), next));
    };
    let settle = |answer: Answer| Worker::Settle { began, attempt, answer };
    reply(Reply::Taken, Some(world.clone()), settle(Answer::Accepted));
    reply(Reply::Refused, Some(world.clone()), settle(Answer::Refused));
    reply(Reply::Busy, fault(world), settle(Answer::NotPlaced { seconds: 45 }));
    reply(Reply::Account, fault(world), settle(Answer::NotPlaced { seconds: 300 }));
    for lost in [Reply::LostAfter, Reply::LostBefore, Reply::LostAndLate] {
        let then = if scenario.has(Flaw::LostMeansNotPlaced) {
            settle(Answer::NotPlaced { seconds: 45 })
        } else {
            Worker::Find { began, attempt }
        };
        reply(lost, fault(world), then);
    }
}

/// Asks the provider for the attempt, after its answer was lost.
fn find(scenario: &Scenario, world: &World, number: usize, (began, attempt): (Timestamp, Attempt), steps: &mut Steps) {
    let mut found = |found: Found, world: Option<World>, worker: Worker| {
        let Some(mut next) = world else { return };
        next.workers[number] = worker;
        steps.push((Step::Find(number, found), next));
    };
    let phone = &world.phones[attempt];
    let settle = Worker::Settle { began, attempt, answer: Answer::Accepted };
    found(Found::Call, (phone.rings > 0).then(|| world.clone()), settle);
    let unlisted = unlisted(scenario, world, phone);
    found(Found::Nothing, unlisted.then(|| world.clone()), Worker::CreateAgain { began, attempt });
    found(Found::NoAnswer, fault(world), Worker::Idle);
}

/// The same request again. Only a yes is an answer; all else leaves the attempt to the sweep.
fn create_again(
    scenario: &Scenario,
    world: &World,
    number: usize,
    (began, attempt): (Timestamp, Attempt),
    steps: &mut Steps,
) {
    let mut taken = world.clone();
    dial(scenario, &mut taken, attempt);
    taken.workers[number] = Worker::Settle { began, attempt, answer: Answer::Accepted };
    steps.push((Step::CreateAgain(number, Reply::Taken), taken));
    for reply in [Reply::LostAfter, Reply::LostBefore, Reply::LostAndLate] {
        let Some(mut next) = fault(world) else { return };
        match reply {
            Reply::LostAfter => dial(scenario, &mut next, attempt),
            Reply::LostAndLate => {
                next.phones[attempt].in_flight = Some(world.now + SignedDuration::from_secs(IN_FLIGHT));
            }
            Reply::Taken | Reply::Refused | Reply::Busy | Reply::Account | Reply::LostBefore => {}
        }
        next.workers[number] = Worker::Idle;
        steps.push((Step::CreateAgain(number, reply), next));
    }
}

/// Reads the call again and writes the provider's answer, unless the attempt is over.
fn settle(world: &World, number: usize, (began, attempt): (Timestamp, Attempt), answer: Answer) -> World {
    let mut next = world.clone();
    next.workers[number] = Worker::Idle;
    if !world.is_current(attempt) {
        return next;
    }
    let event = match answer {
        Answer::Accepted => CallEvent::Accepted { provider_call_id: provider_id(attempt) },
        Answer::Refused => CallEvent::Refused { cause: "invalid_number".to_owned() },
        Answer::NotPlaced { seconds } => CallEvent::NotPlaced {
            cause: "provider_busy".to_owned(),
            retry_at: world.now + SignedDuration::from_secs(seconds),
        },
    };
    let moved = next.write(&world.call, &event, world.now);
    if moved && answer != Answer::Accepted {
        next.workers[number] = Worker::Release { began, attempt };
    }
    next
}

/// Whether the list may answer that there is no such call: there is none, or it is too new.
fn unlisted(scenario: &Scenario, world: &World, phone: &Phone) -> bool {
    phone.rang_at.is_none_or(|at| world.now.duration_since(at) <= scenario.list_lag())
}

/// What the provider and the person do: act on a late request, answer, hang up.
fn provider(scenario: &Scenario, world: &World, steps: &mut Steps) {
    for (attempt, phone) in world.phones.iter().enumerate() {
        if phone.in_flight.is_some() {
            let mut next = world.clone();
            next.phones[attempt].in_flight = None;
            dial(scenario, &mut next, attempt);
            steps.push((Step::ActsLate(attempt), next));
        }
        let mut hang_up = |end: PhoneEnd| {
            let mut next = world.clone();
            next.hang_up(attempt, end);
            steps.push((Step::HangsUp(attempt, end), next));
        };
        match phone.line {
            Line::Ringing { .. } => {
                [PhoneEnd::NoAnswer, PhoneEnd::Declined, PhoneEnd::NeverRedial].into_iter().for_each(&mut hang_up);
                let mut next = world.clone();
                next.phones[attempt].line = Line::Talking { since: world.now };
                steps.push((Step::Answers(attempt), next));
            }
            Line::Talking { .. } => {
                [PhoneEnd::Talked, PhoneEnd::TooShort, PhoneEnd::Voicemail].into_iter().for_each(&mut hang_up);
                if scenario.afterthoughts {
                    hang_up(PhoneEnd::Machine);
                }
            }
            Line::Silent | Line::Over { .. } => {}
        }
    }
}

/// The slots, which other calls take and leave.
fn others(world: &World, steps: &mut Steps) {
    if let Some(free) = world.slots.iter().position(|slot| slot.is_free(world.now))
        && let Some(mut next) = fault(world)
    {
        next.slots[free] = Slot::Others;
        steps.push((Step::OthersTake, next));
    }
    if let Some(taken) = world.slots.iter().position(|slot| *slot == Slot::Others) {
        let mut next = world.clone();
        next.slots[taken] = Slot::Free;
        steps.push((Step::OthersLeave, next));
    }
}

/// Any event of any attempt that the provider has had, at any time, in any order, again and again, until the world closes.
fn webhooks(scenario: &Scenario, world: &World, steps: &mut Steps) {
    if world.instant >= scenario.closing_from {
        return;
    }
    for (attempt, phone) in world.phones.iter().enumerate() {
        let (connected, over) = match phone.line {
            Line::Silent | Line::Ringing { .. } => (false, false),
            Line::Talking { .. } => (true, false),
            Line::Over { end, .. } => (end.had_connected(), true),
        };
        // What is late is late whichever it is: one kind of it is enough.
        let late = !world.is_live() || !world.is_current(attempt);
        for (news, told) in [(News::Started, connected), (News::Ended, over && !late), (News::Analyzed, over)] {
            if told {
                webhook(scenario, world, attempt, news, steps);
            }
        }
        if let Line::Over { at, end } = phone.line
            && scenario.afterthoughts
            && !late
        {
            let mut next = world.clone();
            if next.write(&world.call, &CallEvent::CarrierEnded(end.by_carrier(at)), world.now) {
                steps.push((Step::CarrierTells(attempt), next));
            }
        }
    }
}

fn webhook(scenario: &Scenario, world: &World, attempt: Attempt, news: News, steps: &mut Steps) {
    let mut next = world.clone();
    if next.take(scenario, attempt, news) {
        if let Some(faults) = next.faults.checked_sub(1) {
            steps.push((Step::Webhook(attempt, news, Released::Crashed), World { faults, ..next.clone() }));
        }
        next.release(scenario, attempt);
    }
    steps.push((Step::Webhook(attempt, news, Released::Yes), next));
}

fn sweep(scenario: &Scenario, world: &World, steps: &mut Steps) {
    if let Some(asked) = &world.asked {
        settle_lease(scenario, world, asked, steps);
        return;
    }
    if world.swept || (scenario.has(Flaw::NoSweep)) {
        return;
    }
    let mut swept = World { swept: true, ..world.clone() };
    if world.waits() && may_start(&world.call, world.now) == Start::WindowClosed {
        swept.write(&world.call, &CallEvent::WindowClosed, world.now);
        steps.push((Step::SweepWindow, swept));
        return;
    }
    let overdue = world.is_live() && world.call.attempt.as_ref().is_some_and(|it| it.lease_until <= world.now);
    if !overdue {
        // It looks after waiting calls by waking them, which any wake-up does.
        if world.instant >= scenario.closing_from {
            steps.push((Step::SweepNothing, swept));
        }
        return;
    }
    ask(scenario, world, steps);
}

/// Asks the provider about the attempt whose lease is over.
fn ask(scenario: &Scenario, world: &World, steps: &mut Steps) {
    let Some(attempt) = (0..world.phones.len()).find(|attempt| world.is_current(*attempt)) else { return };
    let phone = &world.phones[attempt];
    let by_id = world.call.attempt.as_ref().is_some_and(|attempt| attempt.provider_call_id.is_some());
    let mut told = |told: Told, world: Option<World>| {
        if let Some(mut next) = world {
            next.asked = Some(Asked { call: Rc::clone(&next.call), told });
            steps.push((Step::Ask(told), next));
        }
    };
    match phone.line {
        Line::Silent => {}
        Line::Ringing { .. } => told(Told::Ringing, Some(world.clone())),
        Line::Talking { .. } => told(Told::Talking, Some(world.clone())),
        Line::Over { end, .. } => {
            told(Told::Over, Some(world.clone()));
            // A provider that never learns that the line is dead.
            told(if end.had_connected() { Told::Talking } else { Told::Ringing }, Some(world.clone()));
        }
    }
    if phone.rings == 0 || (!by_id && unlisted(scenario, world, phone)) {
        told(Told::Nothing, Some(world.clone()));
    }
    told(Told::Unknown, Some(world.clone()));
}

/// Whether an attempt is older than any phone call can be.
fn given_up(world: &World, asked: &Asked) -> bool {
    let longest = SignedDuration::from_secs(i64::from(CallPolicy::default().longest_call_seconds));
    asked.call.attempt.as_ref().is_some_and(|attempt| world.now.duration_since(attempt.claimed_at) > longest)
}

/// Writes what the sweep was told, on the version that it read.
fn settle_lease(scenario: &Scenario, world: &World, asked: &Asked, steps: &mut Steps) {
    let its = |attempt: &Attempt| asked.call.is_current_attempt(Some(&attempt_id(*attempt)), None);
    let Some(attempt) = (0..world.phones.len()).find(its) else { return };
    let mut next = World { asked: None, swept: true, ..world.clone() };
    let by_carrier = asked.call.attempt.as_ref().and_then(|attempt| attempt.carrier_end.clone());
    let over = match asked.told {
        Told::Over => {
            accept(&mut next, asked, attempt);
            next.take(scenario, attempt, News::Ended)
        }
        Told::Nothing | Told::Unknown | Told::Ringing | Told::Talking if by_carrier.is_some() => {
            by_carrier.is_some_and(|end| next.write(&asked.call, &CallEvent::Ended(end), world.now))
        }
        Told::Unknown if !given_up(world, asked) => false,
        Told::Ringing if !given_up(world, asked) => {
            accept(&mut next, asked, attempt);
            false
        }
        // A talk whose beginning was never told is taken as the webhook that did not come.
        Told::Talking if !given_up(world, asked) => next.take(scenario, attempt, News::Started),
        // It was never placed: given back, and made again under the same key.
        Told::Nothing if asked.call.attempt.as_ref().is_some_and(|it| it.provider_call_id.is_none()) => {
            let retry_at = world.now + SignedDuration::from_secs(45);
            let event = CallEvent::NotPlaced { cause: PROVIDER_UNAVAILABLE.to_owned(), retry_at };
            next.write(&asked.call, &event, world.now)
        }
        Told::Nothing | Told::Unknown | Told::Ringing | Told::Talking => {
            next.write(&asked.call, &CallEvent::LeaseExpired, world.now)
        }
    };
    if over {
        if let Some(faults) = next.faults.checked_sub(1) {
            steps.push((Step::Settled(Released::Crashed), World { faults, ..next.clone() }));
        }
        next.release(scenario, attempt);
    }
    steps.push((Step::Settled(Released::Yes), next));
}

fn accept(world: &mut World, asked: &Asked, attempt: Attempt) {
    let event = CallEvent::Accepted { provider_call_id: provider_id(attempt) };
    world.write(&asked.call, &event, world.now);
}
