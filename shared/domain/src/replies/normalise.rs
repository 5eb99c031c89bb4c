//! From what people type to words that tables can be compared with.
//!
//! A text becomes clauses, a clause becomes words: lower case, accents and apostrophes gone, emoji read as words, digits
//! parted from letters (`6pm`), contractions written out (`didnt`, `didn't` and `did not` are one), short forms of chats
//! and common misspellings brought to one spelling, letters held down (`doneeee`) let go. Commas, full stops and the
//! conjunctions that turn a sentence ("but", "so", "though") part clauses, since what is negated or asked in one clause
//! is not in the next. Typing errors are mended only toward a short list of long or telling words ([`words::KEYWORDS`]) and
//! within narrow bounds: a general spelling corrector would make "smart" into "start".

use super::words;

/// A part of a message that says one thing.
#[derive(Debug, Default, Clone)]
pub(super) struct Clause {
    pub(super) words: Vec<String>,
    /// It ended with a question mark.
    pub(super) asked: bool,
    /// It gives a reason ("because …", "cos …") and so decides only where nothing else does.
    pub(super) reason: bool,
}

/// All words, clause boundaries forgotten.
pub(super) fn flat(clauses: &[Clause]) -> Vec<String> {
    clauses.iter().flat_map(|clause| clause.words.iter().cloned()).collect()
}

/// The longest text that is read: nobody reports a workout in more, and work stays bounded.
const MOST_CHARACTERS: usize = 1_000;

pub(super) fn clauses(text: &str) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for (raw, asked) in sentences(&fold(text)) {
        let mut words: Vec<String> = raw.split_whitespace().flat_map(split_digits).collect();
        words = words.into_iter().flat_map(|word| spell_out(&word)).collect();
        will_or_unwell(&mut words);
        join(&mut words);
        part(words, asked, &mut clauses);
    }
    clauses
}

/// Lower case without accents; apostrophes leave a mark of their own, emoji become words.
pub(super) fn fold(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars().take(MOST_CHARACTERS).flat_map(char::to_lowercase) {
        if let Some((_, word)) = words::EMOJI.iter().find(|(emoji, _)| *emoji == character) {
            plain.push(' ');
            plain.push_str(word);
            plain.push(' ');
            continue;
        }
        match character {
            '\'' | '’' | '‘' | '`' | '´' => plain.push('\''),
            // Combining marks, joiners, variation selectors and the box of a keycap.
            '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200f}' | '\u{fe00}'..='\u{fe0f}' | '\u{20e3}' => {}
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' => plain.push('a'),
            'ç' => plain.push('c'),
            'è' | 'é' | 'ê' | 'ë' | 'ē' => plain.push('e'),
            'ì' | 'í' | 'î' | 'ï' | 'ī' => plain.push('i'),
            'ñ' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' => plain.push('o'),
            'ù' | 'ú' | 'û' | 'ü' | 'ū' => plain.push('u'),
            'ý' | 'ÿ' => plain.push('y'),
            character => plain.push(character),
        }
    }
    plain
}

/// The text cut at punctuation, each part with whether a question mark ended it. Marks between digits stay.
fn sentences(text: &str) -> Vec<(String, bool)> {
    let characters: Vec<char> = text.chars().collect();
    let digit = |index: Option<usize>| index.and_then(|i| characters.get(i)).is_some_and(char::is_ascii_digit);
    let mut found = Vec::new();
    let mut current = String::new();
    for (index, character) in characters.iter().copied().enumerate() {
        let between_digits = digit(index.checked_sub(1)) && digit(Some(index + 1));
        let between_letters = index.checked_sub(1).and_then(|i| characters.get(i)).is_some_and(|c| c.is_alphanumeric())
            && characters.get(index + 1).is_some_and(|c| c.is_alphanumeric());
        match character {
            ',' if between_digits => {}
            '.' | ':' | '/' if between_digits => current.push(character),
            '?' => found.push((std::mem::take(&mut current), true)),
            // "thanks.bye" parts, "p.m." and "e-mail" do not.
            '.' if between_letters && single_letter_before(&characters, index) => {}
            ',' | '.' | '!' | ';' | ':' | '\n' | '\r' | '…' | '—' | '–' | '(' | ')' | '¿' | '¡' => {
                found.push((std::mem::take(&mut current), false));
            }
            '-' if !between_letters => found.push((std::mem::take(&mut current), false)),
            '%' => current.push_str(" percent "),
            '\'' => current.push('\''),
            '&' | '+' => current.push_str(" and "),
            character if character.is_alphanumeric() => current.push(character),
            _ => current.push(' '),
        }
    }
    found.push((current, false));
    found.retain(|(part, _)| part.chars().any(char::is_alphanumeric));
    found
}

