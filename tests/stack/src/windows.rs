//! Call windows that make the planner choose a time within the next minute.
//!
//! The planner spreads a call over the first half of its window by a hash of user and date. Once a test knows its user's id it
//! can run the same pure function and search for a window whose call is due when the test wants it: the offset depends on the
//! window's length only, and lengths of 10 minutes to 4 hours give a choice that always holds one.

use ivy_domain::{
    SubscriptionStatus, Tier, User, UserId, Zone, days,
    planning::{CallHistory, PlannedCall, calls_for},
    user::{CommunicationPreference, Consent, ConsentSource, Consents, Track, UserStatus, WeekdaySet, WeeklyGoal, Window},
    values::Locale,
};
use jiff::{SignedDuration, Timestamp, Unit, civil::Time};
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

/// Windows for a Pro user so that the onboarding call is due `first` seconds from now and the evening's call `second`, each
/// at most 5 seconds earlier or later.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn plan_for(user: &str, zone: &Zone, now: Timestamp, first: i64, second: i64) -> Planned {
    let today = days::local_date(now, zone);
    let mut person = pro_user(user.parse().unwrap(), zone, now);
    person.preferred_days = [today.weekday()].into_iter().collect();
    let morning = window(&person, now, first);
    let evening = window(&person, now, second);
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

fn window(person: &User, now: Timestamp, seconds: i64) -> Window {
    let local = |at: Timestamp| person.timezone.time_zone().to_datetime(at);
    let target = now + SignedDuration::from_secs(seconds);
    let today = days::local_date(now, &person.timezone);
    let due = |window: Window| {
        let person = User { morning_window: Some(window), evening_window: None, ..person.clone() };
        calls_for(&person, today, &CallHistory::default()).first().map(|call| call.due_at)
    };
    // A window that lies ahead tells the offset of its length.
    let probe = local(now).time().hour() + 1;
    (10..240)
        .filter_map(|minutes| {
            let length = SignedDuration::from_mins(minutes);
            let starts = Time::constant(probe, 0, 0, 0);
            let offset = due(Window::new(starts, starts.checked_add(length).ok()?).ok()?)?
                .duration_since(days::instant(today, starts, &person.timezone));
            let opens = local(target - offset).round(Unit::Minute).ok()?.time();
            let window = Window::new(opens, opens.checked_add(length).ok()?).ok()?;
            let away = due(window)?.duration_since(target).as_secs();
            (-5..=5).contains(&away).then_some(window)
        })
        .next()
        .expect("some length has a fitting start")
}

/// A user as signing up and onboarding make one; what the planner does not look at is left empty.
fn pro_user(id: UserId, zone: &Zone, now: Timestamp) -> User {
    let consent = Some(Consent { granted: true, at: now, source: ConsentSource::Onboarding, wording_version: String::new() });
    User {
        id,
        email: None,
        phone: "+447700900000".parse().unwrap(),
        first_name: "Nobody".parse().unwrap(),
        last_name: None,
        name_pronunciation: None,
        timezone: zone.clone(),
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
        consents: Consents { calls: consent.clone(), messages: consent.clone(), data_processing: consent },
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
            let planned = plan_for(&user, &day_zone(now), now, 40, 70);
            assert!(planned.calls[0].due_at < planned.calls[1].due_at, "{now}");
        }
    }
}
