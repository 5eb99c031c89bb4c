//! What a message says of the workout: the outcome over its clauses.

use super::{
    Intent, TABLES,
    normalise::Clause,
    pattern::{Span, Table, is_number},
    words,
};
use crate::times::clock_digits;

/// What a clause says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Did { whole: bool },
    Part,
    DidNot { of_a_part: bool },
    NotYet,
    Rest,
}

/// What a clause says, beyond that, of the person and the time.
#[derive(Debug, Default)]
struct Reading {
    mark: Option<Mark>,
    struggles: bool,
    urges: bool,
    /// A time to come is named, or a move asked for.
    timed: bool,
    /// It is asked for ("can we", "move it").
    asked: bool,
    underway: bool,
    /// Yes, no, or an emoji to that effect: counts where nothing else does.
    hint: Option<Mark>,
    reason: bool,
}

/// The outcome of a message that is not about the service.
pub(super) fn outcome(clauses: &[Clause]) -> Intent {
    let readings: Vec<Reading> = clauses.iter().map(read).collect();
    let decisive: Vec<&Reading> = {
        let stated: Vec<&Reading> = readings.iter().filter(|r| r.mark.is_some() && !r.reason).collect();
        if stated.is_empty() { readings.iter().filter(|r| r.mark.is_some()).collect() } else { stated }
    };
    let marks: Vec<Mark> = decisive.iter().filter_map(|reading| reading.mark).collect();
    let timed = readings.iter().any(|reading| reading.timed);
    let struggles = readings.iter().any(|reading| reading.struggles);
    // "I'm done. I give up" is no report.
    let only_done = |words: &[String]| words.iter().all(|word| matches!(word.as_str(), "i" | "am" | "done"));
    let despairs = clauses.iter().zip(&readings).all(|(clause, reading)| reading.urges || only_done(&clause.words));
    if despairs && readings.iter().any(|reading| reading.urges) {
        return Intent::Help;
    }
    if readings.iter().any(|reading| reading.urges) && !marks.iter().any(|m| matches!(m, Mark::Did { .. } | Mark::Part))
    {
        return if timed { Intent::Reschedule } else { Intent::Help };
    }
    match settle(&marks) {
        Some(Mark::Did { .. }) => Intent::Done,
        Some(Mark::DidNot { .. }) if quitting_was_denied(clauses) => Intent::Done,
        Some(Mark::Part) => Intent::Partial,
        Some(Mark::NotYet) => Intent::Reschedule,
        Some(Mark::Rest) => Intent::Rest,
        Some(Mark::DidNot { .. }) => {
            if put_off(&readings) {
                Intent::Reschedule
            } else {
                Intent::Skip
            }
        }
        None if timed => Intent::Reschedule,
        None if readings.iter().any(|reading| reading.underway) => {
            if struggles {
                Intent::Help
            } else {
                Intent::Other
            }
        }
        None => match readings.iter().filter_map(|reading| reading.hint).next_back() {
            Some(Mark::DidNot { .. }) => Intent::Skip,
            Some(Mark::Did { .. }) => Intent::Done,
            _ if struggles => Intent::Help,
            _ => Intent::Other,
        },
    }
}

/// Whether a refusal comes with another time: named with it or after it, or asked for before it. What is named before is a
/// reason ("too tired after work, so I didn't").
fn put_off(readings: &[Reading]) -> bool {
    let refused = readings.iter().rposition(|reading| matches!(reading.mark, Some(Mark::DidNot { .. }))).unwrap_or(0);
    readings.iter().enumerate().any(|(at, reading)| reading.timed && (at >= refused || reading.asked))
}

/// "Was going to skip but didn't": two denials.
fn quitting_was_denied(clauses: &[Clause]) -> bool {
    clauses.windows(2).any(|pair| {
        let denial = matches!(
            pair[1].words.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
            ["did", "not"] | ["i", "did", "not"]
        );
        let words = &pair[0].words;
        denial
            && (TABLES.urge.matches(words)
                || words.iter().any(|word| matches!(word.as_str(), "skip" | "bail" | "quit")))
    })
}

