//! Scale, by simulation: a day of planning and calling for a thousand, a hundred thousand and a million people.
//!
//! The rules are the real ones (`calls_for`, the call's state machine with its ladder), time is virtual, and the limits are those
//! that AWS and the providers publish. Three questions are answered for each size: how fast schedules are made and whether all are
//! there before the first call; how many calls miss their window for how many slots; and which partition of the table is hottest.
//! The cost of the day follows from the same counts.

pub(crate) mod day;
mod limits;
pub(crate) mod population;

use ivy_domain::Tier;
use jiff::{ToSpan as _, civil::Time, tz::TimeZone};

use self::{
    day::{Outcome, play},
    population::{DATE, Population, ZONES},
};
use crate::{
    failure::{Because as _, Failure},
    figures::{Table, brief, to_f64, wide},
    money::{Dollars, Till, Trigger},
    say,
};

const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
const SLOTS: [u32; 7] = [50, 100, 200, 1_000, 2_000, 10_000, 20_000];
/// Of a hundred calls, so many may miss their window before slots count as enough.
const ENOUGH_PERCENT: f64 = 0.1;
/// Of all people, in the largest company.
const LARGEST_COMPANY: f64 = 0.02;

/// Plays all sizes and prints what came of them.
///
/// # Errors
/// When the state machine refuses what it should not, or a file is missing.
pub(crate) fn run(sizes: &[u32]) -> Result<(), Failure> {
    let till = Till::open()?;
    let sizes = if sizes.is_empty() { &SIZES[..] } else { sizes };
    let mut planning = Table::new(&[
        "users",
        "calls",
        "peak plans/s",
        "DUE# shard WCU/s",
        "schedules/s we make",
        "all made after min",
        "at 250/s",
        "first call after min",
        "peak fires/s",
        "of 1,000/s",
    ]);
    let mut calling = Table::new(&[
        "users",
        "slots",
        "missed %",
        "lag p50 s",
        "lag p99 s",
        "most waiting",
        "asks in vain",
        "most slots held",
        "workers busy %",
        "SLOTS reads %",
        "AWS $ a user and day",
    ]);
    let mut hot = Table::new(&["users", "partition", "reads/s", "of 3,000", "writes/s", "of 1,000", "why"]);
    let mut costs =
        Table::new(&["users", "slots", "Lambda", "table", "around", "AWS", "providers", "$ a user and day"]);
    for &users in sizes {
        let population = Population::of(users, None)?;
        let plan = Planning::of(&population)?;
        let mut cells = vec![brief(f64::from(users)), brief(to_f64(population.calls.len()))];
        cells.extend(plan.cells());
        planning.row(cells);
        let outcomes = play_all(&population)?;
        let enough = enough(&outcomes);
        for (slots, outcome) in &outcomes {
            let load = Load::of(outcome, *slots);
            let dollars = cost(&till, &population, outcome, *slots)?.times(1.0 / f64::from(users));
            let mark = if enough == Some(*slots) { " ◀" } else { "" };
            calling.row([
                brief(f64::from(users)),
                format!("{slots}{mark}"),
                format!("{:.2}", outcome.missed_percent()),
                outcome.lag_p50.to_string(),
                outcome.lag_p99.to_string(),
                brief(f64::from(outcome.most_waiting)),
                brief(wide(outcome.polls)),
                outcome.most_slots.to_string(),
                format!("{:.0}", load.workers_percent),
                format!("{:.0}", load.slot_reads / limits::PARTITION_READS * 100.0),
                brief(dollars.aws()),
            ]);
        }
        let (slots, outcome) = outcomes
            .iter()
            .find(|(slots, _)| Some(*slots) == enough)
            .or_else(|| outcomes.last())
            .because("nothing was played")?;
        for row in hottest(&plan, outcome, *slots) {
            let mut cells = vec![brief(f64::from(users))];
            cells.extend(row);
            hot.row(cells);
        }
        let dollars = cost(&till, &population, outcome, *slots)?.times(1.0 / f64::from(users));
        costs.row([
            brief(f64::from(users)),
            slots.to_string(),
            brief(dollars.lambda),
            brief(dollars.table),
            brief(dollars.around),
            brief(dollars.aws()),
            brief(dollars.providers()),
            brief(dollars.total()),
        ]);
    }
    say(&format!("Planning the day\n\n{}", planning.text()));
    say(&format!(
        "Calling, by slots (◀ the fewest of these with at most {ENOUGH_PERCENT} % missed)\n\n{}",
        calling.text()
    ));
    say(&format!("Hottest partitions in the busiest minute, with slots enough\n\n{}", hot.text()));
    say(&format!("Cost of a user's day, prices of {}\n\n{}", till.prices.date, costs.text()));
    Ok(())
}

