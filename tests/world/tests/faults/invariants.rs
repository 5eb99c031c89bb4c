//! What must hold at the end of every story, whatever went wrong in it.
//!
//! Each invariant is a function with its sentence in [`ALL`]. They read the raw items of the table, what the providers saw and
//! what the gate saw pass, and reckon for themselves, naively: a day is a local day from 03:00, a streak is a walk over the
//! days, a sum is a sum. The typed readers of the store are not used, so that a fault cannot hide in them.
//!
//! **Under way.** A cancellation or a pause stops every ring that is not under way when it is committed. A ring is under way
//! from the moment at which the function that claims its attempt reads the user and the call.

use std::collections::{BTreeMap, BTreeSet};

use ivy_domain::{call::CallType, planning::call_id};
use ivy_flows::ports::Queue;
use ivy_simulators::{HandsetMessage, Ring, SimulatedCall};
use ivy_world::gate::Party;
use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde_json::Value;

use crate::{
    driver::{Dead, Driver, Planned, Sent, Someone},
    schedule::{Entry, What},
    story::raw,
};

/// Everything that the invariants look at.
pub(crate) struct Seen {
    items: Vec<Value>,
    journal: Vec<Entry>,
    rings: Vec<Ring>,
    calls: Vec<SimulatedCall>,
    live_until: BTreeMap<String, Timestamp>,
    handsets: BTreeMap<String, Vec<HandsetMessage>>,
    sent: Vec<Sent>,
    dead: Vec<Dead>,
    people: Vec<(Someone, Value)>,
    days: Vec<Planned>,
    analysed: Vec<Value>,
    slots: usize,
    unreserved_slots: u64,
    quiet: bool,
    now: Timestamp,
}

type Check = fn(&Seen) -> Vec<String>;

/// Name, sentence, function.
pub(crate) const ALL: &[(&str, &str, Check)] = &[
    (
        "one_donation_a_workout",
        "Every workout has at most one completion donation, and names it.",
        one_donation_a_workout,
    ),
    (
        "kept_workouts_donated",
        "A kept workout has donated, unless a cap was reached or it was too old.",
        kept_workouts_donated,
    ),
    (
        "wallet_adds_up",
        "The donations of a period are its amount_used, and all of them are lifetime_donated.",
        wallet_adds_up,
    ),
    (
        "caps_hold",
        "No donation takes a date or a period over its cap under the tier and the company's limit at that time.",
        caps_hold,
    ),
    ("totals_add_up", "The months of a charity and of a company add up to their donations.", totals_add_up),
    ("counters_recount", "Counters are what counting the kept workouts gives.", counters_recount),
    ("streak_recount", "Streak, previous and longest run are what a walk over the days gives.", streak_recount),
    ("plans_are_commitments", "A planned workout's day is a commitment day.", plans_are_commitments),
    (
        "agenda_is_open_workouts",
        "The agenda holds the open workouts of the last 8 days and to come, as they are.",
        agenda_is_open_workouts,
    ),
    ("workouts_lie_once", "A workout lies under one date, and the stub at its home leads there.", workouts_lie_once),
    ("bonuses_once", "No milestone of a run brings two bonuses.", bonuses_once),
    ("donations_never_change", "A donation is written once.", donations_never_change),
    ("calls_end", "Every call is over after the quiet time.", calls_end),
    (
        "rings_are_attempts",
        "A call rings at most three times, once an attempt, and never without a claim.",
        rings_are_attempts,
    ),
    ("one_ring_a_key", "An idempotency key rings once.", one_ring_a_key),
    ("one_ring_at_a_time", "No phone has two calls at once.", one_ring_at_a_time),
    (
        "rings_in_the_window",
        "A phone rings in its call's window; a retry up to 30 minutes after it, outside quiet hours.",
        rings_in_the_window,
    ),
    (
        "no_ring_after_the_word",
        "No claim reads after a cancellation, a pause or a withdrawn consent was committed.",
        no_ring_after_the_word,
    ),
    (
        "planned_calls_ring",
        "On a planned day of a user who did not change since, the evening's call rang, or says why it did not.",
        planned_calls_ring,
    ),
    ("talks_are_logged", "A talk whose analysis was taken in as done is a kept day.", talks_are_logged),
    (
        "one_follow_up_a_call",
        "A missed call brings at most one message, on the table and on the handset.",
        one_follow_up_a_call,
    ),
    ("messages_arrive_once", "No provider takes a message twice.", messages_arrive_once),
    (
        "confirmations_once",
        "There are no more confirmations on a handset than workouts that were ever kept.",
        confirmations_once,
    ),
    ("messages_are_settled", "Every message has a final status after the quiet time.", messages_are_settled),
    ("rings_within_slots", "No more calls of ours are live at once than there are slots.", rings_within_slots),
    (
        "reserved_slots_are_kept",
        "A reserved slot is taken for rescues and for those who call us.",
        reserved_slots_are_kept,
    ),
    ("slots_pass_on", "A slot passes on when it was given back or its lease is over.", slots_pass_on),
    ("slots_are_free", "Slots are free or their lease is over, after the quiet time.", slots_are_free),
    ("effects_took_place", "Nothing is left on the stream, the queues or the way from a provider.", effects_took_place),
    (
        "dead_letters_have_a_reason",
        "A dead letter was given up by a rule, or each of its deliveries was made to fail.",
        dead_letters_have_a_reason,
    ),
    ("one_effect_a_key", "An Idempotency-Key has one effect and one answer.", one_effect_a_key),
    ("one_owner_a_phone", "A phone has one user, and a user owns their phone.", one_owner_a_phone),
    (
        "parallel_refreshes_agree",
        "Two refreshes of one token at once get the same successor.",
        parallel_refreshes_agree,
    ),
    ("items_have_a_kind", "Every item names its entity.", items_have_a_kind),
    ("versions_go_forward", "The version of an item only grows.", versions_go_forward),
    (
        "no_internal_errors",
        "No request is answered by an internal error when nothing was made to go wrong.",
        no_internal_errors,
    ),
];

