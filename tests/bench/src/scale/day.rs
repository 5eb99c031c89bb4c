//! A day of calling, second by second, on the real state machine.
//!
//! Each call goes through `ivy_domain::call::transition`: claimed, connected, ended, and again by the ladder. Virtual time
//! jumps from event to event. Two things hold a dial back: a free slot (a fifth is kept for inbound and rescue calls, as in the
//! template) and Retell's calls per second; whether the template's workers would keep up is reported beside. A call that finds nothing free asks
//! again every 20 seconds until its window closes; the asking is counted from the time waited and not played one by one.
//!
//! Better than real: a slot that becomes free is taken at once by one of those who wait, and not at that one's next asking; a
//! provider that is asked too often is simply not asked. So what is missed here is missed in truth.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use ivy_domain::{
    CallId, UserId,
    call::{Call, CallEnd, CallEvent, CallPolicy, CallState, CallType, EndReason, Start, may_start, transition},
    values::Zone,
};

use super::{
    limits::{NO_SLOT_SECONDS, calls_per_second},
    population::{DATE, Due, ZONES, at, mixed},
};
use crate::failure::{Because as _, Failure};

/// How attempts end, of a hundred: made up, to be replaced by what production shows.
const ENDS: [(EndReason, u64); 5] = [
    (EndReason::Talked, 55),
    (EndReason::NoAnswer, 27),
    (EndReason::Voicemail, 10),
    (EndReason::Declined, 5),
    (EndReason::Busy, 3),
];

/// Seconds from dialling to the answer, and on the line after it.
fn seconds(end: EndReason, number: u64) -> (i64, i64) {
    let spread =
        |least: i64, most: i64| least + i64::try_from(number % 1000).unwrap_or_default() * (most - least) / 1000;
    match end {
        EndReason::Talked => (12, spread(120, 240)),
        EndReason::Voicemail => (20, 15),
        EndReason::Declined => (10, 0),
        EndReason::Busy => (4, 0),
        _ => (30, 0),
    }
}

/// Counts of one minute.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Minute {
    pub(crate) due: u32,
    pub(crate) dials: u32,
    pub(crate) ends: u32,
    pub(crate) completed: u32,
    pub(crate) waiting: u32,
    pub(crate) slots: u32,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) attempts: u64,
    pub(crate) connected: u64,
    pub(crate) completed: u64,
    pub(crate) talk_seconds: u64,
    pub(crate) voicemail_seconds: u64,
    pub(crate) retries: u64,
    /// Messages after a miss, and offers to write.
    pub(crate) follow_ups: u64,
    /// Windows that closed before the phone rang once, and on a retry.
    pub(crate) never_rang: u64,
    pub(crate) closed_on_retry: u64,
    /// Ladders that ended without a talk, and calls that were declined.
    pub(crate) given_up: u64,
    /// How often a call asked for a slot in vain.
    pub(crate) polls: u64,
    pub(crate) most_waiting: u32,
    pub(crate) most_slots: u32,
    /// Seconds from due to dialled, of first attempts: the middle, and the 99th of a hundred.
    pub(crate) lag_p50: i64,
    pub(crate) lag_p99: i64,
    pub(crate) minutes: BTreeMap<i64, Minute>,
}

impl Outcome {
    /// Of a hundred calls, those whose window closed before they rang.
    pub(crate) fn missed_percent(&self) -> f64 {
        crate::figures::ratio(crate::figures::wide(self.never_rang) * 100.0, crate::figures::wide(self.calls))
            .unwrap_or_default()
    }

    pub(crate) fn peak(&self, of: impl Fn(&Minute) -> u32) -> u32 {
        self.minutes.values().map(of).max().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An attempt is over.
    Over,
    /// An attempt is due.
    Due,
    /// A waiting call's window closes.
    Close,
    /// Another dial may be made.
    Wake,
}

struct Day<'a> {
    planned: &'a [Due],
    /// Calls that are not planned only any more, and not over.
    live: HashMap<u32, Box<Call>>,
    events: BinaryHeap<Reverse<(i64, Event, u32)>>,
    /// Those who wait, in an order that has nothing to do with who waited longest; and since when.
    waiting: BTreeMap<(u64, u32), i64>,
    place_of: HashMap<u32, u64>,
    free: u32,
    usable: u32,
    next_dial: f64,
    pace: f64,
    woken_at: i64,
    lags: Vec<i64>,
    ids: (CallId, UserId),
    zones: Vec<Zone>,
    found: Outcome,
}