fn single_letter_before(characters: &[char], dot: usize) -> bool {
    dot == 1 || dot.checked_sub(2).and_then(|i| characters.get(i)).is_some_and(|c| !c.is_alphanumeric())
}

/// `6pm` is two words, `5k` too; `6:30`, `7.5` and `2nd` are one, and so are the short forms of chats (`2moro`, `l8r`).
fn split_digits(word: &str) -> Vec<String> {
    let word = word.trim_matches('\'');
    if words::SPELLINGS.iter().any(|(short, _)| *short == word) {
        return vec![word.to_owned()];
    }
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | '/');
    let Some(cut) = word.find(|c| !is_number(c)) else { return vec![word.to_owned()] };
    let (head, tail) = word.split_at(cut);
    if head.is_empty() {
        return match word.find(|c: char| c.is_ascii_digit()) {
            Some(cut) => {
                let (letters, digits) = word.split_at(cut);
                [letters.to_owned()].into_iter().chain(split_digits(digits)).collect()
            }
            None => vec![word.to_owned()],
        };
    }
    match tail {
        "st" | "nd" | "rd" | "th" | "x" => vec![word.to_owned()],
        tail => [head.to_owned()].into_iter().chain(split_digits(tail)).collect(),
    }
}

/// A word in its full and common spelling; a contraction becomes several.
fn spell_out(word: &str) -> Vec<String> {
    let bare: String = word.chars().filter(|c| *c != '\'').collect();
    if bare.is_empty() {
        return Vec::new();
    }
    if let Some(words) = spelled(word).or_else(|| spelled(&bare)) {
        return words;
    }
    for (tail, full) in
        [("'ll", "will"), ("'ve", "have"), ("'re", "are"), ("'d", "would"), ("'m", "am"), ("n't", "not")]
    {
        if let Some(head) = word.strip_suffix(tail).filter(|head| !head.is_empty()) {
            return vec![head.replace('\'', ""), full.to_owned()];
        }
    }
    if let Some(head) = word.strip_suffix("'s") {
        // A possessive or "is": neither decides anything, so the word stands alone.
        return vec![head.replace('\'', "")];
    }
    let released = release(&bare);
    if let Some(words) = spelled(&released) {
        return words;
    }
    // "goin", "skippin".
    let whole = (released.len() > 3 && released.ends_with("in")).then(|| format!("{released}g"));
    let mended = mended(&released);
    if (whole.is_none() && mended.is_none()) || words::is_known(&released) {
        return vec![released];
    }
    vec![whole.filter(|whole| words::is_known(whole)).or_else(|| mended.map(str::to_owned)).unwrap_or(released)]
}

fn spelled(word: &str) -> Option<Vec<String>> {
    let (_, full) = words::SPELLINGS.iter().find(|(short, _)| *short == word)?;
    Some(full.split(' ').map(str::to_owned).collect())
}

/// Letters held down: three or more of one become one, or two where that makes a word we know.
fn release(word: &str) -> String {
    let squeeze = |keep: usize| {
        let mut squeezed = String::with_capacity(word.len());
        let characters: Vec<char> = word.chars().collect();
        for run in characters.chunk_by(|a, b| a == b) {
            let kept = if run.len() >= 3 && !run[0].is_ascii_digit() { keep } else { run.len() };
            squeezed.extend(run.iter().take(kept));
        }
        squeezed
    };
    let one = squeeze(1);
    if one == word || words::is_known(&one) {
        return one;
    }
    let two = squeeze(2);
    if words::is_known(&two) { two } else { one }
}

