//! Who there is, and which calls their day has.
//!
//! The mix is made up and stands here in one place; the calls of each person are what `ivy_domain::planning::calls_for` says, so
//! a change of the rules changes the simulation. Everybody follows from their number: a run repeats exactly.

use ivy_domain::{
    UserId,
    call::CallWindow,
    local_days::DayStart,
    planning::{CallHistory, Channel, calls_for},
    tier::{SubscriptionStatus, Tier},
    user::{
        CommunicationPreference, Consent, ConsentSource, Consents, DayName, Track, User, UserStatus, WeekdaySet,
        WeeklyGoal, Window, WindowText,
    },
    values::Zone,
};
use ivy_store::keys;
use jiff::{Timestamp, civil::Date};

use crate::failure::{Because as _, Failure};

/// The day of the simulation: a Wednesday, on which every rhythm has its calls.
pub(crate) const DATE: Date = Date::constant(2026, 11, 25);
const ONBOARDED: &str = "2026-06-01T09:00:00Z";

/// Where people live, of a hundred.
pub(crate) const ZONES: [(&str, u32); 7] = [
    ("Europe/London", 45),
    ("America/New_York", 20),
    ("America/Los_Angeles", 10),
    ("Europe/Berlin", 10),
    ("Asia/Kolkata", 5),
    ("Australia/Sydney", 5),
    ("Asia/Tokyo", 5),
];
const TIERS: [(Tier, u32); 4] =
    [(Tier::B2bSponsor, 60), (Tier::B2cPro, 20), (Tier::B2cElite, 15), (Tier::B2cConcierge, 5)];
const MORNINGS: [(&str, u32); 4] = [("06:30", 20), ("07:00", 40), ("07:30", 25), ("08:00", 15)];
const EVENINGS: [(&str, u32); 4] = [("17:30", 15), ("18:00", 35), ("19:00", 30), ("20:00", 20)];
/// Lengths of windows, in minutes.
const LENGTHS: [(u32, u32); 3] = [(60, 40), (90, 30), (120, 30)];
const PREFERENCES: [(CommunicationPreference, u32); 3] =
    [(CommunicationPreference::Calls, 85), (CommunicationPreference::Mixed, 10), (CommunicationPreference::Async, 5)];
const DAYS: [(&[&str], u32); 3] = [(&[], 50), (&["mon", "tue", "wed", "thu", "fri"], 30), (&["mon", "wed", "fri"], 20)];

/// A number that follows from a seed, evenly spread: splitmix64.
pub(crate) const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of the choices, by their parts of a hundred.
fn choose<T: Copy>(choices: &[(T, u32)], number: u64) -> T {
    let mut left = number % 100;
    for (choice, part) in choices {
        let part = u64::from(*part);
        if left < part {
            return *choice;
        }
        left -= part;
    }
    choices[0].0
}

/// A planned call, as small as it gets: there are millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) user: u32,
    pub(crate) zone: u8,
    pub(crate) tier: Tier,
    pub(crate) evening: bool,
    pub(crate) due: i64,
    pub(crate) opens: i64,
    pub(crate) closes: i64,
}