/// One mark of many: the last decides, with what a part and the whole of it change about that.
fn settle(marks: &[Mark]) -> Option<Mark> {
    let last = *marks.last()?;
    let before = &marks[..marks.len() - 1];
    let parted = before.iter().rposition(|mark| *mark == Mark::Part);
    let did = before.iter().any(|mark| matches!(mark, Mark::Did { .. }));
    Some(match last {
        Mark::Part if before.contains(&Mark::Rest) => Mark::Rest,
        Mark::Did { whole: true } => last,
        Mark::Did { whole: false } if parted.is_some() => Mark::Part,
        // "Skipped the run but did the stretches."
        Mark::Did { whole: false } if before.contains(&Mark::DidNot { of_a_part: true }) => Mark::Part,
        // "Did upper body, skipped the legs."
        Mark::DidNot { of_a_part: true } if did => Mark::Part,
        Mark::DidNot { .. } | Mark::NotYet if parted.is_some() => Mark::Part,
        Mark::DidNot { .. } | Mark::NotYet if before.contains(&Mark::Rest) => Mark::Rest,
        last => last,
    })
}

/// Whether any clause reports an outcome.
pub(super) fn reports(clauses: &[Clause]) -> bool {
    clauses.iter().any(|clause| read(clause).mark.is_some())
}

/// Whether any clause says that something was done, or a part of it.
pub(super) fn did(clauses: &[Clause]) -> bool {
    clauses.iter().any(|clause| matches!(read(clause).mark, Some(Mark::Did { .. } | Mark::Part)))
}

/// Whether a clause outside those that `table` knows reports an outcome.
pub(super) fn reports_outside(clauses: &[Clause], table: &Table) -> bool {
    clauses.iter().any(|clause| !table.matches(&clause.words) && read(clause).mark.is_some())
}

/// Whether a clause is a plain "no".
pub(super) fn says_no(clauses: &[Clause]) -> bool {
    clauses.iter().any(|clause| matches!(clause.words.as_slice(), [word] if words::NO.contains(&word.as_str())))
}

/// The places in a clause that say something, before it is weighed what they say together.
struct Spans {
    urges: Vec<Span>,
    parts: Vec<Span>,
    refusals: Vec<Span>,
    rests: Vec<Span>,
    not_yet: bool,
    /// `3/4`.
    fraction: bool,
}

/// What came of the reports of doing: where the last that stands is, and the last that is denied.
#[derive(Default)]
struct Deeds {
    did: Option<usize>,
    undone: Option<usize>,
    nearly: bool,
    ahead: bool,
}

fn read(clause: &Clause) -> Reading {
    let tables = &*TABLES;
    let urges = tables.urge.find_all(&clause.words);
    let mut reading = Reading { reason: clause.reason, urges: !urges.is_empty(), ..Reading::default() };
    if tables.hypothetical.matches(&clause.words)
        || (!reading.urges && tables.question.matches(&clause.words) && !tables.request.matches(&clause.words))
    {
        return reading;
    }
    let mut words = clause.words.clone();
    let quitting_denied = tables.denied_quitting.find_all(&words);
    for span in &quitting_denied {
        words[span.from..span.to].iter_mut().for_each(|word| "·".clone_into(word));
    }
    let words = words.as_slice();
    reading.struggles = reading.urges || tables.struggle.matches(words);
    reading.underway = tables.underway.matches(words);

    let spans = spans(words, urges);
    let mut deeds = deeds(words, &spans, clause.asked);
    let counted = counts(words) && !deeds.ahead && !reading.underway;
    let only_counted = deeds.did.is_none() && deeds.undone.is_none() && counted && !clause.asked;
    if only_counted {
        deeds.did = Some(0);
    }
    let whole = whole(words, &spans);
    reading.mark = mark(words, &spans, &deeds, whole);
    if reading.underway && matches!(reading.mark, Some(Mark::Did { whole: false } | Mark::Part)) {
        reading.mark = None;
    }
    let claimed: Vec<Span> = match reading.mark {
        Some(Mark::NotYet) => Vec::new(),
        _ => [spans.refusals, spans.parts, spans.rests].concat(),
    };
    reading.asked = tables.request.matches(words) || tables.moves.matches(words);
    reading.timed = names_a_time(words, reading.mark, &claimed);
    let denies_quitting = (!quitting_denied.is_empty()).then_some(Mark::Did { whole: false });
    reading.hint = hint(words, reading.struggles).or(denies_quitting);
    reading
}