/// The numbers of slots to play a size with: the provider's default, and from a hundredth of the users to a twentieth.
fn slots_for(users: u32) -> Vec<u32> {
    let likely = SLOTS.into_iter().filter(|slots| (users / 100..=users / 20).contains(slots));
    std::iter::once(limits::DEFAULT_SLOTS).chain(likely).collect()
}

/// The day with each number of slots, as many at once as there are processors, until there are slots enough.
fn play_all(population: &Population) -> Result<Vec<(u32, Outcome)>, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes = Vec::new();
    for some in slots_for(population.users).chunks(threads) {
        let played = std::thread::scope(|scope| {
            let workers: Vec<_> = some.iter().map(|slots| scope.spawn(|| play(&population.calls, *slots))).collect();
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        for (slots, outcome) in some.iter().zip(played) {
            outcomes.push((*slots, outcome.map_err(|_| Failure::new("the day panicked"))??));
        }
        if enough(&outcomes).is_some() {
            break;
        }
    }
    Ok(outcomes)
}

fn enough(outcomes: &[(u32, Outcome)]) -> Option<u32> {
    outcomes.iter().find(|(_, outcome)| outcome.missed_percent() <= ENOUGH_PERCENT).map(|(slots, _)| *slots)
}

/// How fast a day is planned: jobs, pages, transactions, the stream, the scheduler.
#[derive(Debug, Clone, Default)]
struct Planning {
    /// Calls written in the busiest second.
    peak_calls: f64,
    /// Schedules that `publish-outbox` makes a second at most.
    makes: f64,
    /// Seconds after the beginning of the fullest zone's day until its schedules are there: with our own pace, and with 250 a second.
    made_after: f64,
    made_after_other: f64,
    /// Seconds after the beginning of a zone's day until its first call.
    first_call: f64,
    peak_fires: f64,
    /// Pages of the fullest shard read in a second.
    pages: f64,
}

impl Planning {
    fn of(population: &Population) -> Result<Self, Failure> {
        let users = f64::from(population.users).max(1.0);
        let per_user = to_f64(population.calls.len()) / users;
        let fullest = f64::from(population.of_zone.iter().copied().max().unwrap_or_default());
        // A page is worked off user by user: a read, and a transaction for each call.
        let page_seconds = limits::PAGE * per_user * limits::TRANSACTION_SECONDS + 2.0 * limits::TABLE_SECONDS;
        // Each shard's pages follow each other; pollers grow with time.
        let shards = wide(ivy_store::keys::SHARDS);
        let chain = shards * limits::PAGE / limits::NEXT_PAGE_SECONDS;
        let (mut planned, mut second, mut peak) = (0.0, 0.0_f64, 0.0_f64);
        while planned < fullest && second < 86_400.0 {
            let pollers = (limits::POLLERS_AT_FIRST + limits::POLLERS_A_SECOND * second).min(limits::MOST_POLLERS);
            let now = chain.min(pollers * limits::PAGE / page_seconds).min(fullest - planned);
            planned += now;
            peak = peak.max(now);
            second += 1.0;
        }
        let makes = (limits::STREAM_BATCHES / limits::CREATE_SCHEDULE_SECONDS).min(limits::CREATES_PRIMARY);
        let schedules = fullest * per_user;
        let mut per_second = std::collections::HashMap::<i64, u32>::new();
        for call in &population.calls {
            *per_second.entry(call.due).or_default() += 1;
        }
        Ok(Self {
            peak_calls: peak * per_user,
            makes,
            made_after: second.max(schedules / makes),
            made_after_other: second.max(schedules / limits::CREATES_OTHER),
            first_call: first_call(population)?,
            peak_fires: f64::from(per_second.values().copied().max().unwrap_or_default()),
            pages: (1.0 / limits::NEXT_PAGE_SECONDS).min(f64::from(population.fullest_shard) / limits::PAGE),
        })
    }

    fn cells(&self) -> [String; 8] {
        [
            brief(self.peak_calls),
            brief(self.peak_calls / wide(ivy_store::keys::SHARDS)),
            brief(self.makes),
            brief(self.made_after / 60.0),
            brief(self.made_after_other / 60.0),
            brief(self.first_call / 60.0),
            brief(self.peak_fires),
            format!("{:.0} %", self.peak_fires / limits::INVOCATIONS * 100.0),
        ]
    }
}

/// The least time from the beginning of a zone's day to one of its calls, in seconds.
fn first_call(population: &Population) -> Result<f64, Failure> {
    let mut begins = Vec::new();
    for (name, _) in ZONES {
        let zone = TimeZone::get(name).because("a zone")?;
        let begin = zone.to_timestamp(DATE.to_datetime(Time::constant(3, 0, 0, 0))).because("a day's beginning")?;
        begins.push(begin.as_second());
    }
    let least = population.calls.iter().filter_map(|call| Some(call.due - begins.get(usize::from(call.zone))?)).min();
    Ok(least.map_or(0.0, |seconds| wide(u64::try_from(seconds).unwrap_or_default())))
}

/// What the busiest minute asks of what all calls share.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    /// Of `place-call`'s workers, in a hundred.
    workers_percent: f64,
    /// Read and write units a second of the one partition that holds the slots.
    slot_reads: f64,
    slot_writes: f64,
}

