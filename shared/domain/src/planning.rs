//! Which calls a day has: a pure function of the user and the date.
//!
//! A day has at most one call in the morning window and one in the evening window. The evening's is the
//! rarest that falls on the day: quarterly review, monthly check, weekly planning, evening review; the
//! rarer one takes the commoner one's place and its content. The quarterly review is held on the first
//! preferred day of every 13th week since onboarding, so that it never needs a day the user did not choose.
//! Starts are spread over the first half of the window by a hash of user and date, which makes planning a
//! day again yield the same calls, with the same ids.
//!
//! **The onboarding call** is by voice, and comes on each day until a first talk has taken place: until it has
//! rung once in the first window of any day, preferred or not; from then on in place of the first call of a day
//! that has calls anyway, so that nobody who does not answer is called more often for it. Whoever takes calls in
//! the evening only (`mixed`) gets it in the evening; whoever takes none (`async`) has none: they begin with the
//! messages of their days.
//!
//! **What is allowed:** a call needs the consent to calls, a message in its place the consent to messages. Either
//! can be had without the other.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Weekday},
};

use crate::{
    call::{CallType, CallWindow},
    days::{calendar_date, days_between, has_day, instant, local_date, monday_of, plus_days, resolve},
    ids::{CallId, UserId, stable_hash},
    tier::CallRhythm,
    user::{CommunicationPreference, User, Window},
};

/// Weeks between quarterly reviews.
const QUARTER_WEEKS: i32 = 13;

/// A window that moved by more is another one.
const SAME_WINDOW: SignedDuration = SignedDuration::from_hours(6);

/// What planning needs to know of earlier calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallHistory {
    /// A first talk has taken place.
    pub onboarding_call_done: bool,
    /// An onboarding call has rung on an earlier day.
    pub onboarding_call_tried: bool,
    /// What lies before it is past: a day that is planned while it is under way has no onboarding call there.
    pub onboarding_not_before: Option<Timestamp>,
    /// When the day's onboarding call was planned, if it has one, over or not: its window stays its own.
    pub onboarding_call_at: Option<Timestamp>,
}

impl CallHistory {
    /// Of somebody who has talked with us.
    pub const DONE: Self = Self {
        onboarding_call_done: true,
        onboarding_call_tried: true,
        onboarding_not_before: None,
        onboarding_call_at: None,
    };
}

/// Whether a planned call rings or is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    Voice,
    Message,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCall {
    pub call_type: CallType,
    /// The local day it belongs to.
    pub date: Date,
    pub due_at: Timestamp,
    pub window: CallWindow,
    pub channel: Channel,
}

/// The id that the call of this type on this date always has.
#[must_use]
pub fn call_id(user: UserId, date: Date, call_type: CallType) -> CallId {
    CallId::derive(date, &[&user.to_string(), call_type.name()])
}

/// The calls of a local day, by time, those by voice and those in writing that the user may have; none before onboarding.
#[must_use]
pub fn calls_for(user: &User, date: Date, history: &CallHistory) -> Vec<PlannedCall> {
    let Some(onboarded_at) = user.onboarded_at else { return Vec::new() };
    let taken = history.onboarding_call_at.and_then(|at| slot_around(user, date, at));
    let onboarding = taken
        .or_else(|| onboarding_slot(user, date, *history).filter(|_| !history.onboarding_call_done))
        .filter(|_| takes_calls(user));
    let mut calls: Vec<PlannedCall> = slots(user, date)
        .into_iter()
        .filter(|slot| slot.due_at >= onboarded_at)
        .filter_map(|slot| {
            let (call_type, channel) = if onboarding.as_ref() == Some(&slot) {
                (CallType::Onboarding, Channel::Voice)
            } else {
                (regular_call(user, date, slot.part)?, channel(user.communication_preference, slot.part))
            };
            let planned = PlannedCall { call_type, date, due_at: slot.due_at, window: slot.window, channel };
            may_have(user, channel).then_some(planned)
        })
        .collect();
    calls.sort_by_key(|call| call.due_at);
    calls
}

/// How many calls (or messages in their place) the week of a date has by rule, whatever happens in it.
#[must_use]
pub fn calls_per_week(user: &User, date: Date) -> u32 {
    let monday = monday_of(date);
    let parts = [(Part::Morning, user.morning_window), (Part::Evening, user.evening_window)];
    let count = (0..7)
        .map(|day| plus_days(monday, day))
        .flat_map(|date| parts.iter().map(move |part| (date, part)))
        .filter(|(date, (part, window))| window.is_some() && regular_call(user, *date, *part).is_some())
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Morning,
    Evening,
}

/// A window of one day, with the start that was spread over it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    part: Part,
    date: Date,
    due_at: Timestamp,
    window: CallWindow,
}

fn slots(user: &User, date: Date) -> Vec<Slot> {
    if !has_day(date, &user.timezone) {
        return Vec::new();
    }
    [(Part::Morning, user.morning_window), (Part::Evening, user.evening_window)]
        .into_iter()
        .filter_map(|(part, window)| {
            let window = window_on(user, date, window?);
            Some(Slot { part, date, due_at: spread(user.id, date, window), window })
        })
        .collect()
}

