//! Times and dates as people write them: "half 6", "tmrw 7am", "en una hora", "until the 5th".
//!
//! The words come from the reading of replies ([`crate::replies`]), so short forms, accents and typing errors are dealt with. An hour
//! without am or pm means the next one that somebody plausibly means: 1 to 5 is the afternoon, 12 is noon, 6 to 11 is whichever of
//! the morning's and the evening's lies ahead, and on another day the morning's unless evening or night is said. What is written as
//! a clock shows it (`18:30`, `07:00`, `10:30`, `1830`) is that of 24 hours. A time that has passed today is tomorrow's where no
//! day was named and nothing where one was. Today's own weekday is that of next week. "Tonight", "after work" and other parts of
//! the day have a time each (`PARTS`); a day without any time, or "later", names no instant: the answer to that is a question.
//!
//! Dates are those of the calendar on the wall of the zone, not the local days that begin at 03:00: "tomorrow" written at
//! 01:00 is the next date. Where clocks jump, [`crate::days`] says what a reading means. Of several times the last counts, since
//! people correct themselves ("can't make 6, can we say half seven"), but not one that is excluded ("instead of 5").

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time, Weekday},
};

use crate::{
    days::{monday_of, plus_days, resolve},
    replies::plain_words,
    values::Zone,
};

/// Parts of the day, the longer phrase before the shorter, with the time that stands for each.
const PARTS: &[(&str, Time)] = &[
    ("end of the day", Time::constant(17, 30, 0, 0)),
    ("end of day", Time::constant(17, 30, 0, 0)),
    ("first thing", Time::constant(7, 0, 0, 0)),
    ("before work", Time::constant(7, 0, 0, 0)),
    ("before breakfast", Time::constant(7, 0, 0, 0)),
    ("after breakfast", Time::constant(9, 0, 0, 0)),
    ("before lunch", Time::constant(11, 30, 0, 0)),
    ("after lunch", Time::constant(13, 30, 0, 0)),
    ("after school", Time::constant(16, 0, 0, 0)),
    ("after work", Time::constant(18, 0, 0, 0)),
    ("after dinner", Time::constant(20, 0, 0, 0)),
    ("after tea", Time::constant(19, 0, 0, 0)),
    ("after supper", Time::constant(20, 0, 0, 0)),
    ("before dinner", Time::constant(18, 0, 0, 0)),
    ("before bed", Time::constant(21, 0, 0, 0)),
    ("despues del trabajo", Time::constant(18, 0, 0, 0)),
    ("despues de trabajar", Time::constant(18, 0, 0, 0)),
    ("despues de comer", Time::constant(15, 30, 0, 0)),
    ("despues de cenar", Time::constant(21, 0, 0, 0)),
    ("la manana", Time::constant(8, 0, 0, 0)),
    ("la tarde", Time::constant(17, 0, 0, 0)),
    ("la noche", Time::constant(20, 0, 0, 0)),
    ("esta tarde", Time::constant(17, 0, 0, 0)),
    ("esta noche", Time::constant(20, 0, 0, 0)),
    ("lunchtime", Time::constant(12, 30, 0, 0)),
    ("lunch", Time::constant(12, 30, 0, 0)),
    ("noon", Time::constant(12, 0, 0, 0)),
    ("midday", Time::constant(12, 0, 0, 0)),
    ("mediodia", Time::constant(12, 0, 0, 0)),
    ("morning", Time::constant(8, 0, 0, 0)),
    ("afternoon", Time::constant(15, 0, 0, 0)),
    ("teatime", Time::constant(17, 0, 0, 0)),
    ("evening", Time::constant(19, 0, 0, 0)),
    ("tonight", Time::constant(20, 0, 0, 0)),
    ("bedtime", Time::constant(21, 0, 0, 0)),
    ("night", Time::constant(20, 0, 0, 0)),
];

/// Words before an hour that make a number one.
const BEFORE_HOUR: &[&str] = &[
    "at", "around", "about", "by", "after", "before", "for", "to", "till", "til", "until", "say", "las", "la", "it",
    "from", "between", "maybe", "probably",
];
/// Words before a time that exclude it.
const EXCLUDES: &[&str] = &["of", "than", "not", "or", "the"];

const NUMBERS: &[(&str, i64)] = &[
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("a", 1),
    ("an", 1),
    ("couple", 2),
    ("few", 3),
    ("another", 1),
    ("the", 1),
    ("un", 1),
    ("una", 1),
    ("uno", 1),
    ("dos", 2),
    ("tres", 3),
    ("cuatro", 4),
    ("cinco", 5),
    ("seis", 6),
    ("siete", 7),
    ("ocho", 8),
    ("nueve", 9),
    ("diez", 10),
    ("once", 11),
    ("doce", 12),
    ("quince", 15),
    ("veinte", 20),
    ("unos", 3),
    ("unas", 3),
    ("par", 2),
];

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
    ("lunes", Weekday::Monday),
    ("martes", Weekday::Tuesday),
    ("miercoles", Weekday::Wednesday),
    ("jueves", Weekday::Thursday),
    ("viernes", Weekday::Friday),
    ("sabado", Weekday::Saturday),
    ("domingo", Weekday::Sunday),
];