/// Looks at everything and says what does not hold.
pub(crate) async fn check(driver: &mut Driver) -> Vec<String> {
    let world = driver.world.clone();
    let items = world.items("").await.iter().map(raw).collect();
    let mut people = Vec::new();
    let mut handsets = BTreeMap::new();
    for someone in driver.people.clone() {
        let client = driver.client(Some(&someone));
        let mut stats = client.get("/api/users/me/stats", 200).await;
        stats["previous_streak"] = client.get("/api/users/me/stats/streak", 200).await["previous_streak"].clone();
        handsets.insert(someone.phone.clone(), world.simulators.handset(&someone.phone));
        people.push((someone, stats));
    }
    let seen = Seen {
        items,
        journal: driver.schedule.journal(0),
        rings: world.simulators.rings(),
        calls: world.simulators.calls(),
        live_until: driver.live_until.clone(),
        handsets,
        sent: driver.sent.clone(),
        dead: driver.dead.clone(),
        people,
        days: driver.days.clone(),
        analysed: driver.analysed.clone(),
        slots: usize::try_from(world.ivy.settings.call_slots).unwrap(),
        unreserved_slots: u64::from(world.ivy.settings.unreserved_call_slots()),
        quiet: driver.is_quiet(),
        now: world.now(),
    };
    let found =
        ALL.iter().flat_map(|(name, _, check)| check(&seen).into_iter().map(move |what| format!("{name}: {what}")));
    found.collect()
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_default()
}

fn time(item: &Value, name: &str) -> Timestamp {
    text(item, name).parse().unwrap_or_else(|_| panic!("{name} of {item}"))
}

fn day(item: &Value, name: &str) -> Date {
    text(item, name).parse().unwrap()
}

fn amount(item: &Value, name: &str) -> i64 {
    item[name].as_i64().unwrap_or_default()
}

fn is_kept(workout: &Value) -> bool {
    matches!(text(workout, "status"), "completed" | "partial")
}

/// Donation, daily cap and monthly cap of a tier, in pence: the product's table, written a second time.
fn tier(name: &str) -> (i64, i64, i64) {
    match name {
        "b2c_elite" => (150, 400, 3500),
        "b2c_concierge" => (200, 500, 5000),
        _ => (100, 300, 2000),
    }
}

impl Seen {
    fn of<'a>(&'a self, entity: &'a str) -> impl Iterator<Item = &'a Value> {
        self.items.iter().filter(move |item| item["entity"] == entity)
    }

    fn of_user<'a>(&'a self, user: &'a str, entity: &'a str) -> Vec<&'a Value> {
        let pk = format!("USER#{user}");
        self.of(entity).filter(|item| text(item, "pk") == pk).collect()
    }

    fn one<'a>(&'a self, user: &'a str, entity: &'a str) -> Option<&'a Value> {
        self.of_user(user, entity).into_iter().next()
    }

    /// The caps of the tiers that a user ever held: the widest and the narrowest of each.
    fn caps(&self, user: &str) -> [(i64, i64, i64); 2] {
        let held: Vec<(i64, i64, i64)> = self
            .puts("user")
            .filter(|(_, item)| text(item, "id") == user)
            .map(|(_, item)| tier(text(item, "subscription_type")))
            .collect();
        let widest = held.iter().copied().max().unwrap();
        let mut narrowest = held.iter().copied().min().unwrap();
        for (_, company) in self.puts("company") {
            narrowest.2 = narrowest.2.min(amount(company, "monthly_wallet_per_employee"));
        }
        [widest, narrowest]
    }

    /// The widest caps that a commit may have gone by: those of the tiers that the user had from the moment at which its function
    /// began to read, and of the company's limits of the last minute, for which a function may keep its copy.
    fn caps_at(&self, user: &str, position: usize) -> (i64, i64, i64) {
        let entry = &self.journal[position];
        let mine = |entry: &&Entry| entry.task.is_some() && entry.task == self.journal[position].task;
        let began = self.journal.iter().position(|other| mine(&other)).unwrap_or(position);
        // The last form before the beginning, and all since.
        let forms = |entity: &str, id: Option<&str>, since: &dyn Fn(usize, &Entry) -> bool| -> Vec<Value> {
            let mut forms: Vec<Value> = Vec::new();
            for (at, other) in self.journal[..position].iter().enumerate() {
                let What::Wrote(changes) = &other.what else { continue };
                let items = changes.iter().filter_map(|change| change.item.as_ref());
                for item in items.filter(|item| item["entity"] == entity && id.is_none_or(|id| item["id"] == id)) {
                    if !since(at, other) {
                        forms.clear();
                    }
                    forms.push(item.clone());
                }
            }
            forms
        };
        let limits = forms("company", None, &|_, other| other.at >= entry.at - SignedDuration::from_secs(60));
        let limit = limits.iter().map(|company| amount(company, "monthly_wallet_per_employee")).max();
        let tiers = forms("user", Some(user), &|at, _| at >= began);
        let caps = tiers.iter().map(|item| match (text(item, "subscription_type"), limit) {
            ("b2b_sponsor", Some(limit)) if item["company_id"].is_string() => (100, 300, limit),
            (name, _) => tier(name),
        });
        caps.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1), one.2.max(other.2))).unwrap()
    }

    /// Until when a call was seen to ring or be talked on.
    fn live_until(&self, call: &SimulatedCall) -> Timestamp {
        self.live_until.get(&call.call_id).copied().unwrap_or(call.placed_at)
    }

    /// Every put of an entity, in the order of the commits.
    fn puts<'a>(&'a self, entity: &'a str) -> impl Iterator<Item = (&'a Entry, &'a Value)> {
        let changes = self.journal.iter().filter_map(|entry| match &entry.what {
            What::Wrote(changes) => Some((entry, changes)),
            What::Read(_) | What::Asked { .. } => None,
        });
        changes
            .flat_map(|(entry, changes)| changes.iter().map(move |change| (entry, change)))
            .filter_map(|(entry, change)| Some((entry, change.item.as_ref()?)))
            .filter(move |(_, item)| item["entity"] == entity)
    }
}

// Money