fn spans(words: &[String], urges: Vec<Span>) -> Spans {
    let tables = &*TABLES;
    let mut parts = tables.part.find_all(words);
    parts.retain(|span| !left(words, *span, words::PART_AHEAD));
    let theirs = |span: &Span| {
        let subject = span.from.checked_sub(1).and_then(|at| words.get(at));
        subject.is_some_and(|word| words::OTHERS.contains(&word.as_str()))
    };
    let mut refusals = if urges.is_empty() { tables.did_not.find_all(words) } else { Vec::new() };
    refusals.retain(|span| !theirs(span));
    let mut rests = tables.rest.find_all(words);
    rests.retain(|span| !closely_denied(words, *span));
    Spans {
        urges,
        parts,
        refusals,
        rests,
        not_yet: tables.not_yet.matches(words),
        fraction: words.iter().any(|word| is_fraction(word)),
    }
}

/// Weighs every report of doing against what stands to its left.
fn deeds(words: &[String], spans: &Spans, asked: bool) -> Deeds {
    let claimed = || spans.refusals.iter().chain(&spans.rests).chain(&spans.urges);
    let mut deeds = Deeds { undone: spans.refusals.iter().map(|span| span.from).max(), ..Deeds::default() };
    for span in TABLES.did.find_all(words) {
        let before = &words[..span.from];
        // "Done eating", "finished cooking".
        let of_another_thing = span.to == span.from + 1
            && words
                .get(span.to)
                .is_some_and(|next| next.ends_with("ing") && !words::class("act").contains(&next.as_str()));
        let of_another_person =
            before.last().is_some_and(|word| words::NOT_MINE.contains(&word.as_str())) && words[span.from] != "back";
        if of_another_thing || of_another_person || claimed().any(|other| span.from < other.to && other.from < span.to)
        {
            continue;
        }
        if denied(words, span) {
            deeds.undone = deeds.undone.max(Some(span.from));
        } else if near(before) {
            deeds.nearly |=
                before.iter().rev().take(2).any(|word| matches!(word.as_str(), "half" | "nearly" | "almost" | "casi"));
            deeds.ahead = true;
        } else if left(words, span, words::AHEAD) {
            deeds.ahead = true;
        } else if !asked || words.len() > 3 {
            deeds.did = deeds.did.max(Some(span.from));
        }
    }
    deeds
}

/// Whether the whole of it is said to be done: "finished half of it" is half, "did half, then did the lot" is the lot.
fn whole(words: &[String], spans: &Spans) -> bool {
    let last_part = spans.parts.iter().map(|span| span.from).max();
    TABLES.whole_of_it.find_all(words).into_iter().any(|span| {
        last_part.is_none_or(|at| span.from >= at)
            && !denied(words, span)
            && !left(words, span, words::AHEAD)
            && !near(&words[..span.from])
    })
}

