//! What Python's zoneinfo answered, read from `zones.txt`; `README.md` says what its lines mean.
//!
//! The reader keeps no rule of its own: it turns the minutes of a line into instants, and that is all.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

const TEXT: &str = include_str!("zones.txt");
/// The first of the years that are hashed.
pub(crate) const FIRST_YEAR: i16 = 2020;

pub(crate) struct Fixture {
    /// The local times of each `day` line, after the day's start.
    pub(crate) times: Vec<Time>,
    pub(crate) groups: Vec<Group>,
    /// Older jumps, each left a date out or repeated hours around the day's start.
    pub(crate) past: Vec<Group>,
}

/// Zones whose clocks agreed at every instant asked about.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) zones: Vec<&'static str>,
    /// For each year, a hash of every date's instants.
    pub(crate) years: Vec<u64>,
    /// The same of every third date, from 1 January on.
    pub(crate) thirds: Vec<u64>,
    pub(crate) jumps: Vec<Jump>,
}

/// A jump of the clocks and the days around it.
pub(crate) struct Jump {
    pub(crate) at: Timestamp,
    pub(crate) days: Vec<Day>,
    /// Each full hour, in UTC, with the local day that it belongs to.
    pub(crate) hours: Vec<(Timestamp, Date)>,
    /// Where quiet hours begin (`true`) or end, from before the first of `hours` to after the last.
    pub(crate) quiet: Vec<(Timestamp, bool)>,
}

pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) exists: bool,
    pub(crate) start: Timestamp,
    /// The instants of the fixture's times on this local day.
    pub(crate) instants: Vec<Timestamp>,
}

impl Fixture {
    pub(crate) fn read() -> Self {
        let mut fixture = Self { times: Vec::new(), groups: Vec::new(), past: Vec::new() };
        let mut past = false;
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap();
            let parts = || rest.split(' ');
            match word {
                "times" => fixture.times = parts().map(|time| time.parse().unwrap()).collect(),
                "zones" | "past" => {
                    past = word == "past";
                    let group = Group { zones: parts().collect(), ..Group::default() };
                    fixture.list(past).push(group);
                }
                "years" => fixture.last(past).years = parts().map(hash).collect(),
                "thirds" => fixture.last(past).thirds = parts().map(hash).collect(),
                "jump" => {
                    let at = parts().next().unwrap().replace('Z', ":00Z").parse().unwrap();
                    let jump = Jump { at, days: Vec::new(), hours: Vec::new(), quiet: Vec::new() };
                    fixture.last(past).jumps.push(jump);
                }
                "day" | "none" => fixture.last_jump(past).days.push(day(rest, word == "day")),
                "hours" => fixture.last_jump(past).hours = hours(rest),
                "quiet" | "awake" => {
                    let jump = fixture.last_jump(past);
                    let first = jump.hours[0].0;
                    let states = [word == "quiet", word != "quiet"].into_iter().cycle();
                    jump.quiet = parts().map(|part| first + minutes(part)).zip(states).collect();
                }
                _ => panic!("zones.txt has an unknown line: {line}"),
            }
        }
        fixture
    }

    fn list(&mut self, past: bool) -> &mut Vec<Group> {
        if past { &mut self.past } else { &mut self.groups }
    }

    fn last(&mut self, past: bool) -> &mut Group {
        self.list(past).last_mut().unwrap()
    }

    fn last_jump(&mut self, past: bool) -> &mut Jump {
        self.last(past).jumps.last_mut().unwrap()
    }

    /// Every jump with each zone that has it, and the zone's place among those of the same lines.
    pub(crate) fn jumps(&self) -> impl Iterator<Item = (&'static str, usize, &Jump)> {
        self.groups.iter().chain(&self.past).flat_map(|group| {
            let zones = group.zones.iter().enumerate();
            zones.flat_map(|(place, zone)| group.jumps.iter().map(move |jump| (*zone, place, jump)))
        })
    }
}

fn hash(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

fn minutes(text: &str) -> SignedDuration {
    SignedDuration::from_mins(text.parse().unwrap())
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn day(rest: &str, exists: bool) -> Day {
    let mut parts = rest.split(' ');
    let date = parts.next().unwrap().parse().unwrap();
    let mut instants = parts.map(|part| midnight(date) + minutes(part));
    Day { date, exists, start: instants.next().unwrap(), instants: instants.collect() }
}

/// `2026-03-28 27x3 28x24`: three hours from midnight UTC belong to the 27th, then 24 to the 28th.
fn hours(rest: &str) -> Vec<(Timestamp, Date)> {
    let mut parts = rest.split(' ');
    let first: Date = parts.next().unwrap().parse().unwrap();
    let named = |number: &str| {
        let number: i8 = number.parse().unwrap();
        (-3..=6).map(|days| ivy_domain::days::plus_days(first, days)).find(|date| date.day() == number).unwrap()
    };
    let dates = parts.flat_map(|run| {
        let (number, count) = run.split_once('x').unwrap();
        std::iter::repeat_n(named(number), count.parse().unwrap())
    });
    (0..).map(|hour| midnight(first) + SignedDuration::from_hours(hour)).zip(dates).collect()
}