impl Due {
    pub(crate) fn window(&self) -> CallWindow {
        CallWindow { opens_at: at(self.opens), closes_at: at(self.closes) }
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Everybody's day.
#[derive(Debug, Default)]
pub(crate) struct Population {
    pub(crate) users: u32,
    pub(crate) calls: Vec<Due>,
    /// Messages that take the place of a call.
    pub(crate) messages: u64,
    pub(crate) of_tier: [u32; 4],
    pub(crate) of_zone: [u32; ZONES.len()],
    /// The fullest shard of any zone.
    pub(crate) fullest_shard: u32,
}

struct Choices {
    zones: Vec<Zone>,
    windows: Vec<(Window, Window)>,
    days: Vec<WeekdaySet>,
}

fn window(start: &str, length: u32) -> Result<Window, Failure> {
    let (hour, minute) = start.split_once(':').because("a window's start")?;
    let minutes: u32 =
        hour.parse::<u32>().because("an hour")? * 60 + minute.parse::<u32>().because("a minute")? + length;
    let end = format!("{:02}:{:02}", minutes / 60, minutes % 60);
    Window::try_from(WindowText { start: start.to_owned(), end }).because("a window")
}

/// Someone with everything that planning looks at; the rest is empty.
pub(crate) fn somebody(tier: Tier) -> Result<User, Failure> {
    let onboarded_at: Timestamp = ONBOARDED.parse().because("a time")?;
    let consent = Some(Consent {
        granted: true,
        at: onboarded_at,
        source: ConsentSource::Onboarding,
        wording_version: String::new(),
    });
    Ok(User {
        id: UserId::derive(DATE, &["somebody"]),
        email: None,
        phone: "+447700900001".parse().because("a phone number")?,
        phone_proven_at: Some(onboarded_at),
        unproven_email: None,
        unproven_phone: None,
        first_name: "Mara".to_owned().try_into().because("a name")?,
        last_name: None,
        name_pronunciation: None,
        timezone: Zone::default(),
        day_start: DayStart::default(),
        held_day: None,
        locale: Default::default(),
        subscription_type: tier,
        subscription_status: SubscriptionStatus::Active,
        stripe_customer_id: None,
        stripe_subscription_id: None,
        company_id: None,
        track: Track::default(),
        weekly_goal: WeeklyGoal::default(),
        morning_window: Some(window("07:00", 120)?),
        evening_window: Some(window("18:00", 120)?),
        preferred_days: WeekdaySet::default(),
        communication_preference: CommunicationPreference::Calls,
        minimum_action: None,
        gift_frame: None,
        why_started: None,
        obstacles: Vec::new(),
        charity_id: None,
        status: UserStatus::Active,
        resumes_at: None,
        consents: Consents {
            calls: consent.clone(),
            messages: consent.clone(),
            data_processing: consent,
            ..Consents::default()
        },
        created_at: onboarded_at,
        updated_at: onboarded_at,
        onboarded_at: Some(onboarded_at),
        version: 1,
    })
}

impl Choices {
    fn new() -> Result<Self, Failure> {
        let zones = ZONES.iter().map(|(name, _)| name.parse().because("a zone")).collect::<Result<_, _>>()?;
        let mut windows = Vec::new();
        for (morning, _) in MORNINGS {
            for (evening, _) in EVENINGS {
                for (length, _) in LENGTHS {
                    windows.push((window(morning, length)?, window(evening, length)?));
                }
            }
        }
        let day = |names: &&[&str]| {
            let names = names.iter().map(|name| serde_json::from_value(serde_json::json!(name)));
            let names = names.collect::<Result<Vec<DayName>, _>>().because("a day")?;
            WeekdaySet::try_from(names).because("days")
        };
        let days = DAYS.iter().map(|(names, _)| day(names)).collect::<Result<_, _>>()?;
        Ok(Self { zones, windows, days })
    }
}

fn index_of<T: Copy>(choices: &[(T, u32)], number: u64) -> usize {
    let indices: Vec<(usize, u32)> = choices.iter().enumerate().map(|(index, (_, part))| (index, *part)).collect();
    choose(&indices, number)
}

impl Population {
    /// So many users, and the calls of the simulation's day; `only` makes them all of one tier.
    pub(crate) fn of(users: u32, only: Option<Tier>) -> Result<Self, Failure> {
        Self::on(DATE, users, only)
    }

    pub(crate) fn on(date: Date, users: u32, only: Option<Tier>) -> Result<Self, Failure> {
        let choices = Choices::new()?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = users.div_ceil(u32::try_from(threads).unwrap_or(1)).max(1);
        let parts = std::thread::scope(|scope| {
            let starts = (0..users).step_by(part as usize);
            let run = |from: u32| Self::part(&choices, date, from..users.min(from + part), only);
            let workers: Vec<_> = starts.map(|from| scope.spawn(move || run(from))).collect();
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let mut whole = Self { users, ..Self::default() };
        let mut shards = vec![0_u32; ZONES.len() * SHARDS];
        for part in parts {
            let (part, of_shard) = part.map_err(|_| Failure::new("planning panicked"))??;
            whole.calls.extend(part.calls);
            whole.messages += part.messages;
            whole.of_tier.iter_mut().zip(part.of_tier).for_each(|(all, one)| *all += one);
            whole.of_zone.iter_mut().zip(part.of_zone).for_each(|(all, one)| *all += one);
            shards.iter_mut().zip(of_shard).for_each(|(all, one)| *all += one);
        }
        whole.fullest_shard = shards.into_iter().max().unwrap_or_default();
        Ok(whole)
    }

    fn part(
        choices: &Choices,
        date: Date,
        users: std::ops::Range<u32>,
        only: Option<Tier>,
    ) -> Result<(Self, Vec<u32>), Failure> {
        let mut found = Self::default();
        let mut shards = vec![0_u32; ZONES.len() * SHARDS];
        let mut user = somebody(Tier::B2bSponsor)?;
        let history = CallHistory::DONE;
        for number in users {
            let mut seed = mixed(u64::from(number));
            let mut next = || {
                seed = mixed(seed);
                seed >> 16
            };
            user.id = UserId::derive(DATE, &["scale", &number.to_string()]);
            user.subscription_type = only.unwrap_or_else(|| choose(&TIERS, next()));
            let zone = index_of(&ZONES, next());
            user.timezone.clone_from(&choices.zones[zone]);
            let (morning, evening) = (index_of(&MORNINGS, next()), index_of(&EVENINGS, next()));
            let windows =
                &choices.windows[(morning * EVENINGS.len() + evening) * LENGTHS.len() + index_of(&LENGTHS, next())];
            (user.morning_window, user.evening_window) = (Some(windows.0), Some(windows.1));
            user.preferred_days = choices.days[index_of(&DAYS, next())];
            user.communication_preference = choose(&PREFERENCES, next());
            found.of_tier[tier_index(user.subscription_type)] += 1;
            found.of_zone[zone] += 1;
            let shard = usize::try_from(keys::shard_of(user.id)).unwrap_or_default();
            shards[zone * SHARDS + shard] += 1;
            for planned in calls_for(&user, date, &history) {
                if planned.channel == Channel::Message {
                    found.messages += 1;
                    continue;
                }
                let (opens_at, closes_at) = (planned.window.opens_at, planned.window.closes_at);
                found.calls.push(Due {
                    user: number,
                    zone: u8::try_from(zone).unwrap_or_default(),
                    tier: user.subscription_type,
                    evening: planned.call_type != ivy_domain::call::CallType::MorningPlanning,
                    due: planned.due_at.as_second(),
                    opens: opens_at.as_second(),
                    closes: closes_at.as_second(),
                });
            }
        }
        Ok((found, shards))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a handful of shards")]
const SHARDS: usize = keys::SHARDS as usize;

pub(crate) fn tier_index(tier: Tier) -> usize {
    Tier::ALL.iter().position(|one| *one == tier).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_hundred_are_hundred() {
        let sums = [
            ZONES.iter().map(|(_, part)| part).sum::<u32>(),
            TIERS.iter().map(|(_, part)| part).sum(),
            MORNINGS.iter().map(|(_, part)| part).sum(),
            EVENINGS.iter().map(|(_, part)| part).sum(),
            LENGTHS.iter().map(|(_, part)| part).sum(),
            PREFERENCES.iter().map(|(_, part)| part).sum(),
            DAYS.iter().map(|(_, part)| part).sum(),
        ];
        assert!(sums.iter().all(|sum| *sum == 100), "{sums:?}");
    }

    #[test]
    fn a_population_repeats_itself_and_its_calls_lie_in_their_windows() {
        let (one, again) = (Population::of(500, None).unwrap(), Population::of(500, None).unwrap());
        assert_eq!(one.calls, again.calls);
        assert_eq!(one.of_tier.iter().sum::<u32>(), 500);
        assert!(one.calls.len() > 300 && one.messages > 0);
        for call in &one.calls {
            assert!(call.opens <= call.due && call.due < (call.opens + call.closes) / 2 + 1, "{call:?}");
        }
        // Of 500 people 45 in a hundred live in London, on eight shards.
        assert!((20..60).contains(&one.fullest_shard), "{}", one.fullest_shard);
    }

    #[test]
    fn pro_has_one_call_on_its_middle_day_only() {
        let pro = Population::of(400, Some(Tier::B2cPro)).unwrap();
        // Every day: Thursday. The others' middle day is the Wednesday of the simulation.
        let share = pro.calls.len() * 100 / 400;
        assert!((40..60).contains(&share), "{share}");
    }
}