fn window_on(user: &User, date: Date, window: Window) -> CallWindow {
    let opens_at = instant(date, window.start(), &user.timezone);
    // The end lies on the start's calendar date, also where the window reaches over the day's beginning.
    let end = calendar_date(date, window.start()).to_datetime(window.end());
    // A jump that swallowed the window leaves its shortest length after the jump.
    let shortest = opens_at + SignedDuration::from_mins(Window::SHORTEST_MINUTES.into());
    CallWindow { opens_at, closes_at: resolve(end, &user.timezone.time_zone()).max(shortest) }
}

fn spread(user: UserId, date: Date, window: CallWindow) -> Timestamp {
    let half = window.closes_at.duration_since(window.opens_at).as_secs() / 2;
    let hash = stable_hash(&[&user.to_string(), &date.to_string()]);
    let offset = u64::try_from(half).ok().and_then(|half| hash.checked_rem(half)).unwrap_or(0);
    window.opens_at + SignedDuration::from_secs(i64::try_from(offset).unwrap_or(0))
}

fn may_have(user: &User, channel: Channel) -> bool {
    match channel {
        Channel::Voice => user.may_be_called(),
        Channel::Message => user.may_be_written_to_in_place_of_calls(),
    }
}

/// From when on Ivy could call this user: onboarded, with both consents, and at a phone that is proven theirs.
fn callable_since(user: &User, onboarded_at: Timestamp) -> Timestamp {
    let consents = [&user.consents.calls, &user.consents.data_processing];
    let said = consents.into_iter().flatten().map(|consent| consent.at);
    said.chain(user.phone_proven_at).fold(onboarded_at, Timestamp::max)
}

/// The slot in which a call of a day was planned, though the window may have moved since.
fn slot_around(user: &User, date: Date, at: Timestamp) -> Option<Slot> {
    let distance = |slot: &Slot| slot.due_at.duration_since(at).abs();
    slots(user, date).into_iter().min_by_key(distance).filter(|slot| distance(slot) <= SAME_WINDOW)
}

/// Whether anything rings at this user.
fn takes_calls(user: &User) -> bool {
    user.communication_preference != CommunicationPreference::Async && user.may_be_called()
}

/// The slot of a day that the onboarding call takes, while it is not done.
fn onboarding_slot(user: &User, date: Date, history: CallHistory) -> Option<Slot> {
    let evenings_only =
        user.communication_preference == CommunicationPreference::Mixed && user.evening_window.is_some();
    let since = callable_since(user, user.onboarded_at?).max(history.onboarding_not_before.unwrap_or(Timestamp::MIN));
    slots(user, date)
        .into_iter()
        .filter(|slot| slot.due_at >= since && (!evenings_only || slot.part == Part::Evening))
        .filter(|slot| !history.onboarding_call_tried || regular_call(user, date, slot.part).is_some())
        .min_by_key(|slot| slot.due_at)
}

fn channel(preference: CommunicationPreference, part: Part) -> Channel {
    match (preference, part) {
        (CommunicationPreference::Calls, _) | (CommunicationPreference::Mixed, Part::Evening) => Channel::Voice,
        (CommunicationPreference::Async, _) | (CommunicationPreference::Mixed, Part::Morning) => Channel::Message,
    }
}

fn regular_call(user: &User, date: Date, part: Part) -> Option<CallType> {
    let preferred = user.preferred_days.prefers(date.weekday());
    let weekly = date.weekday() == Weekday::Sunday;
    match (user.subscription_type.rules().calls, part) {
        (CallRhythm::Daily { .. }, Part::Morning) => preferred.then_some(CallType::MorningPlanning),
        (CallRhythm::Daily { monthly_check, quarterly_review }, Part::Evening) => {
            if quarterly_review && is_quarterly_day(user, date) {
                Some(CallType::QuarterlyReview)
            } else if monthly_check && is_first_preferred_of_month(user, date) {
                Some(CallType::MonthlyCheck)
            } else if weekly {
                Some(CallType::WeeklyPlanning)
            } else {
                preferred.then_some(CallType::EveningReview)
            }
        }
        (CallRhythm::TwiceAWeek, Part::Morning) => None,
        (CallRhythm::TwiceAWeek, Part::Evening) => {
            if weekly {
                Some(CallType::WeeklyPlanning)
            } else {
                (date.weekday() == middle_preferred_day(user)).then_some(CallType::EveningReview)
            }
        }
    }
}

fn is_first_preferred_of_month(user: &User, date: Date) -> bool {
    let first_of_month = date.first_of_month();
    (0..7).map(|days| plus_days(first_of_month, days)).find(|day| user.preferred_days.prefers(day.weekday()))
        == Some(date)
}

fn is_quarterly_day(user: &User, date: Date) -> bool {
    let Some(onboarded_at) = user.onboarded_at else { return false };
    let onboarded_on = local_date(onboarded_at, &user.timezone);
    let week = days_between(onboarded_on, date).div_euclid(7);
    if week <= 0 || week % QUARTER_WEEKS != 0 {
        return false;
    }
    let first_of_week = plus_days(onboarded_on, week * 7);
    (0..7).map(|days| plus_days(first_of_week, days)).find(|day| user.preferred_days.prefers(day.weekday()))
        == Some(date)
}

/// The middle one of the preferred days, the earlier of two. Thursday, where every day is preferred, or Sunday alone: that
/// evening has the weekly planning.
fn middle_preferred_day(user: &User) -> Weekday {
    let named: Vec<Weekday> = user.preferred_days.days().collect();
    let middle = named.get(named.len().saturating_sub(1) / 2).copied();
    middle.filter(|day| *day != Weekday::Sunday).unwrap_or(Weekday::Thursday)
}