impl Load {
    fn of(outcome: &Outcome, slots: u32) -> Self {
        let mut worst = Self::default();
        for minute in outcome.minutes.values() {
            let dials = f64::from(minute.dials) / 60.0;
            let asks = f64::from(minute.waiting) / wide(limits::NO_SLOT_SECONDS.unsigned_abs());
            let busy = dials * limits::DIAL_SECONDS + asks * limits::POLL_SECONDS;
            let held = f64::from(minute.slots).min(f64::from(slots));
            // Every dial and every ask reads all slots that are held.
            let reads = (held * limits::SLOT_BYTES / 4096.0).ceil().max(1.0);
            worst.workers_percent = worst.workers_percent.max(busy / limits::PLACE_CALL_WORKERS * 100.0);
            worst.slot_reads = worst.slot_reads.max((dials + asks) * reads);
            // Taken in a transaction, given back by itself.
            worst.slot_writes = worst.slot_writes.max(dials * 2.0 + f64::from(minute.ends) / 60.0);
        }
        worst
    }
}

/// Partition, reads a second and of the limit, writes a second and of the limit, and why.
fn hottest(plan: &Planning, outcome: &Outcome, slots: u32) -> Vec<Vec<String>> {
    let load = Load::of(outcome, slots);
    let per_minute = |count: u32| f64::from(count) / 60.0;
    let shards = wide(ivy_store::keys::SHARDS);
    // A plan puts an item into the index; each of four changes of an attempt moves it: claimed, accepted, connected, ended.
    let due_writes = (plan.peak_calls / shards).max(per_minute(outcome.peak(|m| m.dials)) * 7.0 / shards);
    // Talks that log something, in the busiest minute.
    let logged = per_minute(outcome.peak(|m| m.completed)) * 0.6;
    let row = |name: &str, reads: f64, writes: f64, why: &str| {
        let percent = |value: f64, limit: f64| format!("{:.0} %", value / limit * 100.0);
        let (of_reads, of_writes) =
            (percent(reads, limits::PARTITION_READS), percent(writes, limits::PARTITION_WRITES));
        [name.to_owned(), brief(reads), of_reads, brief(writes), of_writes, why.to_owned()].to_vec()
    };
    vec![
        row("SLOTS", load.slot_reads, load.slot_writes, "each dial reads every slot that is held"),
        row("DUE#<shard> (gsi1)", 0.0, due_writes, "planning writes a zone's calls at once"),
        row("TZ#<zone>#<shard> (gsi2)", plan.pages * 0.5, 0.0, "pages of 25"),
        row("CHARITY#<default>", 0.0, logged * 2.0, "shards by sort key are one partition until it splits"),
        row("COMPANY#<largest>", 0.0, logged * LARGEST_COMPANY * 2.0, "a fiftieth of all people"),
    ]
}

