//! Understanding what people write back when Ivy has asked whether they did what they set out to do.
//!
//! The text is brought to plain words in clauses (`normalise`), which are compared with tables (`words`, and `phrases` in
//! the language of `pattern`). Three things are decided in a fixed order. First the words that carriers act on, alone in a
//! message. Then what concerns the service (stop, start, status, resume, pause), each with its exceptions, since the same
//! words tell of the workout: nobody is unsubscribed by "can't stop, great run". At last the report itself: every clause
//! yields what it says of the workout (done, a part, not done, not yet, rest), unless what stands to its left denies it, puts it
//! into the future or names somebody else, and how the person feels and what time they name. The result beats the feeling,
//! the last decisive clause beats those before it, a part beats a promise, and a time beats a refusal.
//! Whatever then neither gives nor withdraws consent gets a second opinion (`classifier`), which decides where the rules found
//! nothing, or where it is surer than they can be; decision 0024 says what each is better at.

use std::sync::LazyLock;

pub mod classifier;
mod normalise;
mod pattern;
// Tables of short entries, of which rustfmt would make thousands of lines.
#[rustfmt::skip]
mod phrases;
mod report;
#[rustfmt::skip]
mod words;

use normalise::{Clause, clauses, flat};
use pattern::{Table, is_number};

use crate::user::PauseReason;

/// The words of a text as the tables know them, clauses forgotten; [`crate::times`] reads the same.
pub(crate) fn plain_words(text: &str) -> Vec<String> {
    flat(&clauses(text))
}

/// What a reply wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Done,
    Partial,
    Skip,
    Rest,
    /// Struggling, or asking for help; [`is_help_keyword`] tells the question who we are.
    Help,
    Reschedule,
    Pause,
    Resume,
    Status,
    /// A number of 1 to 10; a score only where one was asked for.
    Score(u8),
    /// No more messages or calls; [`stop_request`] tells the keyword from the free words.
    Stop,
    Start,
    Other,
}

impl Intent {
    /// The name in logs, metrics and the corpus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Skip => "skip",
            Self::Rest => "rest",
            Self::Help => "help",
            Self::Reschedule => "reschedule",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Status => "status",
            Self::Score(_) => "score",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Other => "other",
        }
    }
}

/// How somebody asked to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// STOP, UNSUBSCRIBE, ALTO … and nothing else: acts at once.
    Keyword,
    /// "Stop calling me", "leave me alone": to be asked what should stop.
    FreeText,
}

/// The answer to the question what should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopScope {
    Messages,
    Calls,
    Everything,
}

/// The tables of [`phrases`], each indexed once.
struct Tables {
    idioms: Table,
    denied_quitting: Table,
    did: Table,
    whole_of_it: Table,
    part: Table,
    did_not: Table,
    not_yet: Table,
    underway: Table,
    rest: Table,
    struggle: Table,
    urge: Table,
    plan: Table,
    request: Table,
    moves: Table,
    when: Table,
    past_mark: Table,
    busy_until: Table,
    pause: Table,
    away: Table,
    resume: Table,
    not_resume: Table,
    start: Table,
    stop: Table,
    not_stop: Table,
    limit: Table,
    for_good: Table,
    status: Table,
    question: Table,
    hypothetical: Table,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    idioms: Table::new(phrases::IDIOMS),
    denied_quitting: Table::new(phrases::DENIED_QUITTING),
    did: Table::new(phrases::DID),
    whole_of_it: Table::new(phrases::WHOLE_OF_IT),
    part: Table::new(phrases::PART),
    did_not: Table::new(phrases::DID_NOT),
    not_yet: Table::new(phrases::NOT_YET),
    underway: Table::new(phrases::UNDERWAY),
    rest: Table::new(phrases::REST),
    struggle: Table::new(phrases::STRUGGLE),
    urge: Table::new(phrases::URGE),
    plan: Table::new(phrases::PLAN),
    request: Table::new(phrases::REQUEST),
    moves: Table::new(phrases::MOVE),
    when: Table::new(phrases::WHEN),
    past_mark: Table::new(phrases::PAST_MARK),
    busy_until: Table::new(phrases::BUSY_UNTIL),
    pause: Table::new(phrases::PAUSE),
    away: Table::new(phrases::AWAY),
    resume: Table::new(phrases::RESUME),
    not_resume: Table::new(phrases::NOT_RESUME),
    start: Table::new(phrases::START),
    stop: Table::new(phrases::STOP),
    not_stop: Table::new(phrases::NOT_STOP),
    limit: Table::new(phrases::LIMIT),
    for_good: Table::new(phrases::FOR_GOOD),
    status: Table::new(phrases::STATUS),
    question: Table::new(phrases::QUESTION),
    hypothetical: Table::new(phrases::HYPOTHETICAL),
});