/// The keyword that a mistyped word means, if one is near enough.
fn mended(word: &str) -> Option<&'static str> {
    let length = word.chars().count();
    if !(4..=16).contains(&length)
        || !word.is_ascii()
        || word.bytes().any(|b| b.is_ascii_digit())
        || words::NOT_TYPOS.contains(&word)
    {
        return None;
    }
    let near = |keyword: &&str| keyword.len().abs_diff(word.len()) <= 1;
    words::KEYWORDS.iter().copied().filter(near).find(|keyword| is_slip(word.as_bytes(), keyword.as_bytes()))
}

/// Whether one slip of the fingers leads from `meant` to `typed`. Two neighbours swapped or a letter doubled or halved
/// count in every keyword; a letter lost, added or replaced only in the longer ones, where few other words are as near;
/// in short ones a letter may be replaced by its neighbour on the keyboard.
fn is_slip(typed: &[u8], meant: &[u8]) -> bool {
    let prefix = typed.iter().zip(meant).take_while(|(a, b)| a == b).count();
    let (a, b) = (&typed[prefix..], &meant[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - suffix], &b[..b.len() - suffix]);
    let long = meant.len() >= 6;
    match (a, b) {
        ([x, y], [z, w]) => x == w && y == z || (meant.len() >= 9 && prefix > 0),
        ([x], [y]) => prefix > 0 && (long || (meant.len() >= 4 && neighbours(*x, *y))),
        ([x], []) => {
            long || (prefix > 0 && typed[prefix - 1] == *x) || (prefix == meant.len() && meant.len() >= 5 && *x != b's')
        }
        ([], [x]) => prefix > 0 && (long || meant[prefix - 1] == *x),
        _ => false,
    }
}

fn neighbours(a: u8, b: u8) -> bool {
    let rows: [&[u8]; 3] = [b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];
    let place = |key: u8| {
        rows.iter().enumerate().find_map(|(row, keys)| keys.iter().position(|k| *k == key).map(|column| (row, column)))
    };
    match (place(a), place(b)) {
        (Some((row_a, column_a)), Some((row_b, column_b))) => row_a == row_b && column_a.abs_diff(column_b) == 1,
        _ => false,
    }
}

/// "ill" without its apostrophe: "I will" before a verb, unwell otherwise.
fn will_or_unwell(words: &mut Vec<String>) {
    if let Some(at) = words.iter().position(|word| word == "ill")
        && words.get(at + 1).is_some_and(|next| words::AFTER_WILL.contains(&next.as_str()))
        && at.checked_sub(1).and_then(|i| words.get(i)).is_none_or(|before| before != "am" && before != "is")
    {
        words.splice(at..=at, ["i".to_owned(), "will".to_owned()]);
    }
}

/// Words that are written as one or as two.
fn join(words: &mut Vec<String>) {
    for (apart, joined) in words::JOINED {
        let parts: Vec<&str> = apart.split(' ').collect();
        while let Some(at) = words.windows(parts.len()).position(|window| window == parts.as_slice()) {
            words.splice(at..at + parts.len(), joined.split(' ').map(str::to_owned));
        }
    }
}

/// Cuts at the conjunctions that begin another statement.
fn part(words: Vec<String>, asked: bool, clauses: &mut Vec<Clause>) {
    let mut current = Clause { asked, ..Clause::default() };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().map_or("", String::as_str);
        let turns = words::TURNS.contains(&word.as_str())
            || (word == "and" && words::AFTER_AND.contains(&next))
            || (word == "so" && words::AFTER_SO.contains(&next));
        let explains = words::BECAUSE.contains(&word.as_str());
        if explains || (turns && !current.words.is_empty()) {
            let next = Clause { asked, reason: explains, ..Clause::default() };
            let done = std::mem::replace(&mut current, next);
            if !done.words.is_empty() {
                clauses.push(Clause { asked: false, ..done });
            }
        } else if !turns {
            current.words.push(word);
        }
    }
    if !current.words.is_empty() {
        clauses.push(current);
    }
}