fn one_donation_a_workout(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let mut of_workout: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for donation in seen.of_user(&user, "donation") {
            match (donation["kind"] == "completion", donation["workout_id"].as_str()) {
                (true, Some(workout)) => of_workout.entry(workout).or_default().push(text(donation, "id")),
                (false, None) => {}
                _ => found.push(format!("a donation of a strange kind: {donation}")),
            }
        }
        let traces = seen.of_user(&user, "deleted_workout");
        for workout in seen.of_user(&user, "workout").into_iter().chain(traces) {
            let id = text(workout, "sk").rsplit('#').next().unwrap();
            let donations = of_workout.remove(id).unwrap_or_default();
            let named: Vec<&str> = workout["donation_id"].as_str().into_iter().collect();
            if donations != named {
                found.push(format!("a workout names {named:?} and has {donations:?}"));
            }
        }
        found.extend(of_workout.keys().map(|workout| format!("a donation for no workout: {workout}")));
    }
    found
}

fn kept_workouts_donated(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let donations = seen.of_user(&user, "donation");
        let [_, (_, daily, monthly)] = seen.caps(&user);
        for workout in seen.of_user(&user, "workout") {
            if !is_kept(workout) || workout["donation_id"].is_string() {
                continue;
            }
            let date = text(workout, "date");
            let of_day: i64 = donations
                .iter()
                .filter(|donation| donation["kind"] == "completion" && text(donation, "date") == date)
                .map(|donation| amount(donation, "amount"))
                .sum();
            let mut periods: BTreeMap<&str, i64> = BTreeMap::new();
            for donation in &donations {
                *periods.entry(text(donation, "period_start")).or_default() += amount(donation, "amount");
            }
            let full = of_day >= daily || monthly == 0 || periods.values().any(|sum| *sum >= monthly);
            if !full {
                found.push(format!(
                    "{} of {date} is {} and donated nothing",
                    text(workout, "planned_activity"),
                    text(workout, "status")
                ));
            }
        }
    }
    found
}

fn wallet_adds_up(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, stats) in &seen.people {
        let user = someone.key();
        let donations = seen.of_user(&user, "donation");
        let sum = |fits: &dyn Fn(&Value) -> bool| -> i64 {
            donations.iter().filter(|donation| fits(donation)).map(|donation| amount(donation, "amount")).sum()
        };
        let all = sum(&|_| true);
        let told = stats["impact"]["total_donated"].as_f64().unwrap();
        if (told * 100.0).round() as i64 != all {
            found.push(format!("donations are {all}, the statistics tell {told}"));
        }
        let Some(wallet) = seen.one(&user, "wallet") else {
            if all != 0 {
                found.push(format!("donations of {all} and no wallet"));
            }
            continue;
        };
        let period = sum(&|donation| donation["period_start"] == wallet["period_start"]);
        let expected = (amount(wallet, "amount_used"), amount(wallet, "lifetime_donated"));
        if (period, all) != expected {
            found.push(format!("donations are {period} and {all}, the wallet says {expected:?}"));
        }
        for (date, sum_of_day) in wallet["daily"].as_object().into_iter().flatten() {
            let donated = sum(&|donation| donation["kind"] == "completion" && text(donation, "date") == date);
            if Some(donated) != sum_of_day.as_i64() {
                found.push(format!("donations of {date} are {donated}, the wallet says {sum_of_day}"));
            }
        }
    }
    found
}

fn caps_hold(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let (mut days, mut periods) = (BTreeMap::<(String, String), i64>::new(), BTreeMap::<(String, String), i64>::new());
    let mut known = BTreeSet::new();
    for (position, entry) in seen.journal.iter().enumerate() {
        let What::Wrote(changes) = &entry.what else { continue };
        let items = changes.iter().filter_map(|change| change.item.as_ref());
        for donation in items.filter(|item| item["entity"] == "donation") {
            if !known.insert(text(donation, "id").to_owned()) {
                continue;
            }
            let (user, pence) = (text(donation, "user_id").to_owned(), amount(donation, "amount"));
            let (most, daily, monthly) = seen.caps_at(&user, position);
            let of_period = periods.entry((user.clone(), text(donation, "period_start").to_owned())).or_default();
            *of_period += pence;
            if *of_period > monthly {
                found.push(format!("{of_period} in a period at {}, cap {monthly}", entry.at));
            }
            if donation["kind"] == "completion" {
                let of_day = days.entry((user, text(donation, "date").to_owned())).or_default();
                *of_day += pence;
                if *of_day > daily || pence > most || pence <= 0 {
                    found.push(format!("{pence} donated, {of_day} on {}, cap {daily}", donation["date"]));
                }
            }
        }
    }
    found
}

fn totals_add_up(seen: &Seen) -> Vec<String> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut companies: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for donation in seen.of("donation") {
        let sum = sums.entry(format!("CHARITY#{}", text(donation, "charity_id"))).or_default();
        *sum = (sum.0 + amount(donation, "amount"), sum.1 + 1);
        if let Some(company) = donation["company_id"].as_str() {
            companies.entry(format!("COMPANY#{company}")).or_default().0 += amount(donation, "amount");
        }
    }
    for (someone, _) in &seen.people {
        let user = someone.key();
        let Some(company) = seen.one(&user, "user").and_then(|item| item["company_id"].as_str()) else { continue };
        let kept = seen.of_user(&user, "workout").into_iter().filter(|workout| is_kept(workout)).count();
        companies.entry(format!("COMPANY#{company}")).or_default().1 += i64::try_from(kept).unwrap();
    }
    companies.retain(|_, sum| *sum != (0, 0));
    let told = |entity: &str, count: &str| {
        let mut totals: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for total in seen.of(entity) {
            let sum = totals.entry(text(total, "pk").to_owned()).or_default();
            *sum = (sum.0 + amount(total, "donated"), sum.1 + amount(total, count));
        }
        totals.retain(|_, sum| *sum != (0, 0));
        totals
    };
    let totals = [told("charity_total", "donations"), told("company_total", "completions")];
    let expected = [sums, companies];
    if totals == expected { Vec::new() } else { vec![format!("donations {expected:?}, totals {totals:?}")] }
}