/// The intent of a text.
#[must_use]
pub fn understand(text: &str) -> Intent {
    match by_rules(text) {
        Ruling::Certain(intent) => intent,
        Ruling::Read(intent) => classifier::second_opinion(text, intent),
    }
}

/// What the rules make of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// A keyword, a score, or the whole message is a known one.
    Certain(Intent),
    /// Read out of the phrases in it, or `Other`.
    Read(Intent),
}

/// The rules alone, for who trains the classifier beside them.
#[must_use]
pub fn by_rules(text: &str) -> Ruling {
    let clauses = clauses(text);
    let all = flat(&clauses);
    if all.is_empty() {
        return Ruling::Certain(Intent::Other);
    }
    if is_stop_keyword(&all) {
        return Ruling::Certain(Intent::Stop);
    }
    if let Some(score) = score(&all).or_else(|| score_with_a_reason(&clauses)) {
        return Ruling::Certain(Intent::Score(score));
    }
    if let Some(intent) = whole(&all) {
        let asks = clauses.len() == 1 && clauses.iter().all(|clause| clause.asked);
        return Ruling::Certain(match intent {
            Intent::Done | Intent::Skip if asks => Intent::Other,
            intent => intent,
        });
    }
    let read: Vec<Clause> = clauses.into_iter().map(without_idioms).collect();
    Ruling::Read(service(&read, &all).unwrap_or_else(|| report::outcome(&read)))
}

/// The intent of a button of ours; `None` for ids we never sent.
#[must_use]
pub fn understand_button(id: &str) -> Option<Intent> {
    match id {
        "done" => Some(Intent::Done),
        "partial" => Some(Intent::Partial),
        "skip" => Some(Intent::Skip),
        "rest" => Some(Intent::Rest),
        "later" => Some(Intent::Reschedule),
        _ => None,
    }
}

/// Whether and how the text asks to be left alone.
#[must_use]
pub fn stop_request(text: &str) -> Option<StopRequest> {
    if understand(text) != Intent::Stop {
        return None;
    }
    let keyword = is_stop_keyword(&flat(&clauses(text)));
    Some(if keyword { StopRequest::Keyword } else { StopRequest::FreeText })
}

/// What should stop, in answer to our question; `None` when the text does not say.
#[must_use]
pub fn stop_scope(text: &str) -> Option<StopScope> {
    let all = flat(&clauses(text));
    let names = |words: &[&str]| all.iter().any(|word| words.contains(&word.as_str()));
    let refuses = all.first().is_some_and(|word| matches!(word.as_str(), "no" | "nothing" | "none" | "neither"));
    if refuses && names(&["keep", "nothing", "none", "neither"]) {
        return None;
    }
    let (calls, messages) = (names(words::SCOPE_CALLS), names(words::SCOPE_MESSAGES));
    match (calls, messages) {
        // "Keep the texts, stop the calls": what is kept is not what should stop.
        (true, true) => Some(kept(&all).unwrap_or(StopScope::Everything)),
        (true, false) => Some(kept(&all).unwrap_or(StopScope::Calls)),
        (false, true) => Some(kept(&all).unwrap_or(StopScope::Messages)),
        // "Did all of it" and "all good" stop nothing.
        (false, false) => {
            let all_is_well = all.windows(2).any(|pair| pair[0] == "all" && words::WELL.contains(&pair[1].as_str()));
            let everything = names(words::SCOPE_EVERYTHING) && !names(words::DONE_WITH_IT) && !all_is_well;
            everything.then_some(StopScope::Everything)
        }
    }
}

/// What should stop where the text says what may go on: "not the texts", "keep the calls", "texts are fine". "Do not call" and
/// "ok, the calls" keep nothing.
fn kept(all: &[String]) -> Option<StopScope> {
    let scope = |word: &String| {
        let calls = words::SCOPE_CALLS.contains(&word.as_str());
        (calls || words::SCOPE_MESSAGES.contains(&word.as_str())).then_some(calls)
    };
    let kept_at = |at: usize| -> Option<bool> {
        let before = at.checked_sub(1).and_then(|before| all.get(before)).map_or("", String::as_str);
        match all[at].as_str() {
            "keep" | "except" | "leave" | "continue" => all.iter().skip(at + 1).take(3).find_map(scope),
            "not" if before != "do" => all.iter().skip(at + 1).take(2).find_map(scope),
            "fine" | "ok" | "good" | "stay" | "welcome" => all[..at].iter().rev().take(3).find_map(scope),
            _ => None,
        }
    };
    let calls_are_kept = (0..all.len()).find_map(kept_at)?;
    Some(if calls_are_kept { StopScope::Messages } else { StopScope::Calls })
}

