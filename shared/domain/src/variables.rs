//! The prompt variables that every call starts with, each defined here once.
//!
//! All are text that a voice can say: money as "£1.50", times as "12:30pm" in the user's zone, and an empty
//! string for what is not known. The provider takes strings only, so that numbers and truth values are
//! written out too ("3", "true"). Every name is always present: an absent variable would be read aloud as
//! its own name.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    call::CallType,
    days::{days_between, spoken_time},
    planning::calls_per_week,
    scores::ScoreTrack,
    stats::Counters,
    streak::Standing,
    tier::Tier,
    user::{Track, User, UserStatus},
    values::Text,
    wallet::Wallet,
};

/// The names of all variables.
pub const NAMES: [&str; 36] = [
    "user_name",
    "company_name",
    "track",
    "weekly_goal",
    "charity_name",
    "donation_amount",
    "minimum_action",
    "gift_frame",
    "why_started",
    "obstacles",
    "current_streak",
    "longest_streak",
    "previous_streak",
    "workouts_this_week",
    "workouts_this_month",
    "total_workouts",
    "total_donated",
    "weeks_in_program",
    "start_energy",
    "current_energy",
    "start_mood",
    "current_mood",
    "start_confidence",
    "current_confidence",
    "recent_life_markers",
    "call_type",
    "todays_plan",
    "workout_time",
    "day_of_week",
    "calendar_conflicts",
    "is_first_call",
    "is_first_week_of_month",
    "user_status",
    "subscription_tier",
    "calls_per_week",
    "days_since_last_interaction",
];

/// A workout planned for today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedToday {
    pub activity: Text<200>,
    pub time: Option<Timestamp>,
}

/// What the variables are made from.
#[derive(Debug, Clone)]
pub struct CallContext<'a> {
    pub user: &'a User,
    pub company_name: Option<&'a str>,
    pub charity_name: &'a str,
    pub standing: Standing,
    pub counters: &'a Counters,
    pub wallet: &'a Wallet,
    pub plans: &'a [PlannedToday],
    pub call_type: CallType,
    pub is_first_call: bool,
    pub last_interaction_at: Option<Timestamp>,
    pub calendar_conflicts: Option<&'a str>,
    pub now: Timestamp,
}

/// Every variable by its name.
#[must_use]
pub fn variables(context: &CallContext<'_>) -> BTreeMap<String, String> {
    NAMES.iter().map(|name| ((*name).to_owned(), variable(name, context))).collect()
}

fn variable(name: &str, context: &CallContext<'_>) -> String {
    let CallContext { user, standing, counters, .. } = context;
    let days = user.days();
    let today = days.date_of(context.now);
    let date_of = |at: Timestamp| days.date_of(at);
    match name {
        "user_name" => user.name_pronunciation.as_ref().unwrap_or(&user.first_name).as_str().to_owned(),
        "company_name" => context.company_name.unwrap_or_default().to_owned(),
        "track" => track_name(user.track).to_owned(),
        "weekly_goal" => user.weekly_goal.get().to_string(),
        "charity_name" => context.charity_name.to_owned(),
        "donation_amount" => user.subscription_type.rules().donation_per_completion.to_string(),
        "minimum_action" => words(user.minimum_action.as_ref()),
        "gift_frame" => words(user.gift_frame.as_ref()),
        "why_started" => words(user.why_started.as_ref()),
        "obstacles" => list(&user.obstacles),
        "current_streak" => standing.current.to_string(),
        "longest_streak" => standing.longest.to_string(),
        "previous_streak" => standing.previous.to_string(),
        "workouts_this_week" => counters.workouts_in_week_of(today).to_string(),
        "workouts_this_month" => counters.workouts_in_month_of(today).to_string(),
        "total_workouts" => counters.total_workouts.to_string(),
        "total_donated" => context.wallet.lifetime_donated.to_string(),
        // Whole weeks since onboarding: "0" in the first.
        "weeks_in_program" => {
            user.onboarded_at.map_or(String::new(), |at| (days_between(date_of(at), today).max(0) / 7).to_string())
        }
        "start_energy" => score(counters.scores.energy.as_ref(), |track| track.start),
        "current_energy" => score(counters.scores.energy.as_ref(), |track| track.current),
        "start_mood" => score(counters.scores.mood.as_ref(), |track| track.start),
        "current_mood" => score(counters.scores.mood.as_ref(), |track| track.current),
        "start_confidence" => score(counters.scores.confidence.as_ref(), |track| track.start),
        "current_confidence" => score(counters.scores.confidence.as_ref(), |track| track.current),
        "recent_life_markers" => list(&counters.markers),
        "call_type" => context.call_type.name().to_owned(),
        "todays_plan" => context.plans.iter().map(|plan| planned(plan, user)).collect::<Vec<_>>().join("; "),
        "workout_time" => {
            let next = context.plans.iter().filter_map(|plan| plan.time).min();
            next.map_or(String::new(), |at| local_time(at, user))
        }
        "day_of_week" => today.strftime("%A").to_string(),
        "calendar_conflicts" => context.calendar_conflicts.unwrap_or_default().to_owned(),
        "is_first_call" => context.is_first_call.to_string(),
        "is_first_week_of_month" => (today.day() <= 7).to_string(),
        "user_status" => status_name(user.status).to_owned(),
        "subscription_tier" => tier_name(user.subscription_type).to_owned(),
        "calls_per_week" => calls_per_week(user, today).to_string(),
        "days_since_last_interaction" => {
            context.last_interaction_at.map_or(String::new(), |at| days_between(date_of(at), today).max(0).to_string())
        }
        _ => String::new(),
    }
}

fn words<const MAX: usize>(text: Option<&Text<MAX>>) -> String {
    text.map_or(String::new(), |text| text.as_str().to_owned())
}

fn list<const MAX: usize>(texts: &[Text<MAX>]) -> String {
    texts.iter().map(Text::as_str).collect::<Vec<_>>().join("; ")
}

fn score(track: Option<&ScoreTrack>, which: impl Fn(&ScoreTrack) -> u8) -> String {
    track.map_or(String::new(), |track| which(track).to_string())
}

fn local_time(at: Timestamp, user: &User) -> String {
    spoken_time(user.timezone.time_zone().to_datetime(at).time())
}

fn planned(plan: &PlannedToday, user: &User) -> String {
    match plan.time {
        Some(at) => format!("{} at {}", plan.activity.as_str(), local_time(at, user)),
        None => plan.activity.as_str().to_owned(),
    }
}

const fn track_name(track: Track) -> &'static str {
    match track {
        Track::Fitness => "fitness",
        Track::Focus => "focus",
        Track::Sleep => "sleep",
        Track::Balance => "balance",
    }
}

const fn status_name(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Paused => "paused",
        UserStatus::Traveling => "traveling",
        UserStatus::Sick => "sick",
    }
}

/// The tier as customers know it.
const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::B2bSponsor => "Sponsor",
        Tier::B2cPro => "Pro",
        Tier::B2cElite => "Elite",
        Tier::B2cConcierge => "Concierge",
    }
}