fn mark(words: &[String], spans: &Spans, deeds: &Deeds, whole: bool) -> Option<Mark> {
    if spans.not_yet && deeds.did.is_none() {
        return Some(Mark::NotYet);
    }
    if !spans.parts.is_empty() || deeds.nearly || spans.fraction {
        let other_half = words.windows(2).any(|pair| pair[0] == "other" && pair[1] == "half");
        let made_whole = whole && (deeds.did.is_some() || other_half);
        return Some(if made_whole { Mark::Did { whole } } else { Mark::Part });
    }
    match (deeds.did, deeds.undone) {
        (Some(did), Some(undone)) if did < undone => Some(refusal(words, undone)),
        (Some(_), _) => Some(Mark::Did { whole }),
        (None, Some(at)) if spans.rests.is_empty() => Some(refusal(words, at)),
        (None, Some(_)) => Some(Mark::Rest),
        (None, None) => (!spans.rests.is_empty() && !ahead_of(words, &spans.rests)).then_some(Mark::Rest),
    }
}

/// Rest that is only wanted or asked about.
fn ahead_of(words: &[String], rests: &[Span]) -> bool {
    rests.iter().all(|span| words[..span.from].iter().any(|word| word == "if" || word == "what"))
}

fn refusal(words: &[String], at: usize) -> Mark {
    // A thing named, and not "it" or "today": only that part was left out.
    let of_a_part = words.iter().skip(at).any(|word| words::class("act").contains(&word.as_str()));
    Mark::DidNot { of_a_part }
}

/// How far to the left what denies or defers a report may stand.
const SCOPE: usize = 7;

fn left(words: &[String], span: Span, list: &[&str]) -> bool {
    words[span.from.saturating_sub(SCOPE)..span.from].iter().any(|word| list.contains(&word.as_str()))
}

fn denied(words: &[String], span: Span) -> bool {
    let from = span.from.saturating_sub(SCOPE);
    words[from..span.from].iter().enumerate().any(|(offset, word)| {
        let answers =
            word == "no" && from + offset == 0 && words.get(1).is_some_and(|next| matches!(next.as_str(), "i" | "we"));
        words::DENIES.contains(&word.as_str()) && !answers
    })
}

/// "Not a rest day", "no rest".
fn closely_denied(words: &[String], span: Span) -> bool {
    words[span.from.saturating_sub(2)..span.from].iter().any(|word| words::DENIES.contains(&word.as_str()))
}

/// "To be", "get it", "nearly", directly before.
fn near(before: &[String]) -> bool {
    // "So done with this", "kind of did it".
    let hedge = |pair: &[String]| matches!(pair[0].as_str(), "kind" | "sort") && pair[1] == "of";
    if before.last().is_some_and(|word| word == "so") || before.last_chunk::<2>().is_some_and(|pair| hedge(pair)) {
        return true;
    }
    before.iter().rev().take(2).any(|word| words::NEAR.contains(&word.as_str()))
}

/// `30 minute yoga`, `5 k`, `20 pushups`: an amount of something that people set out to do, or the thing with a ✅.
fn counts(words: &[String]) -> bool {
    let feat = |word: &String| words::class("feat").contains(&word.as_str());
    let unit = |word: &String| words::class("unit").contains(&word.as_str());
    let amount = words.iter().enumerate().any(|(at, word)| {
        is_number(word)
            && words.get(at + 1).is_some_and(|next| {
                feat(next) || (unit(next) && words.iter().any(feat)) || words.get(at + 2).is_some_and(feat)
            })
    });
    let emoji = |word: &String| word == "emojidone" || word == "emojitick";
    // "30 minute on the rower", "2 hour of tennis"; but "in 30 minute at the gym" is to come.
    let spell = words.iter().enumerate().any(|(at, word)| {
        is_number(word)
            && matches!(words.get(at + 1).map(String::as_str), Some("minute" | "hour"))
            && matches!(words.get(at + 2).map(String::as_str), Some("of" | "on" | "with"))
            && at
                .checked_sub(1)
                .and_then(|before| words.get(before))
                .is_none_or(|before| before != "in" && before != "me")
    });
    let sport =
        words.iter().any(|word| feat(word) || words::class("act").contains(&word.as_str())) && words.iter().any(emoji);
    amount || spell || sport || past_of_an_activity(words)
}

