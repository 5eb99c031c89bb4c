//! Understanding what people write back: words to intents, from tables.
//!
//! A text is normalised (case, accents, punctuation and apostrophes gone, emoji turned into words) and
//! compared in a fixed order: whole-message words that carriers act on, then scores, then phrases. The
//! order of the phrase table decides where a text holds several: what denies ("not done") or defers
//! ("tomorrow") comes before what affirms. A phrase matches whole words only. STOP counts only as the
//! whole message, since "don't stop" must not unsubscribe anyone; [`asks_to_stop`] finds the free text
//! that deserves the question what to stop.

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
    Stop,
    Start,
    Other,
}

/// Whole messages, normalised. They win over everything else.
const WHOLE: [(Intent, &[&str]); 11] = [
    (
        Intent::Stop,
        &["stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out"],
    ),
    (Intent::Stop, &["alto", "parar", "baja"]),
    (Intent::Start, &["start", "unstop", "subscribe", "opt in", "optin"]),
    (Intent::Help, &["help", "info", "rescue", "help me"]),
    (
        Intent::Done,
        &["done", "yes", "y", "yep", "yeah", "did it", "all done", "finished", "complete", "completed", "hecho"],
    ),
    (Intent::Skip, &["skip", "no", "n", "nope", "nah"]),
    (Intent::Partial, &["partial", "half", "partly", "sort of", "kind of", "a bit", "some"]),
    (Intent::Rest, &["rest", "resting", "day off"]),
    (Intent::Reschedule, &["later", "reschedule", "tomorrow", "tonight", "snooze", "not yet"]),
    (Intent::Pause, &["pause", "holiday", "vacation"]),
    (Intent::Resume, &["resume", "unpause", "continue", "im back", "back"]),
];

/// Phrases inside a message, in the order in which they are tried.
const PHRASES: [(Intent, &[&str]); 10] = [
    (
        Intent::Skip,
        &[
            "not done",
            "didnt do",
            "didnt make",
            "didnt go",
            "didnt manage",
            "didnt happen",
            "did not",
            "havent done",
            "not today",
            "havent finished",
            "couldnt",
            "could not",
            "wont make it",
            "not going to",
            "missed it",
            "didnt",
        ],
    ),
    (
        Intent::Partial,
        &[
            "half",
            "partial",
            "partially",
            "partly",
            "short one",
            "shorter",
            "a little",
            "some of it",
            "part of it",
            "cut it short",
            "almost done",
            "nearly done",
            "not all",
            "minimum",
        ],
    ),
    (
        Intent::Reschedule,
        &[
            "reschedule",
            "later",
            "tomorrow",
            "move it",
            "another time",
            "postpone",
            "this evening",
            "tonight",
            "push it",
        ],
    ),
    (Intent::Rest, &["rest day", "resting", "day off", "recovery day", "taking a rest"]),
    (
        Intent::Done,
        &[
            "did it",
            "done",
            "finished",
            "completed",
            "nailed it",
            "smashed it",
            "crushed it",
            "made it",
            "just ran",
            "went for",
            "all good",
            "tick",
            "sorted",
        ],
    ),
    (Intent::Skip, &["skip", "skipping", "skipped", "pass on", "give it a miss"]),
    (
        Intent::Status,
        &["streak", "how am i doing", "my progress", "status", "my stats", "how many", "my impact", "how much have i"],
    ),
    (
        Intent::Help,
        &[
            "cant",
            "cannot",
            "can not",
            "struggling",
            "tired",
            "exhausted",
            "help",
            "rescue",
            "no energy",
            "too hard",
            "no motivation",
            "not feeling it",
            "give up",
            "giving up",
            "overwhelmed",
            "stressed",
        ],
    ),
    (
        Intent::Pause,
        &["pause", "on holiday", "on vacation", "take a break", "need a break", "im away", "im sick", "im ill"],
    ),
    (Intent::Resume, &["resume", "unpause", "im back", "back again", "start again", "ready again"]),
];

/// Free text about stopping, which needs the question what to stop.
const STOPPING: [&str; 10] = [
    "stop calling",
    "stop texting",
    "stop messaging",
    "stop contacting",
    "stop sending",
    "dont call",
    "dont text",
    "dont message",
    "leave me alone",
    "unsubscribe me",
];

/// Emoji that say something.
const EMOJI: [(char, &str); 14] = [
    ('✅', "done"),
    ('✔', "done"),
    ('☑', "done"),
    ('👍', "done"),
    ('💪', "done"),
    ('🎉', "done"),
    ('🙌', "done"),
    ('👌', "done"),
    ('🏆', "done"),
    ('❌', "skip"),
    ('👎', "skip"),
    ('😴', "tired"),
    ('😩', "tired"),
    ('🆘', "help"),
];

