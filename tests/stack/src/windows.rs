//! Call windows that make the planner choose a time within the next minute.
//!
//! The planner spreads a call over the first half of its window by a hash of user and date. Once a test knows its user's id it
//! can run the same pure function and search for a window whose call is due when the test wants it: the offset depends on the
//! window's length only, and lengths of 10 minutes to 4 hours give a choice that always holds one.

use ivy_domain::{
    SubscriptionStatus, Tier, User, UserId, Zone, days,
    local_days::DayStart,
    planning::{CallHistory, PlannedCall, calls_for},
    user::{
        CommunicationPreference, Consent, ConsentSource, Consents, Track, UserStatus, WeekdaySet, WeeklyGoal, Window,
    },
    values::Locale,
};
use jiff::{
    RoundMode, SignedDuration, Timestamp, Unit,
    civil::{DateTimeRound, Time},
};
use serde_json::{Value, json};

/// Hours east of London in steps of at most three, so that somewhere it is always day for hours to come.
const ZONES: [&str; 9] = [
    "Europe/London",
    "Asia/Dubai",
    "Asia/Dhaka",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Pacific/Honolulu",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
];

/// A zone where it is between 10 and 16 o'clock: far from quiet hours and from the ends of the day.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn day_zone(now: Timestamp) -> Zone {
    let is_day = |name: &&&str| (10..16).contains(&now.in_tz(name).unwrap().hour());
    ZONES.iter().find(is_day).expect("it is day somewhere").parse().unwrap()
}

/// The answers of onboarding that bring two calls today, and the calls as the planner will have them.
#[derive(Debug, Clone)]
pub struct Planned {
    /// `morning_window`, `evening_window`, `preferred_days`.
    pub answers: Value,
    /// The onboarding call, then the evening's.
    pub calls: Vec<PlannedCall>,
}

/// Windows for a Pro user so that the onboarding call is due `seconds` from now, or up to half a minute later, and the evening's
/// call half a minute after it, or up to a minute. (Windows are whole minutes, halves of them whole half minutes: a user's calls
/// of a day can only fall on two seconds of a minute.)
///
/// # Panics
/// When there are none.
#[must_use]
pub fn plan_for(user: &str, zone: &Zone, now: Timestamp, seconds: i64) -> Planned {
    let today = days::local_date(now, zone);
    let mut person = pro_user(user.parse().unwrap(), zone, now);
    person.preferred_days = [today.weekday()].into_iter().collect();
    let (morning, first) = window(&person, now, now + SignedDuration::from_secs(seconds));
    let (evening, _) = window(&person, now, first + HALF_A_MINUTE);
    person.morning_window = Some(morning);
    person.evening_window = Some(evening);
    let calls = calls_for(&person, today, &CallHistory::default());
    assert_eq!(calls.len(), 2, "{calls:?}");
    let answers = json!({
        "morning_window": morning,
        "evening_window": evening,
        "preferred_days": person.preferred_days,
    });
    Planned { answers, calls }
}

const HALF_A_MINUTE: SignedDuration = SignedDuration::from_secs(30);

/// A window whose call is due in the half minute that begins at `from`, and when it is due.
fn window(person: &User, now: Timestamp, from: Timestamp) -> (Window, Timestamp) {
    let local = |at: Timestamp| person.timezone.time_zone().to_datetime(at);
    let today = days::local_date(now, &person.timezone);
    let due = |window: Window| {
        let person = User { morning_window: Some(window), evening_window: None, ..person.clone() };
        calls_for(&person, today, &CallHistory::default()).first().map(|call| call.due_at)
    };
    let starting =
        |at: Time, minutes: i64| Window::new(at, at.checked_add(SignedDuration::from_mins(minutes)).ok()?).ok();
    // A window that lies ahead tells the offset of its length.
    let ahead = Time::constant(local(now).hour() + 1, 0, 0, 0);
    (10..240)
        .find_map(|minutes| {
            let offset = due(starting(ahead, minutes)?)?.duration_since(days::instant(today, ahead, &person.timezone));
            // The first whole minute from which that offset leads past `from`.
            let up = DateTimeRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
            let window = starting(local(from - offset).round(up).ok()?.time(), minutes)?;
            let due = due(window)?;
            (due >= from && due < from + HALF_A_MINUTE).then_some((window, due))
        })
        .expect("some length has a fitting start")
}

/// A user as signing up and onboarding make one; what the planner does not look at is left empty.
fn pro_user(id: UserId, zone: &Zone, now: Timestamp) -> User {
    let consent =
        Some(Consent { granted: true, at: now, source: ConsentSource::Onboarding, wording_version: String::new() });
    User {
        id,
        email: None,
        phone: "+447700900000".parse().unwrap(),
        phone_proven_at: Some(now),
        unproven_email: None,
        unproven_phone: None,
        first_name: "Nobody".parse().unwrap(),
        last_name: None,
        name_pronunciation: None,
        timezone: zone.clone(),
        day_start: DayStart::default(),
        held_day: None,
        resumes_at: None,
        locale: Locale::default(),
        subscription_type: Tier::B2cPro,
        subscription_status: SubscriptionStatus::Trialing,
        stripe_customer_id: None,
        stripe_subscription_id: None,
        company_id: None,
        track: Track::default(),
        weekly_goal: WeeklyGoal::default(),
        morning_window: None,
        evening_window: None,
        preferred_days: WeekdaySet::default(),
        communication_preference: CommunicationPreference::default(),
        minimum_action: None,
        gift_frame: None,
        why_started: None,
        obstacles: Vec::new(),
        charity_id: None,
        status: UserStatus::default(),
        consents: Consents {
            calls: consent.clone(),
            messages: consent.clone(),
            data_processing: consent,
            ..Consents::default()
        },
        created_at: now,
        updated_at: now,
        onboarded_at: Some(now),
        version: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_zone_and_a_plan() {
        for minutes in (0..24 * 60).step_by(47) {
            let now = "2026-11-21T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes);
            let user = UserId::generate(now).to_string();
            let planned = plan_for(&user, &day_zone(now), now, 40);
            let [first, second] = [0, 1].map(|index| planned.calls[index].due_at.duration_since(now).as_secs());
            assert!(
                (40..70).contains(&first) && (first + 30..first + 60).contains(&second),
                "{now}: {first}, {second}"
            );
        }
    }
}