const MONTHS: &[(&str, i8)] = &[
    ("january", 1),
    ("february", 2),
    ("march", 3),
    ("april", 4),
    ("may", 5),
    ("june", 6),
    ("july", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("november", 11),
    ("december", 12),
    ("jan", 1),
    ("feb", 2),
    ("mar", 3),
    ("apr", 4),
    ("jun", 6),
    ("jul", 7),
    ("aug", 8),
    ("sep", 9),
    ("sept", 9),
    ("oct", 10),
    ("nov", 11),
    ("dec", 12),
    ("enero", 1),
    ("febrero", 2),
    ("marzo", 3),
    ("abril", 4),
    ("mayo", 5),
    ("junio", 6),
    ("julio", 7),
    ("agosto", 8),
    ("septiembre", 9),
    ("octubre", 10),
    ("noviembre", 11),
    ("diciembre", 12),
];

fn look_up<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// Words, with what stands at a place or nothing.
struct Words(Vec<String>);

impl Words {
    fn new(text: &str) -> Self {
        Self(plain_words(text))
    }

    fn at(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }

    fn before(&self, index: usize, back: usize) -> &str {
        index.checked_sub(back).map_or("", |index| self.at(index))
    }

    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|other| other == word)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the phrase begins.
    fn find(&self, phrase: &str) -> Option<usize> {
        let parts: Vec<&str> = phrase.split(' ').collect();
        self.0.windows(parts.len()).position(|window| window.iter().zip(&parts).all(|(a, b)| a == b))
    }
}

/// Small whole numbers in digits or letters.
fn number(word: &str) -> Option<i64> {
    look_up(NUMBERS, word).or_else(|| word.parse().ok().filter(|value| (0..=1_000).contains(value)))
}

/// An hour as it is spoken: a number, but no article.
fn hour(word: &str) -> Option<i8> {
    let articles = ["a", "an", "the", "un", "unos", "unas", "couple", "few", "par", "another"];
    if articles.contains(&word) {
        return None;
    }
    number(word).and_then(|value| i8::try_from(value).ok()).filter(|hour| (0..24).contains(hour))
}

/// `5th`, `5`.
fn day_of_month(word: &str) -> Option<i8> {
    let digits = ["st", "nd", "rd", "th"].iter().find_map(|tail| word.strip_suffix(tail)).unwrap_or(word);
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

/// A time of day as said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// On the dial of 12 hours; which half is to be found out.
    Dial {
        hour: i8,
        minute: i8,
    },
    Exact(Time),
    /// The end of the day.
    Midnight,
}

/// The future instant that a text names, for somebody who writes it at `now` in `zone`.
#[must_use]
pub fn named_time(text: &str, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let time_zone = zone.time_zone();
    let ahead = |at: Timestamp| Some(at).filter(|at| *at > now);
    let trimmed = text.trim();
    if let Ok(at) = trimmed.parse::<Timestamp>() {
        return ahead(at);
    }
    if trimmed.len() >= 16
        && trimmed.bytes().all(|b| b.is_ascii_digit() || b"-:T. ".contains(&b))
        && let Ok(local) = trimmed.parse::<DateTime>()
    {
        return ahead(resolve(local, &time_zone));
    }
    let words = Words::new(text);
    let local = time_zone.to_datetime(now);
    let today = local.date();
    let day = named_day(&words, today);
    let clock = named_clock(&words, day.is_some());
    if clock.is_none()
        && let Some(wait) = named_wait(&words)
    {
        return now.checked_add(wait).ok().and_then(ahead);
    }
    let part = PARTS.iter().find_map(|(phrase, time)| words.find(phrase).map(|_| *time));
    let late = says_late(&words);
    let early = words.has("morning") || words.find("la manana").is_some() || words.find("first thing").is_some();
    let at = |date: Date, time: Time| ahead(resolve(date.to_datetime(time), &time_zone));
    match (clock, part) {
        (Some(Clock::Midnight), _) => at(plus_days(day.unwrap_or(today), 1), Time::midnight()),
        (Some(Clock::Exact(time)), _) => match day {
            Some(date) => at(date, time),
            None => at(today, time).or_else(|| at(plus_days(today, 1), time)),
        },
        (Some(Clock::Dial { hour, minute }), _) => {
            let readings = readings(hour, minute, late, early);
            let date = day.unwrap_or(today);
            if date == today {
                let next = || readings.iter().find_map(|time| at(plus_days(today, 1), *time));
                readings.iter().find_map(|time| at(today, *time)).or_else(|| if day.is_none() { next() } else { None })
            } else {
                readings.first().and_then(|time| at(date, *time))
            }
        }
        (None, Some(time)) => match day {
            Some(date) => at(date, time),
            None => at(today, time).or_else(|| at(plus_days(today, 1), time)),
        },
        (None, None) => None,
    }
}