/// Plays the day of these calls.
pub(crate) fn play(planned: &[Due], slots: u32) -> Result<Outcome, Failure> {
    let usable = slots - slots / 5;
    let zones = ZONES.iter().map(|(name, _)| name.parse().because("a zone")).collect::<Result<_, _>>()?;
    let mut day = Day {
        planned,
        live: HashMap::new(),
        events: BinaryHeap::with_capacity(planned.len()),
        waiting: BTreeMap::new(),
        place_of: HashMap::new(),
        free: usable,
        usable,
        next_dial: f64::MIN,
        pace: 1.0 / calls_per_second(slots),
        woken_at: i64::MIN,
        lags: Vec::with_capacity(planned.len()),
        ids: (CallId::derive(DATE, &["scale"]), UserId::derive(DATE, &["scale"])),
        zones,
        found: Outcome { calls: u64::try_from(planned.len()).unwrap_or_default(), ..Outcome::default() },
    };
    for (index, due) in planned.iter().enumerate() {
        let index = u32::try_from(index).because("too many calls")?;
        day.events.push(Reverse((due.due, Event::Due, index)));
    }
    while let Some(Reverse((now, event, index))) = day.events.pop() {
        match event {
            Event::Due => day.due(now, index)?,
            Event::Over => day.over(now, index)?,
            Event::Close => day.close(now, index)?,
            Event::Wake => {}
        }
        day.dial(now)?;
        // Whoever is left waits for the end of the window at the latest.
        if event == Event::Due && day.place_of.contains_key(&index) {
            day.watch(index)?;
        }
        let (waiting, held) = (u32::try_from(day.waiting.len()).unwrap_or(u32::MAX), day.usable - day.free);
        day.found.most_waiting = day.found.most_waiting.max(waiting);
        day.found.most_slots = day.found.most_slots.max(held);
        let minute = day.minute(now);
        minute.waiting = minute.waiting.max(waiting);
        minute.slots = minute.slots.max(held);
    }
    day.lags.sort_unstable();
    let lag = |percent: usize| {
        let rank = (day.lags.len() * percent).div_ceil(100);
        day.lags.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    };
    (day.found.lag_p50, day.found.lag_p99) = (lag(50), lag(99));
    Ok(day.found)
}