fn bonuses_once(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let mut reached: BTreeSet<(String, String)> = BTreeSet::new();
        let kept: BTreeSet<String> = seen
            .puts("workout")
            .filter(|(_, workout)| text(workout, "user_id") == user && is_kept(workout))
            .map(|(_, workout)| text(workout, "date").to_owned())
            .collect();
        let mut of_kind: BTreeMap<String, usize> = BTreeMap::new();
        for donation in seen.of_user(&user, "donation") {
            let milestone = &donation["kind"]["streak_bonus"]["kept_days"];
            if milestone.is_null() {
                continue;
            }
            let key = (milestone.to_string(), text(donation, "date").to_owned());
            if !reached.insert(key.clone()) {
                found.push(format!("two bonuses for {key:?}"));
            }
            *of_kind.entry(key.0).or_default() += 1;
        }
        for (milestone, count) in of_kind {
            let days: usize = milestone.parse().unwrap();
            if count * days > kept.len() {
                found.push(format!("{count} bonuses for {milestone} days, and {} days were ever kept", kept.len()));
            }
        }
    }
    found
}

fn donations_never_change(seen: &Seen) -> Vec<String> {
    let mut first: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut found = Vec::new();
    for (_, donation) in seen.puts("donation") {
        let before = *first.entry(text(donation, "id")).or_insert(donation);
        if before != donation {
            found.push(format!("{before} became {donation}"));
        }
    }
    for donation in first.values() {
        if !seen.of("donation").any(|item| item["id"] == donation["id"]) {
            found.push(format!("{donation} is gone"));
        }
    }
    found
}

// Days

fn counters_recount(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, stats) in &seen.people {
        let user = someone.key();
        let (mut weeks, mut months) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
        let kept: Vec<Date> =
            seen.of_user(&user, "workout").into_iter().filter(|w| is_kept(w)).map(|w| day(w, "date")).collect();
        for date in &kept {
            let week = date.iso_week_date();
            *weeks.entry(format!("{:04}-W{:02}", week.year(), week.week())).or_default() += 1;
            *months.entry(date.strftime("%Y-%m").to_string()).or_default() += 1;
        }
        let counted = i64::try_from(kept.len()).unwrap();
        let empty = Value::Null;
        let counters = seen.one(&user, "counters").unwrap_or(&empty);
        let stored = |name: &str| -> BTreeMap<String, i64> {
            let counts = counters[name].as_object().into_iter().flatten();
            counts.map(|(name, count)| (name.clone(), count.as_i64().unwrap())).collect()
        };
        if (counted, &weeks, &months) != (amount(counters, "total_workouts"), &stored("weeks"), &stored("months")) {
            found.push(format!("{}: counted {counted} {weeks:?} {months:?}, stored {counters}", someone.name));
        }
        if stats["total_workouts"].as_i64() != Some(counted) {
            found.push(format!("{}: counted {counted}, told {}", someone.name, stats["total_workouts"]));
        }
    }
    found
}

fn streak_recount(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, stats) in &seen.people {
        let user = someone.key();
        let Some(progress) = seen.one(&user, "progress") else { continue };
        let workouts = seen.of_user(&user, "workout");
        let on = |date: Date, fits: &dyn Fn(&Value) -> bool| workouts.iter().any(|w| day(w, "date") == date && fits(w));
        let streak = &progress["streak"];
        // What a move left too short is the days' own matter (rules/days); pauses are reckoned from the profiles.
        let excused = streak["frozen"].as_array().into_iter().flatten().filter(|freeze| freeze["pause"] == false);
        let excused = excused.map(|freeze| (day(freeze, "from"), Some(day(freeze, "until"))));
        let frozen: Vec<(Date, Option<Date>)> = excused.chain(pauses(seen, &user)).collect();
        let today = date_at(seen.one(&user, "user").unwrap(), seen.now);
        let since = day(streak, "since");
        let first = workouts.iter().map(|w| day(w, "date")).min().map_or(since, |first| first.min(since));
        let (mut run, mut previous, mut rests, mut date) = (0, 0, 0, first);
        let mut longest = 0;
        while date <= today {
            if date.weekday() == Weekday::Monday {
                rests = 0;
            }
            let is_frozen = frozen.iter().any(|(from, until)| *from <= date && until.is_none_or(|until| date < until));
            let planned = streak["days"][date.to_string()][0].as_i64().unwrap_or_default() > 0;
            let told = on(date, &is_kept) || on(date, &|w| w["status"] == "rest_day");
            let committed = planned || (prefers(streak, date) && (date >= since || told));
            if on(date, &is_kept) {
                run += 1;
                longest = longest.max(run);
            } else if date < today && !is_frozen && committed {
                if on(date, &|w| w["status"] == "rest_day") && rests < 2 {
                    rests += 1;
                } else if run > 0 {
                    (previous, run) = (run, 0);
                }
            }
            date = date.checked_add(1.day()).unwrap();
        }
        let told = |name: &str| stats[name].as_i64().unwrap();
        if told("current_streak") != run {
            found.push(format!("{}: walked {run}, told {}", someone.name, told("current_streak")));
        }
        if told("previous_streak") != previous {
            found.push(format!(
                "{}: walked {previous}, told {} as the previous",
                someone.name,
                told("previous_streak")
            ));
        }
        // The longest run stays after an undo, so it may only be longer than the walk finds.
        if told("longest_streak") < longest {
            found.push(format!("{}: walked {longest}, told {} as the longest", someone.name, told("longest_streak")));
        }
    }
    found
}

/// The days on which a user paused, each pause from a day until the first that counts again, by what their profile said when.
fn pauses(seen: &Seen, user: &str) -> Vec<(Date, Option<Date>)> {
    let mut pauses: Vec<(Date, Option<Date>)> = Vec::new();
    // When the pause that was said last ends by itself.
    let mut pausing: Option<Option<Timestamp>> = None;
    for (entry, profile) in seen.puts("user").filter(|(_, profile)| text(profile, "id") == user) {
        let date = |at: Timestamp| date_at(profile, at);
        let is_over = pausing.flatten().is_some_and(|end| end <= entry.at);
        if profile["status"] == "active" {
            if let (Some(end), Some(pause)) = (pausing.take(), pauses.last_mut()) {
                pause.1 = Some(date(end.filter(|_| is_over).unwrap_or(entry.at)));
            }
            continue;
        }
        let end = profile["resumes_at"].is_string().then(|| time(profile, "resumes_at"));
        // What repeats the pause that is said already says nothing.
        if pausing != Some(end) {
            match pauses.last_mut().filter(|_| pausing.is_some() && !is_over) {
                Some(pause) => pause.1 = end.map(date),
                None => pauses.push((date(entry.at), end.map(date))),
            }
        }
        pausing = Some(end);
    }
    pauses
}