/// The times of day that an hour of the dial may mean, the likelier first.
fn readings(hour: i8, minute: i8, late: bool, early: bool) -> Vec<Time> {
    let hours = match (hour, late, early) {
        (12, true, _) => vec![12],
        (12, _, true) => vec![12],
        (12, ..) => vec![12],
        (hour @ 1..=11, true, _) => vec![hour + 12],
        (hour @ 1..=11, false, true) => vec![hour],
        (hour @ 1..=5, ..) => vec![hour + 12],
        (hour @ 6..=11, ..) => vec![hour, hour + 12],
        (hour, ..) => vec![hour],
    };
    hours.into_iter().filter_map(|hour| Time::new(hour, minute, 0, 0).ok()).collect()
}

fn says_late(words: &Words) -> bool {
    ["tonight", "evening", "afternoon", "night"].iter().any(|word| words.has(word))
        || ["la tarde", "la noche", "esta tarde", "esta noche", "after work", "after dinner"]
            .iter()
            .any(|phrase| words.find(phrase).is_some())
}

/// "In an hour", "20 mins", "push it back an hour", "give me 10".
fn named_wait(words: &Words) -> Option<SignedDuration> {
    (0..words.len())
        .find_map(|at| {
            let amount = number(words.at(at))?;
            let mut unit = at + 1;
            while matches!(words.at(unit), "of" | "more" | "or" | "de" | "couple" | "few" | "good" | "par" | "so")
                || (unit > at + 1 && number(words.at(unit)).is_some())
            {
                unit += 1;
            }
            let amount = if unit > at + 1 {
                number(words.at(unit - 1)).or(number(words.before(unit, 2))).unwrap_or(amount)
            } else {
                amount
            };
            match words.at(unit) {
                "minute" => Some(SignedDuration::from_mins(amount)),
                "hour" | "hora" | "horas" => Some(SignedDuration::from_hours(amount)),
                "media" if words.at(unit + 1) == "hora" => Some(SignedDuration::from_mins(30)),
                _ => {
                    let waits =
                        words.before(at, 1) == "in" || (words.before(at, 2) == "give" && words.before(at, 1) == "me");
                    let counts = words.at(at).bytes().all(|b| b.is_ascii_digit()) || amount > 3;
                    (waits && counts && at + 1 == words.len()).then(|| SignedDuration::from_mins(amount))
                }
            }
        })
        .or_else(|| words.find("media hora").map(|_| SignedDuration::from_mins(30)))
        .filter(|wait| wait.is_positive())
}