impl Day<'_> {
    fn minute(&mut self, now: i64) -> &mut Minute {
        self.found.minutes.entry(now.div_euclid(60)).or_default()
    }

    fn planned(&self, index: u32) -> Result<Due, Failure> {
        self.planned.get(index as usize).copied().because("a call that nobody planned")
    }

    /// Takes a call out of those that are under way, or makes it of its plan. Whoever takes it puts it back, if it goes on.
    fn take(&mut self, index: u32) -> Result<Box<Call>, Failure> {
        if let Some(call) = self.live.remove(&index) {
            return Ok(call);
        }
        let due = self.planned(index)?;
        let zone = self.zones.get(usize::from(due.zone)).cloned().unwrap_or_default();
        let call_type = if due.evening { CallType::EveningReview } else { CallType::MorningPlanning };
        let (id, user) = self.ids;
        Ok(Box::new(Call::scheduled(id, user, call_type, at(due.due), due.window(), zone, at(due.opens))))
    }

    fn policy(&self, index: u32) -> Result<CallPolicy, Failure> {
        Ok(CallPolicy::for_tier(self.planned(index)?.tier))
    }

    fn step(&self, call: &Call, event: &CallEvent, now: i64, index: u32) -> Result<(Call, bool), Failure> {
        let (next, effects) = transition(call, event, at(now), &self.policy(index)?).because("the state machine")?;
        let writes = effects.iter().any(|effect| {
            matches!(effect, ivy_domain::call::CallEffect::QueueFollowUp | ivy_domain::call::CallEffect::OfferText)
        });
        Ok((next, writes))
    }

    fn due(&mut self, now: i64, index: u32) -> Result<(), Failure> {
        self.minute(now).due += 1;
        let place = mixed(u64::from(index) ^ 0x5107);
        self.place_of.insert(index, place);
        self.waiting.insert((place, index), now);
        Ok(())
    }

    fn leave(&mut self, index: u32, now: i64) -> Option<i64> {
        let place = self.place_of.remove(&index)?;
        let since = self.waiting.remove(&(place, index))?;
        self.found.polls += u64::try_from((now - since) / NO_SLOT_SECONDS).unwrap_or_default();
        Some(since)
    }

    /// The window of a call that waits closes.
    fn close(&mut self, now: i64, index: u32) -> Result<(), Failure> {
        if !self.place_of.contains_key(&index) {
            return Ok(());
        }
        let call = self.take(index)?;
        match may_start(&call, at(now)) {
            Start::WindowClosed => {
                self.leave(index, now);
                let (call, writes) = self.step(&call, &CallEvent::WindowClosed, now, index)?;
                self.found.follow_ups += u64::from(writes);
                if call.attempts == 0 {
                    self.found.never_rang += 1;
                } else {
                    self.found.closed_on_retry += 1;
                }
            }
            // A retry may use the half hour after the window.
            Start::Now | Start::TooEarly => {
                self.live.insert(index, call);
                self.events.push(Reverse((now + 60, Event::Close, index)));
            }
        }
        Ok(())
    }

    /// Dials while there is a slot and the pace allows it.
    fn dial(&mut self, now: i64) -> Result<(), Failure> {
        #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
        let clock = now as f64;
        while self.free > 0 && !self.waiting.is_empty() {
            if self.next_dial > clock + 0.999 {
                #[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
                let wake = self.next_dial.floor() as i64;
                if self.woken_at != wake {
                    self.woken_at = wake;
                    self.events.push(Reverse((wake.max(now + 1), Event::Wake, 0)));
                }
                break;
            }
            let Some((&(_, index), _)) = self.waiting.iter().next() else { break };
            let Some(since) = self.leave(index, now) else { break };
            self.next_dial = self.next_dial.max(clock) + self.pace;
            self.attempt(now, since, index)?;
        }
        Ok(())
    }

    fn watch(&mut self, index: u32) -> Result<(), Failure> {
        let closes = self.planned(index)?.closes;
        self.events.push(Reverse((closes, Event::Close, index)));
        Ok(())
    }

    fn attempt(&mut self, now: i64, since: i64, index: u32) -> Result<(), Failure> {
        let call = self.take(index)?;
        match may_start(&call, at(now)) {
            Start::Now => {}
            Start::TooEarly => {
                let due = call.due_at.as_second().max(now + 1);
                self.live.insert(index, call);
                self.events.push(Reverse((due, Event::Due, index)));
                return Ok(());
            }
            Start::WindowClosed => {
                let (call, writes) = self.step(&call, &CallEvent::WindowClosed, now, index)?;
                self.found.follow_ups += u64::from(writes);
                *(if call.attempts == 0 { &mut self.found.never_rang } else { &mut self.found.closed_on_retry }) += 1;
                return Ok(());
            }
        }
        if call.attempts == 0 {
            self.lags.push(now - since);
        }
        let number = u64::from(call.attempts) + 1;
        let (mut call, _) = self.step(&call, &CallEvent::Claimed { attempt_id: number.to_string() }, now, index)?;
        self.found.attempts += 1;
        self.minute(now).dials += 1;
        self.free -= 1;
        let (end, drawn) = end_of(self.planned(index)?.user, number);
        let (ring, talk) = seconds(end, drawn);
        if talk > 0 {
            self.found.connected += 1;
            let connected = CallEvent::Connected { at: at(now + ring) };
            (call, _) = self.step(&call, &connected, now + ring, index)?;
            let total = u64::try_from(talk).unwrap_or_default();
            let talked = end == EndReason::Talked;
            *(if talked { &mut self.found.talk_seconds } else { &mut self.found.voicemail_seconds }) += total;
        }
        self.live.insert(index, Box::new(call));
        self.events.push(Reverse((now + ring + talk, Event::Over, index)));
        Ok(())
    }

    fn over(&mut self, now: i64, index: u32) -> Result<(), Failure> {
        self.free += 1;
        self.minute(now).ends += 1;
        let due = self.planned(index)?;
        let call = self.take(index)?;
        let (end, drawn) = end_of(due.user, u64::from(call.attempts));
        let (_, talk) = seconds(end, drawn);
        let spoke = (end == EndReason::Talked).then_some(true);
        let ended = CallEnd { at: at(now), duration_seconds: u32::try_from(talk).ok(), end, user_spoke: spoke };
        let (call, writes) = self.step(&call, &CallEvent::Ended(ended), now, index)?;
        self.found.follow_ups += u64::from(writes);
        match call.state {
            CallState::Completed => {
                self.found.completed += 1;
                self.minute(now).completed += 1;
            }
            CallState::Retry => {
                self.found.retries += 1;
                self.events.push(Reverse((call.due_at.as_second().max(now + 1), Event::Due, index)));
                self.live.insert(index, Box::new(call));
            }
            _ => {
                self.found.given_up += 1;
            }
        }
        Ok(())
    }
}