/// A user's date at a moment: their zone's clocks less the hours before their day start, and the day that a move fell into.
fn date_at(user: &Value, at: Timestamp) -> Date {
    let start: jiff::civil::Time = user["day_start"].as_str().unwrap_or("03:00").parse().unwrap();
    let zone = TimeZone::get(text(user, "timezone")).unwrap();
    let shown = zone.to_datetime(at);
    let date = if shown.time() < start { shown.date().yesterday().unwrap() } else { shown.date() };
    let held = &user["held_day"];
    if held.is_null() {
        return date;
    }
    let held_date = day(held, "date");
    match (at >= time(held, "until"), at >= time(held, "from")) {
        (true, _) => date.max(held_date.tomorrow().unwrap()),
        (false, true) => held_date,
        (false, false) => date.min(held_date.yesterday().unwrap()),
    }
}

/// Whether a date was a preferred day, by what was said last about it.
fn prefers(streak: &Value, date: Date) -> bool {
    let rules = streak["preferred"].as_array().unwrap();
    let rule = rules.iter().rev().find(|rule| day(rule, "from") <= date).or(rules.first()).unwrap();
    let days = rule["days"].as_array().unwrap();
    let name = date.strftime("%a").to_string().to_lowercase();
    days.is_empty() || days.iter().any(|day| *day == name.as_str())
}

fn plans_are_commitments(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let Some(progress) = seen.one(&user, "progress") else { continue };
        let mut planned: BTreeMap<String, i64> = BTreeMap::new();
        for workout in seen.of_user(&user, "workout").into_iter().filter(|workout| workout["planned"] == true) {
            *planned.entry(text(workout, "date").to_owned()).or_default() += 1;
        }
        for (date, count) in planned {
            let tally = progress["streak"]["days"][&date][0].as_i64().unwrap_or_default();
            if tally < count {
                found.push(format!("{}: {count} plans on {date}, the streak knows of {tally}", someone.name));
            }
        }
    }
    found
}

fn agenda_is_open_workouts(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let empty = Value::Null;
        let agenda = &seen.one(&user, "progress").unwrap_or(&empty)["agenda"];
        let plans: BTreeMap<&str, &Value> =
            agenda.as_array().into_iter().flatten().map(|plan| (text(plan, "id"), plan)).collect();
        let open: BTreeMap<&str, &Value> = seen
            .of_user(&user, "workout")
            .into_iter()
            .filter(|workout| workout["status"] == "planned")
            .map(|workout| (text(workout, "id"), workout))
            .collect();
        let oldest = seen.now.to_zoned(TimeZone::UTC).date().checked_sub(8.days()).unwrap();
        for (id, plan) in &plans {
            let Some(workout) = open.get(id) else {
                found.push(format!("{} stands on the agenda and is not open", text(plan, "planned_activity")));
                continue;
            };
            for field in ["date", "planned_time", "status", "version", "planned_activity"] {
                if plan[field] != workout[field] {
                    found.push(format!(
                        "{field} of {} is {}, on the agenda {}",
                        plan["planned_activity"], workout[field], plan[field]
                    ));
                }
            }
        }
        for (id, workout) in &open {
            if !plans.contains_key(id) && day(workout, "date") > oldest {
                found.push(format!("{} is open and not on the agenda", text(workout, "planned_activity")));
            }
        }
    }
    found
}

fn workouts_lie_once(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for workout in seen.of("workout") {
        places.entry(text(workout, "id")).or_default().push(text(workout, "sk"));
        let key = format!("WORKOUT#{}#{}", text(workout, "date"), text(workout, "id"));
        if text(workout, "sk") != key {
            found.push(format!("a workout of {} lies at {}", text(workout, "date"), text(workout, "sk")));
        }
    }
    found.extend(places.values().filter(|keys| keys.len() > 1).map(|keys| format!("a workout lies at {keys:?}")));
    for stub in seen.of("moved") {
        let id = text(stub, "sk").rsplit('#').next().unwrap();
        let there = format!("WORKOUT#{}#{id}", text(stub, "moved_to"));
        if places.get(id) != Some(&vec![there.as_str()]) {
            found.push(format!("a stub leads to {there}, the workout lies at {:?}", places.get(id)));
        }
    }
    found
}

// Calls

fn calls_end(seen: &Seen) -> Vec<String> {
    let over = |call: &&Value| !matches!(text(call, "state"), "completed" | "failed" | "cancelled");
    let open = seen.of("call").filter(over);
    open.map(|call| {
        format!("a {} is {} since {}", text(call, "call_type"), text(call, "state"), text(call, "updated_at"))
    })
    .collect()
}

/// The attempt of a ring, from its metadata.
fn of_ring<'a>(ring: &'a Ring, name: &str) -> &'a str {
    ring.metadata.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The commit by which an attempt was claimed, and the call as it was written then.
fn claim_of<'a>(seen: &'a Seen, call: &str, attempt: &str) -> Option<(&'a Entry, &'a Value)> {
    let claimed =
        |item: &Value| text(item, "id") == call && item["state"] == "initiating" && item["attempt"]["id"] == attempt;
    seen.puts("call").find(|(_, item)| claimed(item))
}

fn rings_are_attempts(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for call in seen.of("call") {
        let id = text(call, "id");
        let rings: Vec<&Ring> = seen.rings.iter().filter(|ring| of_ring(ring, "call_id") == id).collect();
        let attempts: BTreeSet<&str> = rings.iter().map(|ring| of_ring(ring, "attempt_id")).collect();
        let used = usize::try_from(amount(call, "attempts")).unwrap();
        if rings.len() != attempts.len() || rings.len() > used || used > 3 {
            found.push(format!(
                "{} rings of {} attempts, {used} counted: {}",
                rings.len(),
                attempts.len(),
                call["history"]
            ));
        }
    }
    for ring in &seen.rings {
        if claim_of(seen, of_ring(ring, "call_id"), of_ring(ring, "attempt_id")).is_none() {
            found.push(format!("a ring at {} without a claim", ring.at));
        }
    }
    found
}