/// Why somebody asks to be left in peace for a while, where they say it: in whole words, for "ill" is also a part of "until".
#[must_use]
pub fn pause_reason(text: &str) -> PauseReason {
    let all = plain_words(text);
    let says = |words: &[&str]| all.iter().any(|word| words.contains(&word.as_str()));
    if says(words::PAUSE_SICK) {
        PauseReason::Sick
    } else if says(words::PAUSE_TRAVELING) {
        PauseReason::Traveling
    } else {
        PauseReason::Paused
    }
}

/// Whether the text is the carriers' keyword for "who are you": HELP or INFO, alone.
#[must_use]
pub fn is_help_keyword(text: &str) -> bool {
    matches!(flat(&clauses(text)).as_slice(), [word] if word == "help" || word == "info")
}

fn without(all: &[String], fillers: &[&str]) -> String {
    let rest: Vec<&str> = all.iter().map(String::as_str).filter(|word| !fillers.contains(word)).collect();
    rest.join(" ")
}

fn is_stop_keyword(all: &[String]) -> bool {
    let exact = all.join(" ");
    let core = without(all, words::POLITE);
    words::STOP_WORDS.contains(&exact.as_str())
        || words::STOP_WORDS.contains(&core.as_str())
        || (!core.is_empty() && core.split(' ').all(|word| word == "stop"))
}

/// Messages that are one of the known whole messages, however politely.
fn whole(all: &[String]) -> Option<Intent> {
    let exact = all.join(" ");
    let core = without(all, words::COURTESY);
    let once: Vec<&str> = {
        let mut words: Vec<&str> = core.split(' ').collect();
        words.dedup();
        words
    };
    let once = once.join(" ");
    let (name, _) = words::WHOLE
        .iter()
        .find(|(_, list)| [exact.as_str(), core.as_str(), once.as_str()].iter().any(|text| list.contains(text)))?;
    Some(match *name {
        "start" => Intent::Start,
        "help" => Intent::Help,
        "skip" => Intent::Skip,
        "done" => Intent::Done,
        "partial" => Intent::Partial,
        "rest" => Intent::Rest,
        "reschedule" => Intent::Reschedule,
        "pause" => Intent::Pause,
        "resume" => Intent::Resume,
        _ => Intent::Status,
    })
}

/// Idioms are taken out, so that the rest of their clause is read for itself.
fn without_idioms(mut clause: Clause) -> Clause {
    for span in TABLES.idioms.find_all(&clause.words) {
        for word in clause.words.iter_mut().take(span.to).skip(span.from) {
            "·".clone_into(word);
        }
    }
    clause
}

/// What concerns the service and not the workout.
fn service(clauses: &[Clause], all: &[String]) -> Option<Intent> {
    let tables = &*TABLES;
    let any = |table: &Table| clauses.iter().any(|clause| table.matches(&clause.words));
    let hypothetical = any(&tables.hypothetical);
    let reports = report::reports(clauses);

    let resumes = any(&tables.resume) && !any(&tables.not_resume);
    let starts = clauses.iter().any(|clause| {
        let is_one_of = |list: &'static [&'static str]| move |word: &String| list.contains(&word.as_str());
        tables.start.find_all(&clause.words).iter().any(|span| {
            // "By accident" gives back only what was stopped.
            if clause.words[span.from..span.to].iter().any(is_one_of(words::BY_MISTAKE)) {
                all.iter().any(is_one_of(words::STOPPED))
            } else {
                !clause.words[..span.from].iter().any(is_one_of(words::NOT_AGAIN))
            }
        })
    });
    if starts && !hypothetical {
        return Some(Intent::Start);
    }
    if words::STOP_IT.contains(&all.join(" ").as_str()) {
        return Some(Intent::Stop);
    }
    let stops = clauses.iter().find(|clause| {
        tables.stop.matches(&clause.words)
            && !tables.not_stop.matches(&clause.words)
            && (!tables.question.matches(&clause.words) || asks_how_to_stop(&clause.words))
    });
    if let Some(clause) = stops {
        let limited = tables.limit.matches(&clause.words) || any(&tables.pause) || any(&tables.away);
        return Some(if limited && !any(&tables.for_good) { Intent::Pause } else { Intent::Stop });
    }
    let asks_status = clauses.iter().any(|clause| tables.status.matches(&clause.words));
    if asks_status && !hypothetical && !report::reports_outside(clauses, &tables.status) {
        return Some(Intent::Status);
    }
    if resumes && !hypothetical {
        let about_calls = all.iter().any(|word| words::ABOUT_CALLS.contains(&word.as_str()));
        if about_calls || !reports {
            return Some(Intent::Resume);
        }
    }
    if any(&tables.pause) && !hypothetical && !report::did(clauses) {
        return Some(Intent::Pause);
    }
    if any(&tables.away)
        && !report::says_no(clauses)
        && !hypothetical
        && !reports
        && !clauses.iter().any(|clause| tables.question.matches(&clause.words))
    {
        return Some(Intent::Pause);
    }
    None
}

