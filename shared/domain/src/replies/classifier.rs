//! A second opinion on a reply: what its words, pairs of words and pieces of words have meant in replies that people labelled.
//!
//! A linear classifier (multinomial logistic regression) over features that are hashed into buckets. Its weights are data, learnt from
//! `tests/world/data/replies.csv` by `cargo run --release -p ivy-replies`; nothing is learnt from what users write. What it says is the
//! sum of the rows that [`features`] names, so what made it say so can be looked up.

use std::collections::BTreeSet;

use super::Intent;

/// What the classifier can say, in the order of the columns of its table. The number of a score is no part of it.
pub const INTENTS: [Intent; 13] = [
    Intent::Done,
    Intent::Partial,
    Intent::Skip,
    Intent::Rest,
    Intent::Help,
    Intent::Reschedule,
    Intent::Pause,
    Intent::Resume,
    Intent::Status,
    Intent::Score(1),
    Intent::Stop,
    Intent::Start,
    Intent::Other,
];

/// Rows of the table of weights. Twice as many make no difference that could be measured; half as many cost half a point.
pub const BUCKETS: usize = 1 << 16;

/// The scale as a little-endian `f32`, then for each bucket a signed byte for each of [`INTENTS`].
static WEIGHTS: &[u8] = include_bytes!("weights.bin");

/// How sure the classifier must be where the rules found nothing, and where they found something else. A workout that is done
/// moves money: for that it must be surer.
const ENOUGH: f32 = 0.5;
const ENOUGH_FOR_DONE: f32 = 0.6;
const ENOUGH_TO_OVERRULE: f32 = 0.7;
const ENOUGH_TO_OVERRULE_WITH_DONE: f32 = 0.8;
/// How sure that what the rules read as a wish to be left alone is none ("my head won't shut up"), and that a pause is over.
const ENOUGH_ABOUT_BEING_LEFT_ALONE: f32 = 0.9;

/// With one of these a pause may be meant that is not over.
const HELD_BACK: [&str; 30] = [
    "not", "no", "dont", "cant", "cannot", "isnt", "arent", "wont", "wasnt", "never", "yet", "until", "till", "til",
    "when", "if", "once", "before", "almost", "nearly", "soon", "later", "next", "might", "maybe", "hope", "hoping",
    "still", "cuando", "aun",
];

/// What a text means to which the rules have given `intent`.
///
/// The rules alone give consent back. What they take for a wish to be left alone is asked about unless it is very surely another.
/// What has neither words nor emoji is left to them as well.
pub(super) fn second_opinion(text: &str, intent: Intent) -> Intent {
    judge(WEIGHTS, text, intent)
}

/// The second opinion on a text, by other weights than those that are in use.
#[must_use]
pub fn judge(weights: &[u8], text: &str, intent: Intent) -> Intent {
    if intent == Intent::Start {
        return intent;
    }
    let words = words(text);
    if !words.iter().any(|word| word.starts_with(char::is_alphabetic)) {
        return intent;
    }
    let likelihoods = likelihoods(weights, &features_of(&words));
    let likeliest = INTENTS.into_iter().zip(likelihoods).max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((likeliest, likelihood)) = likeliest else { return intent };
    let enough = match (intent, likeliest) {
        (Intent::Stop, _) | (_, Intent::Resume) => ENOUGH_ABOUT_BEING_LEFT_ALONE,
        (Intent::Other, Intent::Done) => ENOUGH_FOR_DONE,
        (Intent::Other, _) => ENOUGH,
        (_, Intent::Done) => ENOUGH_TO_OVERRULE_WITH_DONE,
        _ => ENOUGH_TO_OVERRULE,
    };
    match likeliest {
        _ if likelihood <= enough => intent,
        Intent::Start => intent,
        // "Stop nagging me, I'll do it later": who wants peace is not asked for a time.
        Intent::Reschedule if intent == Intent::Stop => intent,
        Intent::Resume if words.iter().any(|word| HELD_BACK.contains(&word.as_str())) => intent,
        Intent::Score(_) => super::named_score(text).map_or(intent, Intent::Score),
        likeliest => likeliest,
    }
}

/// Words, pairs of them side by side and with one between, and pieces of two to five letters of each word, as buckets: sorted, each once. A bucket is the head of
/// an FNV-1a hash. Case, accents, apostrophes and ASCII marks around the text are ignored; marks within it are words, as emoji are, and
/// so is a question mark at its end.
#[must_use]
pub fn features(text: &str) -> Vec<usize> {
    features_of(&words(text))
}