fn one_ring_a_key(seen: &Seen) -> Vec<String> {
    let keys: BTreeSet<_> = seen.rings.iter().map(|ring| &ring.idempotency_key).collect();
    if keys.len() == seen.rings.len() {
        Vec::new()
    } else {
        vec![format!("{} rings of {} keys", seen.rings.len(), keys.len())]
    }
}

fn one_ring_at_a_time(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (index, call) in seen.calls.iter().enumerate() {
        let until = seen.live_until(call);
        // Whom the number's own agent answers, because our answer got lost, talks with nobody that we know of. And who calls
        // us in the very moment in which we dial them is on two calls.
        if !call.metadata.contains_key("call_id") {
            continue;
        }
        let crossed = |later: &SimulatedCall| later.placed_at == call.placed_at && (later.inbound || call.inbound);
        let at_once = |later: &&SimulatedCall| later.person() == call.person() && later.placed_at < until;
        for later in seen.calls[index + 1..].iter().filter(at_once).filter(|later| !later.inbound && !crossed(later)) {
            let same = call.metadata.get("call_id") == later.metadata.get("call_id");
            let which = if same { "the same call" } else { "another call" };
            found.push(format!("live from {} to {until}, and a ring at {} ({which})", call.placed_at, later.placed_at));
        }
    }
    found
}

fn is_quiet(at: Timestamp, zone: &str) -> bool {
    let local = TimeZone::get(zone).unwrap().to_datetime(at).time();
    let minutes = i32::from(local.hour()) * 60 + i32::from(local.minute());
    !(7 * 60..21 * 60 + 30).contains(&minutes)
}

fn rings_in_the_window(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for ring in &seen.rings {
        let Some((_, call)) = claim_of(seen, of_ring(ring, "call_id"), of_ring(ring, "attempt_id")) else { continue };
        let (opens, closes) = (time(&call["window"], "opens_at"), time(&call["window"], "closes_at"));
        let inside = opens <= ring.at && ring.at < closes;
        let grace = amount(call, "attempts") > 1
            && closes <= ring.at
            && ring.at < closes + SignedDuration::from_mins(30)
            && !is_quiet(ring.at, text(call, "timezone"));
        if !inside && !grace {
            found.push(format!("attempt {} rang at {}, window {opens} to {closes}", call["attempts"], ring.at));
        }
    }
    found
}

fn no_ring_after_the_word(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut last_read: BTreeMap<usize, usize> = BTreeMap::new();
    // By call and by user: whether the last commit forbade calls, and when.
    let mut cancelled: BTreeMap<String, usize> = BTreeMap::new();
    let mut forbidden: BTreeMap<String, (usize, Option<Timestamp>)> = BTreeMap::new();
    for (position, entry) in seen.journal.iter().enumerate() {
        match (&entry.what, entry.task) {
            (What::Read(operation), Some(task)) if operation == "BatchGetItem" => {
                last_read.insert(task, position);
            }
            (What::Wrote(changes), task) => {
                for item in changes.iter().filter_map(|change| change.item.as_ref()) {
                    let id = text(item, "id").to_owned();
                    if item["entity"] == "user" {
                        let may = item["status"] == "active"
                            && item["consents"]["calls"]["granted"] == true
                            && item["consents"]["data_processing"]["granted"] == true;
                        if may {
                            forbidden.remove(&id)
                        } else {
                            // A pause with an end is over by itself, whoever writes it down.
                            let paused = item["status"] != "active"
                                && item["consents"]["calls"]["granted"] == true
                                && item["consents"]["data_processing"]["granted"] == true;
                            let until = item["resumes_at"].as_str().filter(|_| paused);
                            forbidden.insert(id, (position, until.map(|until| until.parse().unwrap())))
                        };
                        continue;
                    }
                    if item["entity"] != "call" {
                        continue;
                    }
                    if item["state"] == "initiating" && item["attempt"]["provider_call_id"].is_null() {
                        let read = task.and_then(|task| last_read.get(&task)).copied().unwrap_or(position);
                        let forbidden = forbidden.get(text(item, "user_id"));
                        let forbidden = forbidden.filter(|(_, until)| until.is_none_or(|until| entry.at < until));
                        let words = [cancelled.get(&id), forbidden.map(|(position, _)| position)];
                        if words.into_iter().flatten().any(|word| *word < read) {
                            found.push(format!("claimed at {} after the word", entry.at));
                        }
                    }
                    if item["state"] == "cancelled" {
                        cancelled.insert(id, position)
                    } else {
                        cancelled.remove(&id)
                    };
                }
            }
            _ => {}
        }
    }
    found
}

/// The evening's types: one of them has the evening of a day.
const EVENINGS: [CallType; 5] = [
    CallType::EveningReview,
    CallType::WeeklyPlanning,
    CallType::MonthlyCheck,
    CallType::QuarterlyReview,
    CallType::Onboarding,
];

