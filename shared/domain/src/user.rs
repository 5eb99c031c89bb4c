//! A user: the person whom Ivy calls, and what they agreed to.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
};
use serde::{Deserialize, Serialize};

use crate::{
    days::resolve,
    ids::{CharityId, CompanyId, UserId},
    local_days::{DayStart, HeldDay, LocalDays},
    message::Via,
    tier::{SubscriptionStatus, Tier},
    values::{Email, Invalid, Locale, Phone, Text, Zone},
};

/// What the user's commitments are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    #[default]
    Fitness,
    Focus,
    Sleep,
    Balance,
}

/// Whether Ivy calls, writes, or does both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommunicationPreference {
    #[default]
    Calls,
    /// Messages in place of calls.
    Async,
    /// The morning as a message, the evening as a call.
    Mixed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    #[default]
    Active,
    Paused,
    Traveling,
    Sick,
}

/// Why a user pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    Paused,
    Traveling,
    Sick,
}

impl PauseReason {
    #[must_use]
    pub const fn status(self) -> UserStatus {
        match self {
            Self::Paused => UserStatus::Paused,
            Self::Traveling => UserStatus::Traveling,
            Self::Sick => UserStatus::Sick,
        }
    }
}

/// When a pause is to end: a date (from the beginning of that day on), a local time, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PauseEnd {
    Date(Date),
    Local(DateTime),
    At(Timestamp),
}

impl PauseEnd {
    /// The instant that it means where this user lives.
    #[must_use]
    pub fn instant(self, user: &User) -> Timestamp {
        match self {
            Self::Date(date) => user.days().begins_at(date),
            Self::Local(time) => resolve(time, &user.timezone.time_zone()),
            Self::At(at) => at,
        }
    }
}

impl TryFrom<String> for PauseEnd {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        // The parsers of local times pass over what names a zone.
        let local = text.bytes().all(|b| b.is_ascii_digit() || b"-:T.".contains(&b));
        let end = match (local, text.len()) {
            (true, 10) => text.parse().ok().map(Self::Date),
            (true, 16..) => text.parse().ok().map(Self::Local),
            _ => text.parse().ok().map(Self::At),
        };
        let must = "must be a date such as 2026-12-01, a local time such as 2026-12-01T09:00, or an RFC 3339 time";
        end.ok_or_else(|| Invalid::new(must))
    }
}

/// Commitments a week: 1 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct WeeklyGoal(u8);

impl WeeklyGoal {
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl Default for WeeklyGoal {
    fn default() -> Self {
        Self(3)
    }
}

impl TryFrom<i64> for WeeklyGoal {
    type Error = Invalid;
    fn try_from(goal: i64) -> Result<Self, Invalid> {
        match u8::try_from(goal) {
            Ok(goal @ 1..=14) => Ok(Self(goal)),
            _ => Err(Invalid::new("must be 1 to 14")),
        }
    }
}

impl From<WeeklyGoal> for i64 {
    fn from(goal: WeeklyGoal) -> Self {
        goal.0.into()
    }
}

/// A local time span in which the user accepts calls. The end lies after the start, by at least ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowText", into = "WindowText")]
pub struct Window {
    start: Time,
    end: Time,
}

/// How a window is written: `{"start": "07:00", "end": "09:00"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowText {
    pub start: String,
    pub end: String,
}

impl Window {
    /// The shortest window, in minutes.
    pub const SHORTEST_MINUTES: i32 = 10;

    /// # Errors
    /// Says so when the end is not at least ten minutes after the start.
    pub fn new(start: Time, end: Time) -> Result<Self, Invalid> {
        if minutes(end) - minutes(start) < Self::SHORTEST_MINUTES {
            return Err(Invalid::new("must end at least 10 minutes after it starts"));
        }
        Ok(Self { start, end })
    }

    #[must_use]
    pub const fn start(self) -> Time {
        self.start
    }

    #[must_use]
    pub const fn end(self) -> Time {
        self.end
    }

    /// Its length in minutes.
    #[must_use]
    pub fn length_minutes(self) -> i32 {
        minutes(self.end) - minutes(self.start)
    }
}