fn features_of(words: &[String]) -> Vec<usize> {
    let mut found = BTreeSet::new();
    for word in words {
        found.insert(bucket(&format!("w {word}")));
        let framed: Vec<char> = format!("<{word}>").chars().collect();
        for length in 2..=5 {
            found.extend(framed.windows(length).map(|piece| bucket(&format!("c {}", String::from_iter(piece)))));
        }
    }
    let framed: Vec<&str> = ["^"].into_iter().chain(words.iter().map(String::as_str)).chain(["$"]).collect();
    found.extend(framed.windows(2).map(|pair| bucket(&format!("w {} {}", pair[0], pair[1]))));
    found.extend(framed.windows(3).map(|run| bucket(&format!("s {} {}", run[0], run[2]))));
    found.into_iter().collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = Kind::Gap;
    let folded = super::normalise::fold(text);
    let around = |character: char| character != '?' && (character.is_ascii_punctuation() || character.is_whitespace());
    for character in folded.trim_matches(around).chars() {
        let kind = match character {
            '\'' => continue,
            character if character.is_alphabetic() => Kind::Letter,
            character if character.is_ascii_digit() => Kind::Digit,
            character if character.is_whitespace() => Kind::Gap,
            _ => Kind::Mark,
        };
        match (kind, words.last_mut()) {
            (Kind::Gap, _) => {}
            (Kind::Letter | Kind::Digit, Some(word)) if last == kind => word.push(character),
            _ => words.push(character.to_string()),
        }
        last = kind;
    }
    words
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Letter,
    Digit,
    Mark,
    Gap,
}

fn bucket(feature: &str) -> usize {
    let hash = feature
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    usize::try_from(hash >> (u64::BITS - BUCKETS.trailing_zeros())).unwrap_or_default()
}

/// How likely each of [`INTENTS`] is with such features, by weights as `weights.bin` holds them.
fn likelihoods(weights: &[u8], features: &[usize]) -> [f32; INTENTS.len()] {
    let (scale, rows) =
        weights.split_first_chunk().map_or((0.0, &[][..]), |(scale, rows)| (f32::from_le_bytes(*scale), rows));
    let mut sums = [0_i32; INTENTS.len()];
    for feature in features {
        for (sum, weight) in sums.iter_mut().zip(rows.iter().skip(feature * INTENTS.len())) {
            *sum += i32::from(weight.cast_signed());
        }
    }
    let value = value_of_each(features.len());
    softmax(sums.map(|sum| sum as f32 * scale * value))
}

/// What each of so many features counts, so that a long message says no more than a short one.
#[must_use]
pub fn value_of_each(features: usize) -> f32 {
    1.0 / (features.max(1) as f32).sqrt()
}

/// Scores as probabilities.
#[must_use]
pub fn softmax(scores: [f32; INTENTS.len()]) -> [f32; INTENTS.len()] {
    let most = scores.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let powers = scores.map(|score| (score - most).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_weight_for_each_bucket_and_intent() {
        assert_eq!(WEIGHTS.len(), size_of::<f32>() + BUCKETS * INTENTS.len());
    }

    #[test]
    fn what_is_plain_is_told_with_certainty() {
        for (text, intent) in [
            ("I just can't face it", Intent::Help),
            ("went for my run this morning", Intent::Done),
            ("please stop texting me", Intent::Stop),
        ] {
            let at = INTENTS.iter().position(|known| *known == intent).unwrap();
            let likelihood = likelihoods(WEIGHTS, &features(text))[at];
            assert!(likelihood > ENOUGH_TO_OVERRULE, "{text}: {likelihood}");
        }
    }

    #[test]
    fn what_is_no_word_is_no_workout() {
        for text in
            ["hgdfjkgh", "Wxyz foo bar", "qpwoeiruty", "Qxinbound Qxinbound", "ksjdfh ksdjfh", "brrrrt", "mjnhbgv"]
        {
            assert_eq!(second_opinion(text, Intent::Other), Intent::Other, "{text}");
        }
    }

    #[test]
    fn consent_is_not_given_back_by_likelihood_and_a_wish_to_be_left_alone_hardly_taken_away() {
        assert_eq!(second_opinion("START texting me again", Intent::Other), Intent::Other);
        assert_eq!(second_opinion("not ready to start again", Intent::Other), Intent::Other);
        for wish in ["stop texting me", "leave me alone now", "no more of your calls", "I want out, please delete me"] {
            assert_eq!(second_opinion(wish, Intent::Stop), Intent::Stop, "{wish}");
        }
        assert_eq!(second_opinion("stop nagging, I did it", Intent::Stop), Intent::Done);
    }
}