fn planned_calls_ring(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (index, planned) in seen.days.iter().enumerate() {
        let same = |later: &Planned| later.user == planned.user && later.date == planned.date;
        if seen.days[index + 1..].iter().any(same) {
            continue;
        }
        let (user, date) = (planned.user.to_string(), planned.date);
        let over = planned.at + SignedDuration::from_hours(20);
        let mut forms = seen.puts("user").filter(|(_, item)| text(item, "id") == user);
        let (before, since): (Vec<_>, Vec<_>) = forms.by_ref().partition(|(entry, _)| entry.at < planned.at);
        let Some((_, profile)) = before.last() else { continue };
        let daily = !matches!(text(profile, "subscription_type"), "b2c_pro");
        let days = profile["preferred_days"].as_array().unwrap();
        let name = date.strftime("%a").to_string().to_lowercase();
        let preferred = days.is_empty() || days.iter().any(|day| *day == name.as_str());
        let granted = |purpose: &str| profile["consents"][purpose]["granted"] == true;
        let callable = profile["status"] == "active" && granted("calls") && granted("data_processing");
        let by_voice = matches!(text(profile, "communication_preference"), "calls" | "mixed");
        let undisturbed = since.iter().all(|(entry, _)| entry.at > over) && seen.now > over;
        let lived_here = text(profile, "timezone") == planned.zone;
        let in_time = date_at(profile, planned.at) == date || planned.at.as_second() % 3600 == 0;
        // A day that somebody lands in may have its evening behind it: what lies before the moment is past.
        let evening = text(&profile["evening_window"], "start").parse::<jiff::civil::Time>().ok();
        let zone = TimeZone::get(&planned.zone).unwrap();
        let ahead = evening.is_some_and(|start| zone.to_timestamp(date.to_datetime(start)).unwrap() > planned.at);
        if !(daily && preferred && callable && by_voice && undisturbed && lived_here && in_time && ahead) {
            continue;
        }
        let ids: Vec<String> =
            EVENINGS.iter().map(|call_type| call_id(planned.user, date, *call_type).to_string()).collect();
        let calls: Vec<&Value> = seen.of("call").filter(|call| ids.iter().any(|id| text(call, "id") == id)).collect();
        let withdrawn = |call: &Value| matches!(text(call, "cause"), "replanned" | "paused" | "consent_withdrawn");
        let told = |call: &&&Value| amount(call, "attempts") > 0 || (call["cause"].is_string() && !withdrawn(call));
        if !calls.iter().any(|call| told(&call)) {
            let states: Vec<String> =
                calls.iter().map(|call| format!("{} {}", call["call_type"], call["cause"])).collect();
            found.push(format!("{date} of {}, planned at {}: {states:?}", planned.zone, planned.at));
        }
    }
    found
}

fn talks_are_logged(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for call in &seen.analysed {
        let status = call["call_analysis"]["custom_analysis_data"]["workout_status"].as_str().unwrap_or_default();
        if !matches!(status, "completed" | "partial") {
            continue;
        }
        let Some(stored) = seen.of("call").find(|stored| stored["id"] == call["metadata"]["call_id"]) else { continue };
        let user = text(stored, "user_id");
        let Ok(started) = Timestamp::from_millisecond(call["start_timestamp"].as_i64().unwrap_or_default()) else {
            continue;
        };
        let near = |workout: &Value| {
            let noon = day(workout, "date").at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
            noon.duration_since(started).abs() < SignedDuration::from_hours(48)
        };
        let kept = |workout: &Value| text(workout, "user_id") == user && is_kept(workout) && near(workout);
        if !seen.puts("workout").any(|(_, workout)| kept(workout)) {
            found.push(format!(
                "{status} was told in a talk that began at {started}, and nothing was ever kept near it"
            ));
        }
    }
    found
}

// Messages

fn one_follow_up_a_call(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut of_call: BTreeMap<&str, usize> = BTreeMap::new();
    for message in seen.of("message") {
        if let Some(call) = message["call_id"].as_str() {
            *of_call.entry(call).or_default() += 1;
        }
    }
    found.extend(of_call.values().filter(|count| **count > 1).map(|count| format!("{count} messages of one call")));
    for (someone, _) in &seen.people {
        let calls = seen.of_user(&someone.key(), "message").iter().filter(|m| m["call_id"].is_string()).count();
        let arrived = seen.handsets[&someone.phone]
            .iter()
            .filter(|message| message.template.as_deref() == Some("missed_call_follow_up"))
            .count();
        if arrived > calls {
            found.push(format!("{arrived} follow-ups on the handset of {} calls", calls));
        }
    }
    found
}

fn messages_arrive_once(seen: &Seen) -> Vec<String> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &seen.journal {
        let What::Asked { party: Party::WhatsApp, request, status: 200, .. } = &entry.what else { continue };
        if let Some(message) = request["biz_opaque_callback_data"].as_str() {
            *taken.entry(message.to_owned()).or_default() += 1;
        }
    }
    taken.values().filter(|count| **count > 1).map(|count| format!("WhatsApp took a message {count} times")).collect()
}

fn confirmations_once(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for (someone, _) in &seen.people {
        let user = someone.key();
        let kept: BTreeSet<&str> = seen
            .puts("workout")
            .filter(|(_, workout)| text(workout, "user_id") == user && is_kept(workout))
            .map(|(_, workout)| text(workout, "id"))
            .collect();
        let texts = &seen.handsets[&someone.phone];
        let arrived = texts.iter().filter(|message| message.text.contains("Logged, well done")).count();
        if arrived > kept.len() {
            found.push(format!("{arrived} confirmations for {} workouts", kept.len()));
        }
    }
    found
}

fn messages_are_settled(seen: &Seen) -> Vec<String> {
    let open = seen.of("message").filter(|message| matches!(text(message, "status"), "queued" | "sending"));
    open.map(|message| format!("a message is {} since {}", text(message, "status"), text(message, "updated_at")))
        .collect()
}

// Deliveries

fn rings_within_slots(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let ours: Vec<&SimulatedCall> = seen.calls.iter().filter(|call| !call.inbound).collect();
    for ring in &ours {
        let is_live =
            |call: &&&SimulatedCall| call.placed_at <= ring.placed_at && ring.placed_at < seen.live_until(call);
        let live = ours.iter().filter(is_live).count();
        if live > seen.slots {
            found.push(format!("{live} calls are live at {}, of {} slots", ring.placed_at, seen.slots));
        }
    }
    found
}

/// A slot is taken in the transaction that gives it to its call.
fn reserved_slots_are_kept(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for entry in &seen.journal {
        let What::Wrote(changes) = &entry.what else { continue };
        let written = || changes.iter().filter_map(|change| change.item.as_ref());
        let is_reserved = |item: &&Value| item["number"].as_u64().is_some_and(|number| number >= seen.unreserved_slots);
        for slot in written().filter(|item| item["entity"] == "slot").filter(is_reserved) {
            let call = written().find(|item| item["entity"] == "call" && item["slot"] == slot["number"]);
            let may = |call: &Value| call["call_type"] == "rescue" || call["direction"] == "inbound";
            if !call.is_some_and(may) {
                found.push(format!("at {} slot {} was taken by {call:?}", entry.at, slot["number"]));
            }
        }
    }
    found
}