const NUMBERS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// The intent of a text.
#[must_use]
pub fn understand(text: &str) -> Intent {
    let text = normalise(text);
    if let Some((intent, _)) = WHOLE.iter().find(|(_, words)| words.contains(&text.as_str())) {
        return *intent;
    }
    if !text.is_empty() && text.split(' ').all(|word| word == "done") {
        return Intent::Done;
    }
    if let Some(score) = score(&text) {
        return Intent::Score(score);
    }
    if asks_to_stop_normalised(&text) {
        return Intent::Other;
    }
    if let Some((Intent::Skip, _)) = phrase(&text) {
        return if names_a_time(&text) { Intent::Reschedule } else { Intent::Skip };
    }
    match phrase(&text) {
        Some((intent @ (Intent::Partial | Intent::Rest | Intent::Done | Intent::Status), _)) => intent,
        Some((intent, _)) if !names_a_time(&text) => intent,
        _ if names_a_time(&text) => Intent::Reschedule,
        _ => Intent::Other,
    }
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

/// Whether the text asks to be left alone in free words ("stop calling me"): to be asked what should stop.
#[must_use]
pub fn asks_to_stop(text: &str) -> bool {
    let text = normalise(text);
    understand(&text) != Intent::Stop && asks_to_stop_normalised(&text)
}

/// Whether the text is the carriers' keyword for "who are you": HELP or INFO, alone.
#[must_use]
pub fn is_help_keyword(text: &str) -> bool {
    matches!(normalise(text).as_str(), "help" | "info")
}

fn asks_to_stop_normalised(text: &str) -> bool {
    STOPPING.iter().any(|words| has_words(text, words))
}

fn phrase(text: &str) -> Option<(Intent, &'static str)> {
    PHRASES.iter().find_map(|(intent, phrases)| {
        phrases.iter().find(|words| has_words(text, words)).map(|words| (*intent, *words))
    })
}

fn has_words(text: &str, words: &str) -> bool {
    format!(" {text} ").contains(&format!(" {words} "))
}

/// `7`, `7/10`, `7 out of 10`, `seven`.
fn score(text: &str) -> Option<u8> {
    let word = ["out of 10", "out of ten", "10", "of 10"]
        .iter()
        .find_map(|tail| text.strip_suffix(tail).and_then(|head| head.strip_suffix(' ')))
        .unwrap_or(text);
    let spelled = NUMBERS.iter().position(|number| *number == word).and_then(|index| u8::try_from(index + 1).ok());
    spelled.or_else(|| word.parse().ok()).filter(|score| (1..=10).contains(score))
}

/// Whether a time of day is named: `6pm`, `6 pm`, `at 18 30` (the colon is gone by now), `at 6`.
fn names_a_time(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let is_hour = |word: &str| word.parse::<u8>().is_ok_and(|hour| hour < 24);
    let with_half = |word: &str| word.strip_suffix("am").or(word.strip_suffix("pm")).is_some_and(is_hour);
    words.iter().any(|word| with_half(word))
        || words.windows(2).any(|pair| is_hour(pair[0]) && matches!(pair[1], "am" | "pm" | "oclock"))
        || words.windows(2).any(|pair| pair[0] == "at" && is_hour(pair[1]))
}

/// Lower case, accents off, apostrophes dropped, emoji as words, all else between words one space.
fn normalise(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        if let Some((_, word)) = EMOJI.iter().find(|(emoji, _)| *emoji == character) {
            plain.push(' ');
            plain.push_str(word);
            plain.push(' ');
            continue;
        }
        match character {
            '\'' | '’' | '‘' | '`' | '´' | '\u{300}'..='\u{36f}' => {}
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => plain.push('a'),
            'ç' => plain.push('c'),
            'è' | 'é' | 'ê' | 'ë' => plain.push('e'),
            'ì' | 'í' | 'î' | 'ï' => plain.push('i'),
            'ñ' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => plain.push('o'),
            'ù' | 'ú' | 'û' | 'ü' => plain.push('u'),
            'ý' | 'ÿ' => plain.push('y'),
            character if character.is_alphanumeric() => plain.push(character),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_understood() {
        let cases: [(Intent, &[&str]); 13] = [
            (Intent::Done, &["DONE", "Did it!", "finished ✅", "✅", "👍🏽", "💪💪", "I'm done", "Completed.", "hecho"]),
            (Intent::Partial, &["half", "Just a short one", "did half of it", "partially done"]),
            (Intent::Skip, &["SKIP", "not done", "I didn't do it", "Didn’t manage", "nope", "skipping this one"]),
            (Intent::Rest, &["rest day", "Resting", "REST"]),
            (Intent::Help, &["can't", "I’m struggling", "so tired", "help", "no energy at all", "🆘"]),
            (
                Intent::Reschedule,
                &["later", "at 6pm", "tomorrow 7am", "can we do 6 pm?", "can't, at 18:30?", "not yet"],
            ),
            (Intent::Pause, &["pause", "I need a break", "on holiday"]),
            (Intent::Resume, &["resume", "I'm back"]),
            (Intent::Status, &["streak", "How am I doing?", "status"]),
            (Intent::Score(7), &["7", "7/10", "seven", "7 out of 10"]),
            (Intent::Stop, &["STOP", "stop.", "Unsubscribe", "STOPALL", "ALTO", "Parar", "baja"]),
            (Intent::Start, &["START", "unstop"]),
            (Intent::Other, &["", "👀", "hello there", "don't stop", "stop calling me", "11", "0"]),
        ];
        for (intent, texts) in cases {
            for text in texts {
                assert_eq!(understand(text), intent, "{text:?}");
            }
        }
    }

    #[test]
    fn ten_out_of_ten_is_ten() {
        assert_eq!(understand("10"), Intent::Score(10));
        assert_eq!(understand("10/10"), Intent::Score(10));
    }

    #[test]
    fn free_text_about_stopping_is_told_apart() {
        assert!(asks_to_stop("Please STOP calling me!"));
        assert!(asks_to_stop("don't text me"));
        assert!(!asks_to_stop("STOP") && !asks_to_stop("can't stop, done"));
        assert!(is_help_keyword("HELP!") && !is_help_keyword("help me"));
    }

    #[test]
    fn buttons_are_known_by_their_ids() {
        assert_eq!(understand_button("done"), Some(Intent::Done));
        assert_eq!(understand_button("skip"), Some(Intent::Skip));
        assert_eq!(understand_button("snooze_15"), None);
    }
}