fn minutes(time: Time) -> i32 {
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

pub(crate) fn hours_and_minutes(text: &str) -> Result<Time, Invalid> {
    // Digits are asked for, since a number's parser would take a sign too.
    let digits = text.bytes().enumerate().all(|(index, byte)| index == 2 || byte.is_ascii_digit());
    let valid = text.len() == 5 && text.as_bytes()[2] == b':' && digits;
    let (hour, minute) = text.split_once(':').unwrap_or_default();
    match (valid, hour.parse(), minute.parse()) {
        (true, Ok(hour @ 0..=23), Ok(minute @ 0..=59)) => Ok(Time::constant(hour, minute, 0, 0)),
        _ => Err(Invalid::new("must have local times as HH:MM, from 00:00 to 23:59")),
    }
}

impl TryFrom<WindowText> for Window {
    type Error = Invalid;
    fn try_from(text: WindowText) -> Result<Self, Invalid> {
        Self::new(hours_and_minutes(&text.start)?, hours_and_minutes(&text.end)?)
    }
}

impl From<Window> for WindowText {
    fn from(window: Window) -> Self {
        let text = |t: Time| format!("{:02}:{:02}", t.hour(), t.minute());
        Self { start: text(window.start), end: text(window.end) }
    }
}

/// A set of weekdays, written as a list of short names: `["mon", "wed"]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<DayName>", into = "Vec<DayName>")]
pub struct WeekdaySet(u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayName {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const WEEK: [(Weekday, DayName); 7] = [
    (Weekday::Monday, DayName::Mon),
    (Weekday::Tuesday, DayName::Tue),
    (Weekday::Wednesday, DayName::Wed),
    (Weekday::Thursday, DayName::Thu),
    (Weekday::Friday, DayName::Fri),
    (Weekday::Saturday, DayName::Sat),
    (Weekday::Sunday, DayName::Sun),
];

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

impl WeekdaySet {
    /// The days named, Monday first.
    pub fn days(self) -> impl Iterator<Item = Weekday> {
        WEEK.into_iter().map(|(day, _)| day).filter(move |day| self.0 & bit(*day) != 0)
    }

    /// Preferred days: an empty set means every day.
    #[must_use]
    pub fn prefers(self, day: Weekday) -> bool {
        self.0 == 0 || self.0 & bit(day) != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Weekday> for WeekdaySet {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |set, day| set | bit(day)))
    }
}

impl TryFrom<Vec<DayName>> for WeekdaySet {
    type Error = Invalid;
    fn try_from(names: Vec<DayName>) -> Result<Self, Invalid> {
        let set: Self =
            names.iter().filter_map(|name| WEEK.iter().find(|(_, n)| n == name)).map(|(day, _)| *day).collect();
        if set.0.count_ones() as usize == names.len() { Ok(set) } else { Err(Invalid::new("must name each day once")) }
    }
}

impl From<WeekdaySet> for Vec<DayName> {
    fn from(set: WeekdaySet) -> Self {
        WEEK.into_iter().filter(|(day, _)| set.0 & bit(*day) != 0).map(|(_, name)| name).collect()
    }
}

/// Where a consent was given or withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentSource {
    Onboarding,
    Api,
    Whatsapp,
    Sms,
    Call,
}

/// One purpose's consent: the last word on it, when, where, and under which wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub granted: bool,
    pub at: Timestamp,
    pub source: ConsentSource,
    pub wording_version: String,
}

/// Consents by purpose; absent means never asked, which counts as not granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consents {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Consent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Consent>,
    /// The user's last word on messages by one channel: STOP and START. Absent where they never said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_whatsapp: Option<Consent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_sms: Option<Consent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_processing: Option<Consent>,
}

impl Consents {
    /// The last word on each purpose, by its name.
    #[must_use]
    pub fn by_purpose(&self) -> [(&'static str, Option<&Consent>); 5] {
        [
            ("calls", self.calls.as_ref()),
            ("messages", self.messages.as_ref()),
            ("messages_whatsapp", self.messages_whatsapp.as_ref()),
            ("messages_sms", self.messages_sms.as_ref()),
            ("data_processing", self.data_processing.as_ref()),
        ]
    }
}

/// Whether a purpose's consent stands.
#[must_use]
pub fn granted(consent: Option<&Consent>) -> bool {
    consent.is_some_and(|c| c.granted)
}

/// The user, as stored (the phone encrypted by the store).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// Proven theirs, so it signs in: a code that was sent to it came back from a session of theirs.
    pub email: Option<Email>,
    pub phone: Phone,
    /// Since when Ivy has had a phone that is proven the user's. Until then the number may be anybody's; after it another one
    /// takes its place only once proven.
    #[serde(default)]
    pub phone_proven_at: Option<Timestamp>,
    /// The address and the phone that the user wants to have, until the code that was sent there comes back. They sign nobody
    /// in, and are nobody's.
    #[serde(default)]
    pub unproven_email: Option<Email>,
    #[serde(default)]
    pub unproven_phone: Option<Phone>,
    pub first_name: Text<80>,
    pub last_name: Option<Text<80>>,
    /// How Ivy should say the name.
    pub name_pronunciation: Option<Text<80>>,
    pub timezone: Zone,
    /// When the user's days begin.
    #[serde(default)]
    pub day_start: DayStart,
    /// The day that the last move fell into.
    #[serde(default)]
    pub held_day: Option<HeldDay>,
    pub locale: Locale,
    pub subscription_type: Tier,
    pub subscription_status: SubscriptionStatus,
    pub stripe_customer_id: Option<String>,
    pub stripe_subscription_id: Option<String>,
    pub company_id: Option<CompanyId>,
    pub track: Track,
    pub weekly_goal: WeeklyGoal,
    pub morning_window: Option<Window>,
    pub evening_window: Option<Window>,
    pub preferred_days: WeekdaySet,
    pub communication_preference: CommunicationPreference,
    /// The smallest version of the activity that still counts, in the user's words.
    pub minimum_action: Option<Text<200>>,
    pub gift_frame: Option<Text<500>>,
    pub why_started: Option<Text<500>>,
    pub obstacles: Vec<Text<200>>,
    pub charity_id: Option<CharityId>,
    pub status: UserStatus,
    /// When a pause ends by itself.
    #[serde(default)]
    pub resumes_at: Option<Timestamp>,
    pub consents: Consents,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub onboarded_at: Option<Timestamp>,
    /// Counts the writes; a write says which version it saw.
    pub version: u64,
}