/// What the day costs, everything together.
fn cost(till: &Till, population: &Population, outcome: &Outcome, slots: u32) -> Result<Dollars, Failure> {
    let usage = |name: &str| till.prices.usage(name);
    let (retell, sender) = (usage("retell_milliseconds")?, usage("message_provider_milliseconds")?);
    let users = f64::from(population.users);
    let mut sum = Dollars::default();
    let mut add = |dollars: Dollars, count: f64| sum += dollars.times(count);
    // Planning: a page's query and a profile's read for each user, a transaction and a schedule for each call.
    let shards = wide(ivy_store::keys::SHARDS);
    let pages = (users / limits::PAGE).max(shards * to_f64(ZONES.len()));
    add(till.run("plan-users", (0.5, 0.0, 2.0), Trigger::Queue, 0.0)?, pages);
    let calls = wide(outcome.calls);
    let plan = till.run("plan-users", (0.0, 5.0, 1.0), Trigger::Stream, 0.0)?;
    // The run itself is the page's; a call adds its transaction.
    add(Dollars { around: 0.0, ..plan }, calls);
    add(Dollars { table: till.prices.aws("dynamodb_read_unit")?, ..Dollars::default() }, users);
    add(till.flow("publish-outbox", "an effect", Trigger::Stream, 20.0)?, calls + wide(outcome.retries));
    // Asking for a slot in vain: the batch, the slots, and a write that moves the call in its index.
    let slot_reads = (f64::from(outcome.most_slots.min(slots)) * limits::SLOT_BYTES / 4096.0).ceil().max(1.0);
    add(till.run("place-call", (6.0 + slot_reads, 4.0, 3.0), Trigger::Queue, 0.0)?, wide(outcome.polls));
    let (read, write, round_trips) = till.units("place-call", "due")?;
    let dial = till.run("place-call", (read + slot_reads - 1.0, write, round_trips), Trigger::Schedule, retell)?;
    add(dial, wide(outcome.attempts));
    add(till.flow("retell-webhook", "call_started", Trigger::Api, 0.0)?, wide(outcome.connected));
    add(till.flow("retell-webhook", "call_ended", Trigger::Api, 0.0)?, wide(outcome.attempts));
    add(till.flow("retell-webhook", "call_analyzed", Trigger::Api, 0.0)?, wide(outcome.connected));
    // A confirmation after each talk, and what follows a miss.
    let messages = wide(outcome.completed + outcome.follow_ups);
    add(till.flow("publish-outbox", "an effect", Trigger::Stream, 10.0)?, messages);
    add(till.flow("send-message-worker", "by WhatsApp", Trigger::Queue, sender)?, messages);
    add(till.flow("whatsapp-webhook", "status", Trigger::Api, 0.0)?, messages * 3.0);
    for function in ["get-stats", "get-user"] {
        let requests = usage("app_requests_per_day")? / 3.0;
        add(till.flow(function, "own", Trigger::Api, 0.0)?, users * requests);
    }
    add(till.flow("todays-workouts", "own", Trigger::Api, 0.0)?, users * usage("app_requests_per_day")? / 3.0);
    let minutes = wide(outcome.talk_seconds + outcome.voicemail_seconds) / 60.0;
    let sms = usage("sms_share_of_messages")?;
    let message = till.prices.provider("whatsapp_template")? * (1.0 - sms) + till.prices.provider("sms")? * sms;
    let voice = till.prices.provider("retell_minute")? + till.prices.provider("telephony_minute")?;
    add(Dollars { voice: voice * minutes, messages: message * messages, ..Dollars::default() }, 1.0);
    // The sweep and the hourly jobs run whatever there is to do.
    add(till.flow("sweep-calls", "nothing late", Trigger::Stream, 0.0)?, 288.0);
    add(till.flow("plan-day", "full hour", Trigger::Stream, 0.0)?, 48.0);
    Ok(sum)
}