/// "Battled through my session", "loved the swim": a past form that no table has, and after it what people set out to do.
fn past_of_an_activity(words: &[String]) -> bool {
    let past = |word: &String| word.len() > 4 && word.ends_with("ed") && !words::NO_DEED.contains(&word.as_str());
    words.iter().position(past).is_some_and(|at| {
        !words[..at]
            .iter()
            .any(|word| words::DENIES.contains(&word.as_str()) || words::NOT_MINE.contains(&word.as_str()))
            && words[at..].iter().take(5).any(|word| words::class("feat").contains(&word.as_str()))
    })
}

/// `3/4`, `2/5`: less than the whole, and no score out of ten.
fn is_fraction(word: &str) -> bool {
    let parts = word.split_once('/').and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse::<u32>().ok()?)));
    parts.is_some_and(|(part, whole)| part < whole && whole != 10)
}

fn names_a_time(words: &[String], mark: Option<Mark>, claimed: &[Span]) -> bool {
    let tables = &*TABLES;
    let free = |span: &Span| {
        !claimed.iter().any(|other| span.from < other.to && other.from < span.to)
            && span.from.checked_sub(1).and_then(|at| words.get(at)).is_none_or(|word| word != "not" && word != "no")
    };
    let mut times: Vec<Span> = tables.when.find_all(words);
    // "7.30" by itself is a time; beside other words it may be a distance.
    let is_time = |word: &str| word.contains(':') || (words.len() == 1 && clock_digits(word).is_some());
    times.extend(
        words.iter().enumerate().filter(|(_, word)| is_time(word)).map(|(at, _)| Span { from: at, to: at + 1 }),
    );
    times.retain(free);
    let moves = tables.moves.find_all(words).iter().any(free);
    match mark {
        Some(Mark::Did { .. } | Mark::Part) => return false,
        Some(Mark::DidNot { .. }) => {
            return (moves || tables.request.find_all(words).iter().any(free))
                && !tables.past_mark.matches(words)
                && (moves || !times.is_empty());
        }
        Some(Mark::Rest) => return false,
        Some(Mark::NotYet) | None => {}
    }
    if moves {
        return true;
    }
    if times.is_empty() || tables.busy_until.matches(words) || tables.past_mark.matches(words) {
        return false;
    }
    if tables.plan.matches(words) {
        return true;
    }
    words.iter().enumerate().all(|(at, word)| {
        times.iter().any(|span| (span.from..span.to).contains(&at))
            || is_number(word)
            || word == "·"
            || word.starts_with("emoji")
            || words::AROUND_TIME.contains(&word.as_str())
            || words::class("act").contains(&word.as_str())
            || words::class("event").contains(&word.as_str())
    })
}

/// Yes or no at the head of a clause, a tick anywhere, or a message of emoji and of a time that lies behind.
fn hint(words: &[String], struggles: bool) -> Option<Mark> {
    let first = words.first().map_or("", String::as_str);
    let last = words.last().map_or("", String::as_str);
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    // "No energy" is no answer.
    let answers_no = words::NO.contains(&first) && !(struggles && words.len() > 1);
    if answers_no || last == "no" || has("emojino") {
        return Some(Mark::DidNot { of_a_part: false });
    }
    let only_emoji = words.iter().all(|word| word.starts_with("emoji"));
    let this_morning = words
        .windows(2)
        .any(|pair| matches!((pair[0].as_str(), pair[1].as_str()), ("this", "morning") | ("last", "night")))
        && words.iter().all(|word| words::AROUND_TIME.contains(&word.as_str()) || word == "last");
    let done = words::YES.contains(&first) || has("emojitick") || (has("emojidone") && only_emoji) || this_morning;
    done.then_some(Mark::Did { whole: false })
}