/// The last time of day that is named and not excluded.
fn named_clock(words: &Words, day_named: bool) -> Option<Clock> {
    let mut found = None;
    let mut at = 0;
    while at < words.len() {
        match clock_at(words, at, day_named) {
            Some((clock, length)) => {
                let before = words.before(at, 1);
                let excluded = EXCLUDES.contains(&before)
                    || (BEFORE_HOUR.contains(&before) && EXCLUDES.contains(&words.before(at, 2)));
                if !(excluded && (found.is_some() || before != "the")) {
                    found = Some(clock);
                }
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// `18:30`, `7.15`, as the digits say it, and not `7.5`.
pub(crate) fn clock_digits(word: &str) -> Option<Time> {
    let (hours, minutes) = word.split_once([':', '.']).filter(|(_, minutes)| minutes.len() == 2)?;
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()
}

/// The clock that begins at a word, and how many words it takes.
fn clock_at(words: &Words, at: usize, day_named: bool) -> Option<(Clock, usize)> {
    let word = words.at(at);
    let next = words.at(at + 1);
    let dial =
        |hour: i8, minute: i8, length: usize| with_half(words, hour, minute, at + length).map(|clock| (clock, length));
    if word == "midnight" || word == "medianoche" {
        return Some((Clock::Midnight, 1));
    }
    // "Half past six", "half six", "quarter to 7", "twenty past 8".
    if matches!(word, "half" | "quarter")
        || (number(word).is_some_and(|n| n < 60) && matches!(next, "past" | "to") && hour(words.at(at + 2)).is_some())
    {
        let minutes = match word {
            "half" => 30,
            "quarter" => 15,
            word => i8::try_from(number(word)?).ok()?,
        };
        let (said, length) = if matches!(next, "past" | "to" | "after") { (words.at(at + 2), 3) } else { (next, 2) };
        let hour = hour(said).filter(|hour| (1..=12).contains(hour))?;
        if length == 2 && word != "half" {
            return None;
        }
        let unit = words.at(at + length);
        if matches!(unit, "minute" | "hour" | "k" | "mile" | "miles") {
            return None;
        }
        return if next == "to" {
            let earlier = if hour == 1 { 12 } else { hour - 1 };
            dial(earlier, 60 - minutes, length)
        } else {
            dial(hour, minutes, length)
        };
    }
    // "18:30", "7:15", "18.30", "1830".
    if let Some(mark) = word.find([':', '.']) {
        let time = clock_digits(word)?;
        let shown = mark == 2 || time.hour() == 0;
        return match half_of_day(words, at + 1) {
            Some(_) => dial(time.hour(), time.minute(), 1),
            None if shown => Some((Clock::Exact(time), 1)),
            None => dial(time.hour(), time.minute(), 1),
        };
    }
    if word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()) {
        let (hour, minute) = (word[..2].parse().ok()?, word[2..].parse().ok()?);
        let time = Time::new(hour, minute, 0, 0).ok()?;
        let year = (2000..2100).contains(&word.parse::<u16>().ok()?) && words.before(at, 1) != "at";
        return (!year).then_some((Clock::Exact(time), 1));
    }
    let hour = hour(word)?;
    // "A las 7 y media", "las 8 menos cuarto".
    if matches!(words.before(at, 1), "las" | "la") && (1..=24).contains(&hour) {
        return match (next, words.at(at + 2)) {
            ("y", "media") => dial(hour, 30, 3),
            ("y", "cuarto") => dial(hour, 15, 3),
            ("y", minutes) if number(minutes).is_some_and(|n| n < 60) => {
                dial(hour, i8::try_from(number(minutes)?).ok()?, 3)
            }
            ("menos", "cuarto") => dial(if hour == 1 { 12 } else { hour - 1 }, 45, 3),
            _ => dial(hour, 0, 1),
        };
    }
    let measured = matches!(
        next,
        "minute"
            | "hour"
            | "hora"
            | "horas"
            | "days"
            | "day"
            | "dias"
            | "weeks"
            | "week"
            | "k"
            | "km"
            | "mile"
            | "miles"
            | "more"
            | "of"
            | "reps"
            | "sets"
            | "pages"
            | "second"
            | "percent"
    ) || look_up(MONTHS, next).is_some()
        || look_up(MONTHS, words.before(at, 1)).is_some();
    let spoken = half_of_day(words, at + 1).is_some() || matches!(next, "oclock" | "ish");
    // "Seven thirty".
    if let Some(minutes @ (15 | 20 | 30 | 40 | 45)) = number(next)
        .filter(|_| BEFORE_HOUR.contains(&words.before(at, 1)) && !next.starts_with(|c: char| c.is_ascii_digit()))
    {
        return dial(hour, i8::try_from(minutes).ok()?, 2);
    }
    if measured || (!spoken && word.len() > 2 && word.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let placed = BEFORE_HOUR.contains(&words.before(at, 1))
        || matches!(next, "instead" | "sharp")
        || at == 0 && words.len() == 1 && hour > 12;
    // "Tomorrow 7": beside a day a number is an hour. "One" is a pronoun more often.
    let beside_a_day =
        (day_named || says_late(words) || words.has("morning")) && word != "one" && words.before(at, 1) != "in";
    (spoken || placed || beside_a_day).then(|| dial(hour, 0, 1)).flatten()
}

/// Whether am or pm stands at a place: "pm", "p m", "am", "de la tarde", "in the morning".
fn half_of_day(words: &Words, at: usize) -> Option<bool> {
    let at = if words.at(at) == "oclock" || words.at(at) == "ish" { at + 1 } else { at };
    match (words.at(at), words.at(at + 1), words.at(at + 2)) {
        ("pm", ..) => Some(true),
        ("am", ..) => Some(false),
        ("in", "the", "morning") | ("de", "la", "manana" | "madrugada") => Some(false),
        ("in", "the", "evening" | "afternoon") | ("at", "night", _) | ("de", "la", "tarde" | "noche") => Some(true),
        _ => None,
    }
}

fn with_half(words: &Words, hour: i8, minute: i8, after: usize) -> Option<Clock> {
    let exact = |hour: i8| Time::new(hour, minute, 0, 0).ok().map(Clock::Exact);
    match half_of_day(words, after) {
        Some(true) if hour == 12 && words.at(after) == "at" => Some(Clock::Midnight),
        Some(late) if (1..=12).contains(&hour) => exact(hour % 12 + if late { 12 } else { 0 }),
        _ if hour == 0 || hour > 12 => exact(hour),
        _ => Some(Clock::Dial { hour, minute }),
    }
}

/// The date that a text names; `None` for none.
fn named_day(words: &Words, today: Date) -> Option<Date> {
    if words.find("day after tomorrow").is_some() || words.find("pasado manana").is_some() {
        return Some(plus_days(today, 2));
    }
    let tomorrow = (0..words.len()).any(|at| {
        words.at(at) == "tomorrow" || (words.at(at) == "manana" && !matches!(words.before(at, 1), "la" | "esta"))
    });
    if tomorrow {
        return Some(plus_days(today, 1));
    }
    let in_days = (0..words.len()).find_map(|at| {
        let unit = match words.at(at + 1) {
            "days" | "day" | "dias" | "dia" => 1,
            "week" | "weeks" | "semana" | "semanas" => 7,
            _ => return None,
        };
        let days = number(words.at(at)).filter(|_| matches!(words.before(at, 1), "in" | "en"))?;
        Some(plus_days(today, i32::try_from(days).unwrap_or(0).saturating_mul(unit)))
    });
    if in_days.is_some() {
        return in_days;
    }
    if let Some(date) = (0..words.len()).find_map(|at| date_at(words, at, today)) {
        return Some(date);
    }
    let says_today = ["today", "tonight", "hoy"].iter().any(|word| words.has(word))
        || ["this evening", "this afternoon", "this morning", "esta tarde", "esta noche"]
            .iter()
            .any(|phrase| words.find(phrase).is_some());
    says_today.then_some(today)
}

/// A date that begins at a word: a weekday, "the 5th", "12 december", "december 12", 2026-12-05 as words.
fn date_at(words: &Words, at: usize, today: Date) -> Option<Date> {
    let word = words.at(at);
    if let Some(weekday) = look_up(WEEKDAYS, word) {
        // "I'm sat here", "the sun": short forms need a word that makes them a day.
        let short = matches!(word, "sat" | "sun");
        let told = at == 0
            || matches!(
                words.before(at, 1),
                "on" | "to" | "til" | "till" | "until" | "next" | "this" | "by" | "from" | "back" | "for"
            );
        if short && !told {
            return None;
        }
        let next = (1..=7).map(|days| plus_days(today, days)).find(|date| date.weekday() == weekday)?;
        let week_after = words.find("next week").is_some() && next < plus_days(monday_of(today), 7);
        return Some(if week_after { plus_days(next, 7) } else { next });
    }
    let (day, month) = if let Some(month) = look_up(MONTHS, word) {
        (day_of_month(words.at(at + 1))?, month)
    } else {
        let day = day_of_month(word)?;
        let after = if matches!(words.at(at + 1), "of" | "de") { at + 2 } else { at + 1 };
        match look_up(MONTHS, words.at(after)) {
            Some(month) => (day, month),
            None if word.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                return next_with(today, |date| date.day() == day);
            }
            None => return None,
        }
    };
    next_with(today, |date| date.day() == day && date.month() == month)
}

/// The next date after today that fits, within a leap year's cycle.
fn next_with(today: Date, fits: impl Fn(Date) -> bool) -> Option<Date> {
    (1..=366 * 8).map(|days| plus_days(today, days)).find(|date| fits(*date))
}

/// The date from which somebody is back who asks on `today` to be left in peace for a time; `None` when they say none.
///
/// "Until monday" is the next Monday; a span counts from today, or from the day that they name ("for two weeks from
/// tomorrow"); "the weekend" ends on Monday.
#[must_use]
pub fn pause_until(text: &str, today: Date) -> Option<Date> {
    // "For 0 days" is no pause.
    pause_end(text, today).filter(|date| *date > today)
}

fn pause_end(text: &str, today: Date) -> Option<Date> {
    let iso = text
        .split(|c: char| !(c.is_ascii_digit() || c == '-'))
        .find_map(|part| part.parse::<Date>().ok().filter(|_| part.len() == 10));
    if let Some(date) = iso {
        return Some(date);
    }
    let words = Words::new(text);
    let until = (0..words.len()).filter(|at| {
        matches!(words.at(*at), "until" | "till" | "til" | "hasta" | "back" | "return" | "returning" | "through")
    });
    if let Some(date) = until.into_iter().find_map(|at| bound_at(&words, at + 1, today)) {
        return Some(date);
    }
    let start = (0..words.len())
        .find(|at| matches!(words.at(*at), "from" | "desde" | "starting"))
        .and_then(|at| bound_at(&words, at + 1, today))
        .unwrap_or(today);
    span(&words, start, today)
}

/// The date that stands after "until", past small words.
fn bound_at(words: &Words, at: usize, today: Date) -> Option<Date> {
    let mut at = at;
    while matches!(
        words.at(at),
        "the"
            | "on"
            | "el"
            | "i"
            | "am"
            | "back"
            | "about"
            | "at"
            | "least"
            | "is"
            | "next"
            | "this"
            | "in"
            | "proximo"
            | "dia"
            | "from"
            | "home"
            | "work"
            | "again"
            | "after"
            | "al"
    ) {
        if matches!((words.at(at), words.at(at + 1)), ("next" | "this", "week" | "month" | "year")) {
            break;
        }
        at += 1;
    }
    let first_of_next_month = || next_with(today, |date| date.day() == 1);
    match (words.at(at), words.at(at + 1)) {
        ("tomorrow" | "manana", _) => return Some(plus_days(today, 1)),
        ("pasado", "manana") => return Some(plus_days(today, 2)),
        ("next", "week") => return Some(plus_days(monday_of(today), 7)),
        ("next", "month") => return first_of_next_month(),
        ("new", "year" | "years") | ("ano", "nuevo") | ("next", "year") => {
            return next_with(today, |date| date.day() == 1 && date.month() == 1);
        }
        ("christmas" | "xmas" | "navidad", _) => {
            return next_with(today, |date| date.day() == 25 && date.month() == 12);
        }
        ("weekend", _) => {
            return next_with(today, |date| {
                date.weekday() == if words.before(at, 2) == "after" { Weekday::Monday } else { Weekday::Saturday }
            });
        }
        ("end", "of") if words.0.iter().skip(at).any(|word| word == "month") => return first_of_next_month(),
        ("end", "of") if words.0.iter().skip(at).any(|word| word == "week") => {
            return Some(plus_days(monday_of(today), 7));
        }
        _ => {}
    }
    if let Some(date) = date_at(words, at, today) {
        return Some(date);
    }
    // "Until the 12", "back 12".
    let day = day_of_month(words.at(at))
        .filter(|_| matches!(words.before(at, 1), "the" | "el" | "on" | "until" | "till" | "til" | "hasta" | "back"))?;
    let counted = matches!(
        words.at(at + 1),
        "days" | "weeks" | "week" | "dias" | "semanas" | "pm" | "am" | "oclock" | "minute" | "hour"
    );
    if counted { None } else { next_with(today, |date| date.day() == day) }
}

/// "For a week", "3 days", "a couple of days", "this week", "the weekend".
fn span(words: &Words, start: Date, today: Date) -> Option<Date> {
    let monday = plus_days(monday_of(today), 7);
    for at in 0..words.len() {
        let unit = words.at(at);
        let mut place = at;
        let mut amount = None;
        while let Some(before) = place.checked_sub(1) {
            let word = words.at(before);
            if !matches!(word, "of" | "more" | "next" | "full" | "whole" | "de" | "good") && number(word).is_none() {
                break;
            }
            // "The next three days", "a couple of days": the number nearest to the unit counts, articles least.
            amount = match amount {
                None | Some(1) => number(word).or(amount),
                amount => amount,
            };
            place = before;
        }
        let before = words.before(at, 1);
        let amount = i32::try_from(amount.unwrap_or(1)).unwrap_or(1);
        let counted = place < at;
        let months = |count: i32| start.checked_add(jiff::Span::new().months(count.min(24))).ok();
        match unit {
            "weekend" if !words.has("weekends") => return next_with(today, |date| date.weekday() == Weekday::Monday),
            "week" | "semana"
                if matches!(before, "this" | "all" | "esta")
                    || words.before(at, 2) == "rest"
                    || before == "the" && words.has("rest") =>
            {
                return Some(monday);
            }
            "week" if before == "next" && words.before(at, 2) != "the" => return Some(plus_days(monday, 7)),
            "month" | "mes" if matches!(before, "this" | "este") => return next_with(today, |date| date.day() == 1),
            "day" | "days" | "dia" | "dias" if counted && words.before(place, 1) != "rest" => {
                return Some(plus_days(start, amount));
            }
            "week" | "weeks" | "semana" | "semanas" if counted => {
                return Some(plus_days(start, amount.saturating_mul(7)));
            }
            "fortnight" | "quincena" => return Some(plus_days(start, amount.saturating_mul(14))),
            "month" | "months" | "mes" | "meses" if counted => return months(amount),
            "week" | "weeks" if words.at(at + 1) == "off" => return Some(plus_days(start, 7)),
            "today" | "tonight" | "hoy" if words.has("for") || words.has("por") || words.has("no") => {
                return Some(plus_days(today, 1));
            }
            _ => {}
        }
    }
    None
}

/// Words of a time that are no part of what is done then.
const OF_A_TIME: [&str; 40] = [
    "at",
    "today",
    "tonight",
    "tomorrow",
    "tmrw",
    "tmr",
    "2moro",
    "this",
    "morning",
    "afternoon",
    "evening",
    "night",
    "noon",
    "midday",
    "midnight",
    "lunchtime",
    "on",
    "in",
    "an",
    "hour",
    "hours",
    "mins",
    "minutes",
    "min",
    "oclock",
    "am",
    "pm",
    "around",
    "about",
    "by",
    "hoy",
    "manana",
    "las",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// How people begin to say what they will do.
const BEGINNINGS: [&str; 12] =
    ["i", "ill", "im", "will", "do", "gonna", "going", "to", "let", "me", "plan", "planning"];

/// What a text names beside its time: "run at 6pm" is "run". Empty where it names nothing else.
#[must_use]
pub fn without_time(text: &str) -> String {
    let plain = |word: &str| -> String {
        word.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric() || matches!(c, ':' | '.')).collect()
    };
    let is_time = |word: &str| {
        let word = plain(word);
        let clock = word.starts_with(|c: char| c.is_ascii_digit())
            && word.trim_end_matches(|c: char| c.is_alphabetic()).chars().all(|c| !c.is_alphabetic());
        word.is_empty() || clock || OF_A_TIME.contains(&word.as_str())
    };
    let words: Vec<&str> = text.split_whitespace().filter(|word| !is_time(word)).collect();
    let begin = words.iter().take_while(|word| BEGINNINGS.contains(&plain(word).as_str())).count();
    words[begin..].join(" ").trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// A Thursday in London, winter time.
    const NOW: &str = "2026-11-26T14:00:00Z";

    fn named(text: &str, now: &str, zone: &str) -> Option<String> {
        let zone: Zone = zone.parse().unwrap();
        let at = named_time(text, now.parse().unwrap(), &zone)?;
        Some(zone.time_zone().to_datetime(at).strftime("%a %d %H:%M").to_string())
    }

    #[test]
    fn what_is_done_is_told_from_when() {
        for (text, rest) in [
            ("run at 6pm", "run"),
            ("Gym tomorrow 7am!", "Gym"),
            ("I'll do yoga at 18:30", "yoga"),
            ("at 6", ""),
            ("6pm", ""),
            ("read 20 pages tonight", "read pages"),
            ("i will swim in 2 hours", "swim"),
        ] {
            assert_eq!(without_time(text), rest, "{text}");
        }
    }

    #[test]
    fn times_are_understood() {
        let cases = [
            ("6pm", "Thu 26 18:00"),
            ("at 6", "Thu 26 18:00"),
            ("at 6 p.m. please", "Thu 26 18:00"),
            ("at 18:30", "Thu 26 18:30"),
            ("18.30", "Thu 26 18:30"),
            ("1830", "Thu 26 18:30"),
            ("half 6", "Thu 26 18:30"),
            ("half six tonight", "Thu 26 18:30"),
            ("half past six", "Thu 26 18:30"),
            ("quarter to 7", "Thu 26 18:45"),
            ("quarter past seven", "Thu 26 19:15"),
            ("ten past 8", "Thu 26 20:10"),
            ("6ish", "Thu 26 18:00"),
            ("7 o'clock", "Thu 26 19:00"),
            ("at 3", "Thu 26 15:00"),
            ("at 1", "Fri 27 13:00"),
            ("noon", "Fri 27 12:00"),
            ("at 12", "Fri 27 12:00"),
            ("12am", "Fri 27 00:00"),
            ("midnight", "Fri 27 00:00"),
            ("tonight at 9", "Thu 26 21:00"),
            ("tonight", "Thu 26 20:00"),
            ("this evening", "Thu 26 19:00"),
            ("after work", "Thu 26 18:00"),
            ("at lunchtime", "Fri 27 12:30"),
            ("after dinner", "Thu 26 20:00"),
            ("07:30", "Fri 27 07:30"),
            ("10:30", "Fri 27 10:30"),
            ("7:15", "Thu 26 19:15"),
            ("9am", "Fri 27 09:00"),
            ("tomorrow 7am", "Fri 27 07:00"),
            ("tmrw 7am", "Fri 27 07:00"),
            ("2moro at 7", "Fri 27 07:00"),
            ("tomorrow 18:15", "Fri 27 18:15"),
            ("tomorrow evening", "Fri 27 19:00"),
            ("tomorrow evening at 7", "Fri 27 19:00"),
            ("tomorow first thing", "Fri 27 07:00"),
            ("thursday 7pm", "Thu 03 19:00"),
            ("sat at 10", "Sat 28 10:00"),
            ("on monday morning", "Mon 30 08:00"),
            ("in an hour", "Thu 26 15:00"),
            ("in 2 hours", "Thu 26 16:00"),
            ("in a couple of hours", "Thu 26 16:00"),
            ("in 30 mins", "Thu 26 14:30"),
            ("half an hour", "Thu 26 14:30"),
            ("in an hour and a half", "Thu 26 15:30"),
            ("give me 10", "Thu 26 14:10"),
            ("push it back an hour", "Thu 26 15:00"),
            ("call me back in 20", "Thu 26 14:20"),
            ("mañana a las 7", "Fri 27 07:00"),
            ("mañana por la tarde", "Fri 27 17:00"),
            ("a las 6 de la tarde", "Thu 26 18:00"),
            ("a las siete y media", "Thu 26 19:30"),
            ("esta noche a las 9", "Thu 26 21:00"),
            ("en una hora", "Thu 26 15:00"),
            ("en media hora", "Thu 26 14:30"),
            ("2026-11-26T18:00:00Z", "Thu 26 18:00"),
            ("2026-11-27T07:30", "Fri 27 07:30"),
            ("can we make it 6 instead of 5", "Thu 26 18:00"),
            ("can't make the 6 o'clock, can we say half past seven", "Thu 26 19:30"),
            ("at seven thirty", "Thu 26 19:30"),
            ("december 3 at 8am", "Thu 03 08:00"),
        ];
        for (text, expected) in cases {
            assert_eq!(named(text, NOW, "Europe/London").as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_names_no_time_to_come_is_none() {
        for text in [
            "later",
            "",
            "tomorrow",
            "monday",
            "done",
            "did 20 pushups",
            "today at 9am",
            "this morning",
            "2020-01-01T00:00:00Z",
            "99:99",
            "at 25",
            "5k",
            "i am back",
        ] {
            assert_eq!(named(text, NOW, "Europe/London"), None, "{text:?}");
        }
    }

    #[test]
    fn clocks_that_jump_are_read_as_the_days_rules_say() {
        // 01:30 on 29 March does not exist in London: the first instant after the jump.
        assert_eq!(named("01:30", "2026-03-28T22:00:00Z", "Europe/London").as_deref(), Some("Sun 29 02:00"));
        // 01:30 on 25 October occurs twice: the first.
        let zone: Zone = "Europe/London".parse().unwrap();
        let at = named_time("01:30", "2026-10-24T22:00:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(at.to_string(), "2026-10-25T00:30:00Z");
        // In an hour is an hour, whatever the clocks do; tomorrow at 7 is 7 on the wall.
        let at = named_time("in an hour", "2026-03-29T00:30:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(at.to_string(), "2026-03-29T01:30:00Z");
        let at = named_time("tomorrow 7am", "2026-03-28T12:00:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(at.to_string(), "2026-03-29T06:00:00Z");
    }

    #[test]
    fn the_zone_decides_what_lies_ahead() {
        assert_eq!(named("at 9", NOW, "America/New_York").as_deref(), Some("Thu 26 21:00"));
        assert_eq!(named("at 10", NOW, "America/New_York").as_deref(), Some("Thu 26 10:00"));
        assert_eq!(named("tomorrow 7am", NOW, "Pacific/Auckland").as_deref(), Some("Sat 28 07:00"));
    }

    #[test]
    fn the_end_of_a_pause_is_understood() {
        let today = date(2026, 11, 26);
        let cases = [
            ("until monday", date(2026, 11, 30)),
            ("stop calling me until next monday", date(2026, 11, 30)),
            ("till the 5th", date(2026, 12, 5)),
            ("hold the calls til the 15th", date(2026, 12, 15)),
            ("pause for a week", date(2026, 12, 3)),
            ("for 3 days", date(2026, 11, 29)),
            ("a couple of days", date(2026, 11, 28)),
            ("a few days", date(2026, 11, 29)),
            ("for the next three days", date(2026, 11, 29)),
            ("for a fortnight", date(2026, 12, 10)),
            ("need a month off", date(2026, 12, 26)),
            ("away for two weeks from tomorrow", date(2026, 12, 11)),
            ("going on vacation, back aug 12", date(2027, 8, 12)),
            ("back on friday", date(2026, 11, 27)),
            ("until i'm back on the 20th", date(2026, 12, 20)),
            ("hasta el lunes", date(2026, 11, 30)),
            ("hasta el 3 de diciembre", date(2026, 12, 3)),
            ("until 12 december", date(2026, 12, 12)),
            ("until the 12th of january", date(2027, 1, 12)),
            ("until 2026-12-24", date(2026, 12, 24)),
            ("until tomorrow", date(2026, 11, 27)),
            ("until next week", date(2026, 11, 30)),
            ("no calls this week", date(2026, 11, 30)),
            ("away next week", date(2026, 12, 7)),
            ("for the weekend", date(2026, 11, 30)),
            ("until the new year", date(2027, 1, 1)),
            ("una semana", date(2026, 12, 3)),
            ("necesito una pausa de dos semanas", date(2026, 12, 10)),
            ("unos dias", date(2026, 11, 29)),
        ];
        for (text, expected) in cases {
            assert_eq!(pause_until(text, today), Some(expected), "{text:?}");
        }
        for text in ["pause", "until i'm better", "for a bit", "", "until further notice", "2020-01-01", "for 0 weeks"]
        {
            assert_eq!(pause_until(text, today), None, "{text:?}");
        }
    }

    fn phrase() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "at",
            "6",
            "half",
            "past",
            "quarter",
            "to",
            "tomorrow",
            "tonight",
            "monday",
            "in",
            "an",
            "hour",
            "30",
            "mins",
            "noon",
            "midnight",
            "18:30",
            "0000",
            "2359",
            "am",
            "pm",
            "mañana",
            "a",
            "las",
            "y",
            "media",
            "next",
            "week",
            "until",
            "the",
            "31st",
            "february",
            "29",
            "couple",
            "of",
            "999",
            "days",
            "99999999999999999999",
        ]);
        prop::collection::vec(words, 1..7).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn no_text_names_the_past(
            text in prop_oneof![phrase(), any::<String>()],
            seconds in -60_000_000_000_i64..200_000_000_000,
            zone in prop::sample::select(vec!["Europe/London", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "UTC"]),
        ) {
            let now = Timestamp::from_second(seconds).unwrap();
            let zone: Zone = zone.parse().unwrap();
            prop_assert!(named_time(&text, now, &zone).is_none_or(|at| at > now));
            let today = zone.time_zone().to_datetime(now).date();
            prop_assert!(pause_until(&text, today).is_none_or(|date| date > today));
        }

        #[test]
        fn the_ends_of_the_calendar_do_no_harm(text in phrase()) {
            let zone: Zone = "Europe/London".parse().unwrap();
            for now in [Timestamp::MIN, Timestamp::MAX] {
                prop_assert!(named_time(&text, now, &zone).is_none_or(|at| at > now));
            }
            let _ = (pause_until(&text, Date::MIN), pause_until(&text, Date::MAX));
        }
    }
}