/// What a tier's people cost where slots are no matter.
#[derive(Debug, Clone)]
pub(crate) struct Tiered {
    /// A person's day without any call.
    pub(crate) a_day: Dollars,
    pub(crate) a_call: Dollars,
    /// Completed check-ins of a planned call, its retries included.
    pub(crate) completed: f64,
    pub(crate) attempts: f64,
    pub(crate) calls_a_week: f64,
}

/// A day of a tier's people for what a call costs, and a week of its plans for how many there are.
pub(crate) fn tiered(till: &Till, tier: Tier) -> Result<Tiered, Failure> {
    const PEOPLE: u32 = 20_000;
    const PLANNED: u32 = 2_000;
    let population = Population::of(PEOPLE, Some(tier))?;
    let outcome = play(&population.calls, PEOPLE * 2)?;
    let calls = wide(outcome.calls).max(1.0);
    let nothing = cost(till, &population, &Outcome::default(), 1)?;
    let mut of_calls = cost(till, &population, &outcome, outcome.most_slots)?;
    of_calls += nothing.times(-1.0);
    let mut planned = 0;
    for day in 0..7 {
        let monday = DATE.saturating_sub(2.days());
        planned += Population::on(monday.saturating_add(day.days()), PLANNED, Some(tier))?.calls.len();
    }
    Ok(Tiered {
        a_day: nothing.times(1.0 / f64::from(PEOPLE)),
        a_call: of_calls.times(1.0 / calls),
        completed: wide(outcome.completed) / calls,
        attempts: wide(outcome.attempts) / calls,
        calls_a_week: to_f64(planned) / f64::from(PLANNED),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planning_is_bound_by_the_pages_and_schedules_by_the_scheduler() {
        let few = Planning::of(&Population::of(1_000, None).unwrap()).unwrap();
        let more = Planning::of(&Population::of(30_000, None).unwrap()).unwrap();
        assert!(few.made_after < more.made_after && more.made_after < more.made_after_other);
        assert!(more.peak_calls > few.peak_calls);
        // Windows open at 06:30 at the earliest, days begin at 03:00.
        assert!(few.first_call >= 12_600.0, "{}", few.first_call);
        assert!((few.makes - 800.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_slots_partition_is_read_with_every_dial() {
        let mut outcome = Outcome::default();
        let minute = day::Minute { dials: 600, ends: 600, slots: 4_000, waiting: 0, ..day::Minute::default() };
        outcome.minutes.insert(0, minute);
        let load = Load::of(&outcome, 5_000);
        // 4,000 slots of 170 bytes are 167 read units, ten times a second.
        assert!((load.slot_reads - 1_670.0).abs() < 1.0, "{load:?}");
        assert!((load.slot_writes - 30.0).abs() < f64::EPSILON);
        assert!((load.workers_percent - 37.5).abs() < 0.1, "{load:?}");
    }

    #[test]
    fn a_day_with_few_slots_costs_more_for_asking_and_less_for_talking() {
        let till = Till::open().unwrap();
        let population = Population::of(3_000, None).unwrap();
        let of = |slots| {
            let outcome = play(&population.calls, slots).unwrap();
            (cost(&till, &population, &outcome, slots).unwrap(), outcome)
        };
        let ((few, starved), (ample, fed)) = (of(20), of(6_000));
        assert!(starved.polls > 0 && fed.polls == 0);
        assert!(few.voice < ample.voice && few.table > 0.0);
        assert!(few.aws() > 0.0 && ample.total() > ample.aws());
    }
}