fn asks_how_to_stop(words: &[String]) -> bool {
    let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(&word.as_str()));
    let requests = words.first().is_some_and(|word| matches!(word.as_str(), "can" | "could" | "will" | "would"));
    requests || (has(&["how"]) && has(&["stop", "unsubscribe", "opt", "alone", "off"]))
}

/// `About an eight, slept like a baby`: a framed score, and after it what reports nothing.
fn score_with_a_reason(clauses: &[Clause]) -> Option<u8> {
    let (first, rest) = clauses.split_first()?;
    let framed = first.words.iter().any(|word| words::SCORE_FRAMES.contains(&word.as_str()));
    let score = score(&first.words).filter(|_| framed && !rest.is_empty())?;
    let later = rest.iter().any(|clause| TABLES.when.matches(&clause.words));
    (!later && !report::reports(rest)).then_some(score)
}

/// `7`, `7/10`, `about a 7 today`, `energy six`: a number of 1 to 10 among words that only frame it.
fn score(all: &[String]) -> Option<u8> {
    let words = without_scale(all.iter().map(String::as_str).collect());
    if words.iter().any(|word| !is_number(word) && !words::AROUND_SCORE.contains(word)) {
        return None;
    }
    // "1 of 3", "one of the two": a part. The scale is gone by now.
    if words.windows(2).any(|pair| is_number(pair[0]) && pair[1] == "of") {
        return None;
    }
    let time = |word: &&str| matches!(*word, "tonight" | "in") || word.contains(':');
    if words.windows(2).any(|pair| matches!(pair, ["give" | "call", "me"]))
        || words.iter().any(time)
        || words.first().is_some_and(|word| matches!(*word, "at" | "for" | "by" | "going"))
    {
        return None;
    }
    let values: Vec<u8> =
        words.iter().filter(|word| is_number(word)).map(|word| score_value(word)).collect::<Option<_>>()?;
    // "Good one", "that one": a score of one says "a one".
    let one = words.iter().position(|word| *word == "one");
    if one.is_some_and(|at| at > 0 && !matches!(words[at - 1], "a" | "about" | "is" | "probably" | "maybe" | "like")) {
        return None;
    }
    // Two numbers are two scales, or a hesitation that ends in the last ("6 or 7, call it 7").
    let hesitates = words.iter().any(|word| matches!(*word, "or" | "call" | "between"));
    if values.len() > 3 {
        return None;
    }
    if hesitates { values.last().copied() } else { values.first().copied() }
}

/// The number of 1 to 10 in what is known to be a score; of several the last, where somebody corrects themselves, else none.
fn named_score(text: &str) -> Option<u8> {
    let words = plain_words(text);
    let words: Vec<&str> = without_scale(words.iter().map(String::as_str).collect());
    let values: Vec<u8> = words.iter().filter(|word| is_number(word)).filter_map(|word| score_value(word)).collect();
    let corrected = words.iter().any(|word| matches!(*word, "make" | "call" | "or"));
    match values.as_slice() {
        [value] => Some(*value),
        [.., last] if corrected => Some(*last),
        _ => None,
    }
}

/// "7 out of 10": the scale is no score.
fn without_scale(mut words: Vec<&str>) -> Vec<&str> {
    let is_scale = |pair: &[&str]| matches!(pair, ["of" | "de" | "sobre", "10" | "ten" | "diez"]);
    if let Some(at) = words.windows(2).position(is_scale) {
        words.truncate(at);
    }
    words
}

fn score_value(word: &str) -> Option<u8> {
    if let Some((_, value)) = words::SCORES.iter().find(|(name, _)| *name == word) {
        return Some(*value);
    }
    let word = word.strip_suffix("/10").unwrap_or(word);
    // "7.30" is a time, "7.5" a score.
    if word.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 1) {
        return None;
    }
    let value: f32 = word.parse().ok().filter(|value: &f32| (1.0..=10.0).contains(value))?;
    // Halves go up; the range is checked above, so the cast keeps the value.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some(value.round() as u8)
}

#[cfg(test)]
mod tests;