/// How an attempt of a person ends, and a number for its length.
fn end_of(user: u32, attempt: u64) -> (EndReason, u64) {
    let drawn = mixed(u64::from(user) << 8 | attempt);
    let mut left = (drawn >> 20) % 100;
    for (end, part) in ENDS {
        if left < part {
            return (end, drawn >> 32);
        }
        left -= part;
    }
    (EndReason::NoAnswer, drawn)
}

#[cfg(test)]
mod tests {
    use ivy_domain::Tier;

    use super::*;
    use crate::scale::population::Population;

    fn all_ends(outcome: &Outcome) -> u64 {
        outcome.completed + outcome.given_up + outcome.never_rang + outcome.closed_on_retry
    }

    #[test]
    fn every_call_comes_to_one_end_and_every_slot_is_given_back() {
        let population = Population::of(2000, None).unwrap();
        for slots in [5, 20, 100, 2000] {
            let outcome = play(&population.calls, slots).unwrap();
            assert_eq!(all_ends(&outcome), outcome.calls, "{slots}: {outcome:?}");
            assert!(outcome.most_slots <= slots - slots / 5);
            assert_eq!(outcome.attempts, u64::from(outcome.minutes.values().map(|m| m.ends).sum::<u32>()));
        }
    }

    #[test]
    fn with_slots_enough_nobody_waits_and_with_few_windows_close() {
        let population = Population::of(2000, None).unwrap();
        let ample = play(&population.calls, 4000).unwrap();
        assert_eq!((ample.never_rang, ample.lag_p50), (0, 0));
        assert!(ample.attempts > ample.calls && ample.retries > 0);
        let few = play(&population.calls, 5).unwrap();
        assert!(few.never_rang > few.calls / 4, "{few:?}");
        assert!(few.polls > 1000 && few.most_waiting > 100);
        assert!(few.missed_percent() > ample.missed_percent());
    }

    #[test]
    fn a_window_that_closes_is_noticed_though_no_slot_is_ever_free() {
        let due = |user, due| Due {
            user,
            zone: 0,
            tier: Tier::B2cElite,
            evening: false,
            due,
            opens: 1_795_248_000,
            closes: 1_795_248_600,
        };
        // One slot; many are due at once, in a window of ten minutes.
        let calls: Vec<Due> = (0..50).map(|user| due(user, 1_795_248_000)).collect();
        let outcome = play(&calls, 1).unwrap();
        assert_eq!(all_ends(&outcome), 50);
        assert!(outcome.never_rang > 30, "{outcome:?}");
        assert_eq!(outcome.most_waiting, 49);
    }

    #[test]
    fn ends_are_hundred_of_a_hundred() {
        assert_eq!(ENDS.iter().map(|(_, part)| part).sum::<u64>(), 100);
        let talked = (0..10_000).filter(|user| end_of(*user, 1).0 == EndReason::Talked).count();
        assert!((5300..5700).contains(&talked), "{talked}");
    }
}