fn slots_pass_on(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut held: BTreeMap<&str, &Value> = BTreeMap::new();
    // What was last written of the call of an attempt.
    let mut calls: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in &seen.journal {
        let What::Wrote(changes) = &entry.what else { continue };
        for call in changes.iter().filter_map(|change| change.item.as_ref()).filter(|item| item["entity"] == "call") {
            calls.insert(text(&call["attempt"], "id"), text(call, "state"));
        }
        for change in changes.iter().filter(|change| change.pk == "SLOTS") {
            let key = change.sk.as_str();
            let before = if let Some(item) = &change.item {
                let before = held.insert(key, item).filter(|before| before["attempt_id"] != item["attempt_id"]);
                before.filter(|before| time(before, "lease_until") >= entry.at)
            } else if change.deleted {
                let before = held.remove(key);
                let live = |before: &&Value| calls.get(text(before, "attempt_id")) == Some(&"in_progress");
                before.filter(|before| time(before, "lease_until") >= entry.at).filter(live)
            } else {
                None
            };
            found.extend(before.map(|before| format!("at {} {before} became {:?}", entry.at, change.item)));
        }
    }
    found
}

fn slots_are_free(seen: &Seen) -> Vec<String> {
    let held = seen.of("slot").filter(|slot| time(slot, "lease_until") >= seen.now);
    held.map(|slot| format!("slot {} until {}", slot["number"], text(slot, "lease_until"))).collect()
}

fn effects_took_place(seen: &Seen) -> Vec<String> {
    if seen.quiet { Vec::new() } else { vec!["something is still on its way".to_owned()] }
}

fn dead_letters_have_a_reason(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for dead in &seen.dead {
        let told = |message: &Value| matches!(text(message, "failure"), "given_up" | "expired");
        let given_up = dead.queue == Queue::MessagesDead
            && seen.of("message").any(|message| message["id"] == dead.body["message_id"] && told(message));
        if !given_up && dead.undisturbed > 0 {
            found.push(format!("{:?} after {} failures of its own: {}", dead.queue, dead.undisturbed, dead.body));
        }
    }
    found
}

fn one_effect_a_key(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut answers: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for sent in &seen.sent {
        if let Some(key) = sent.request.key.as_deref() {
            answers.entry(key).or_default().push(sent);
        }
    }
    for (key, sent) in answers {
        let body = &sent[0].request.body;
        let effects = match sent[0].request.path.as_str() {
            // Also one that was deleted since.
            "/api/workouts" => {
                let ever = seen.puts("workout").filter(|(_, w)| w["planned_activity"] == body["planned_activity"]);
                ever.map(|(_, workout)| text(workout, "id")).collect::<BTreeSet<_>>().len()
            }
            "/api/calls" => {
                let user = sent[0].request.who.as_ref().unwrap().key();
                let same = |call: &Value| {
                    call["user_id"] == user.as_str() && text(call, "scheduled_time") == text(body, "scheduled_time")
                };
                // Also one that was moved since.
                let ever = seen.puts("call").filter(|(_, call)| same(call));
                ever.map(|(_, call)| text(call, "id")).collect::<BTreeSet<_>>().len()
            }
            _ => continue,
        };
        let ids: BTreeSet<String> = sent
            .iter()
            .filter_map(|sent| sent.answer.as_ref())
            .filter(|(status, _)| *status == 201)
            .map(|(_, body)| body["id"].to_string())
            .collect();
        if effects > 1 || ids.len() > 1 || (ids.len() == 1 && effects == 0) {
            found.push(format!("{key}: {effects} effects, answers {ids:?}"));
        }
    }
    found
}

fn one_owner_a_phone(seen: &Seen) -> Vec<String> {
    let owners: BTreeSet<&str> = seen.of("phone").map(|owner| text(owner, "user_id")).collect();
    let users: BTreeSet<&str> = seen.of("user").map(|user| text(user, "id")).collect();
    let count = seen.of("phone").count();
    if owners == users && count == users.len() {
        Vec::new()
    } else {
        vec![format!("{} users, {count} phones", users.len())]
    }
}

fn parallel_refreshes_agree(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let refreshes: Vec<&Sent> = seen.sent.iter().filter(|sent| sent.request.path == "/api/auth/refresh").collect();
    for pair in refreshes.windows(2).filter(|pair| pair[0].request.body == pair[1].request.body) {
        let token = |sent: &Sent| {
            let (status, body) = sent.answer.as_ref()?;
            (*status == 200).then(|| text(body, "refresh_token").to_owned())
        };
        if let (Some(one), Some(other)) = (token(pair[0]), token(pair[1]))
            && one != other
        {
            found.push("two successors of one token".to_owned());
        }
    }
    found
}

// The table

fn items_have_a_kind(seen: &Seen) -> Vec<String> {
    let nameless = seen.items.iter().filter(|item| text(item, "entity").is_empty());
    nameless.map(|item| format!("{} {}", text(item, "pk"), text(item, "sk"))).collect()
}

fn versions_go_forward(seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    let mut last: BTreeMap<(String, String), Value> = BTreeMap::new();
    for entry in &seen.journal {
        let What::Wrote(changes) = &entry.what else { continue };
        for change in changes {
            let key = (change.pk.clone(), change.sk.clone());
            let Some(item) = &change.item else {
                if change.deleted {
                    last.remove(&key);
                }
                continue;
            };
            if item["version"].is_null() || item["entity"] == "sign_in" {
                continue;
            }
            if let Some(before) = last.insert(key, item.clone())
                // A transaction that the SDK sent again was answered again.
                && before != *item
                && amount(item, "version") <= amount(&before, "version")
            {
                found.push(format!("{} from {} to {}", item["entity"], before["version"], item["version"]));
            }
        }
    }
    found
}

fn no_internal_errors(seen: &Seen) -> Vec<String> {
    let broken = seen.sent.iter().filter(|sent| matches!(sent.answer, Some((500, _))));
    broken.map(|sent| format!("{}: {:?}", sent.request.label, sent.answer)).collect()
}