impl User {
    /// The most obstacles a user may name.
    pub const MOST_OBSTACLES: usize = 10;

    /// The user's own days, by which workouts, streak and daily cap go.
    #[must_use]
    pub fn days(&self) -> LocalDays {
        LocalDays::of(self)
    }

    /// Whether Ivy may call this user at all: onboarded, active, paid for, with consent, and at a phone that is proven theirs.
    #[must_use]
    pub fn may_be_called(&self) -> bool {
        self.may_be_contacted() && self.phone_proven_at.is_some() && granted(self.consents.calls.as_ref())
    }

    /// Whether Ivy may write to this user where she would call others: as for calls, with the consent to messages instead.
    #[must_use]
    pub fn may_be_written_to_in_place_of_calls(&self) -> bool {
        self.may_be_contacted() && self.may_be_messaged()
    }

    /// Callable now, or as soon as a pause is over that ends by itself.
    fn is_callable_or_will_be(&self) -> bool {
        let resumed = Self { status: UserStatus::Active, ..self.clone() };
        self.may_be_called() || (self.resumes_at.is_some() && resumed.may_be_called())
    }

    /// Ends a pause whose time is over; whether there was one. The user is active from then on whoever writes it down, and when.
    pub fn resume_if_due(&mut self, now: Timestamp) -> bool {
        let due = self.status != UserStatus::Active && self.resumes_at.is_some_and(|at| at <= now);
        if due {
            self.status = UserStatus::Active;
            self.resumes_at = None;
        }
        due
    }

    /// Whether Ivy may write to this user of its own accord: with consent, and at a phone that is proven theirs.
    #[must_use]
    pub fn may_be_messaged(&self) -> bool {
        self.phone_proven_at.is_some()
            && granted(self.consents.messages.as_ref())
            && granted(self.consents.data_processing.as_ref())
    }

    /// Whether Ivy may write to this user of its own accord by this channel: not where they said STOP.
    #[must_use]
    pub fn may_be_messaged_by(&self, via: Via) -> bool {
        self.may_be_messaged() && self.word_on(via).is_none_or(|consent| consent.granted)
    }

    /// The user's last word on messages by a channel.
    const fn word_on(&self, via: Via) -> Option<&Consent> {
        match via {
            Via::Whatsapp => self.consents.messages_whatsapp.as_ref(),
            Via::Sms => self.consents.messages_sms.as_ref(),
            Via::Email => None,
        }
    }

    /// When this user last withdrew the consent to messages, or to those by this channel, if it is withdrawn.
    #[must_use]
    pub fn messages_withdrawn_at(&self, via: Via) -> Option<Timestamp> {
        let withdrawn = |consent: &Consent| (!consent.granted).then_some(consent.at);
        let of_all = self.consents.messages.as_ref().and_then(withdrawn);
        self.word_on(via).and_then(withdrawn).max(of_all)
    }

    /// Whether days go by for Ivy with this user: called, or written to. Who is neither is looked at by no job.
    #[must_use]
    pub fn is_looked_after(&self) -> bool {
        let messaged = self.onboarded_at.is_some()
            && self.subscription_status != SubscriptionStatus::Cancelled
            && self.may_be_messaged();
        self.is_callable_or_will_be() || messaged
    }

    fn may_be_contacted(&self) -> bool {
        self.onboarded_at.is_some()
            && self.status == UserStatus::Active
            && self.subscription_status != SubscriptionStatus::Cancelled
            && granted(self.consents.data_processing.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_two_local_times_at_least_ten_minutes_apart() {
        let window = |start: &str, end: &str| Window::try_from(WindowText { start: start.into(), end: end.into() });
        assert_eq!(window("07:00", "09:00").unwrap().length_minutes(), 120);
        for (start, end) in
            [("09:00", "07:00"), ("07:00", "07:09"), ("7:00", "09:00"), ("07:00", "24:00"), ("+7:00", "09:00")]
        {
            assert!(window(start, end).is_err(), "{start} to {end}");
        }
    }

    #[test]
    fn no_preferred_day_means_every_day() {
        assert!(WeekdaySet::default().prefers(Weekday::Sunday));
        let weekend: WeekdaySet = [Weekday::Saturday, Weekday::Sunday].into_iter().collect();
        assert!(!weekend.prefers(Weekday::Monday));
        assert_eq!(serde_json::to_string(&weekend).unwrap(), r#"["sat","sun"]"#);
        assert!(serde_json::from_str::<WeekdaySet>(r#"["sat","sat"]"#).is_err());
    }
}
