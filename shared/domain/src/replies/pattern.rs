//! The small language in which the tables of phrases are written.
//!
//! A pattern is words that follow one another inside a clause. `a/b` is either word, `word?` may be missing, `..` stands for up to
//! four words, `_` for exactly one, `#` for a number in digits or letters, `~name` for any word of a class
//! ([`super::words::CLASSES`]); `^` and `$` hold a pattern to the beginning and the end of the clause.

use super::words;

/// A pattern is matched as it is written: no table has to be parsed before the first text.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    items: &'static str,
    from_start: bool,
    to_end: bool,
}

/// Where a pattern was found: words `from..to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Pattern {
    fn new(source: &'static str) -> Self {
        let inner = source.strip_prefix("^ ").unwrap_or(source);
        let items = inner.strip_suffix(" $").unwrap_or(inner);
        Self { items, from_start: inner.len() != source.len(), to_end: items.len() != inner.len() }
    }

    fn find(self, words: &[String]) -> Option<Span> {
        self.spans(words).next()
    }

    /// Every place in which the pattern begins.
    fn spans(self, words: &[String]) -> impl Iterator<Item = Span> {
        let starts = if self.from_start { 0..1 } else { 0..words.len() };
        starts.filter_map(move |from| self.end(self.items, words, from).map(|to| Span { from, to }))
    }

    fn end(self, items: &'static str, words: &[String], at: usize) -> Option<usize> {
        if items.is_empty() {
            return (!self.to_end || at == words.len()).then_some(at);
        }
        let (item, rest) = items.split_once(' ').unwrap_or((items, ""));
        if item == ".." {
            return (0..=4).filter(|gap| at + gap <= words.len()).find_map(|gap| self.end(rest, words, at + gap));
        }
        let (mut choices, optional) = choices(item);
        words
            .get(at)
            .filter(|word| choices.any(|choice| choice.takes(word)))
            .and_then(|_| self.end(rest, words, at + 1))
            .or_else(|| if optional { self.end(rest, words, at) } else { None })
    }

    /// The item that must be there and has the fewest words, if one names its words.
    fn narrowest(self) -> Option<&'static str> {
        let mut narrowest: Option<(usize, &str)> = None;
        for item in self.items.split(' ').filter(|item| *item != "..") {
            let (choices, optional) = choices(item);
            if optional {
                continue;
            }
            match choices.map(|choice| choice.words().map(<[_]>::len)).sum() {
                Some(1) => return Some(item),
                Some(count) if narrowest.is_none_or(|(least, _)| count < least) => narrowest = Some((count, item)),
                _ => {}
            }
        }
        narrowest.map(|(_, item)| item)
    }
}

/// The choices of an item, and whether all of them may be missing.
fn choices(item: &'static str) -> (impl Iterator<Item = Choice>, bool) {
    let named = item.strip_suffix('?');
    let choices = named.unwrap_or(item).split('/').map(|choice| match choice {
        "#" => Choice::Number,
        "_" => Choice::Any,
        choice => choice.strip_prefix('~').map_or(Choice::Word([choice]), |class| Choice::Class(words::class(class))),
    });
    (choices, named.is_some())
}

enum Choice {
    Number,
    Any,
    Word([&'static str; 1]),
    Class(&'static [&'static str]),
}

impl Choice {
    fn takes(&self, word: &str) -> bool {
        match self {
            Self::Number => is_number(word),
            Self::Any => true,
            Self::Word([expected]) => *expected == word,
            Self::Class(class) => class.contains(&word),
        }
    }

    /// The words that it names, if it does.
    fn words(&self) -> Option<&[&'static str]> {
        match self {
            Self::Number | Self::Any => None,
            Self::Word(word) => Some(word),
            Self::Class(class) => Some(class),
        }
    }
}

/// Digits, a decimal, or a number spelled.
pub(super) fn is_number(word: &str) -> bool {
    words::NUMBERS.contains(&word)
        || (word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '/')))
}

/// The head of a word, which an index sorts faster than words.
fn head(word: &str) -> u64 {
    let mut head = [0; 8];
    head.iter_mut().zip(word.bytes()).for_each(|(to, from)| *to = from);
    u64::from_be_bytes(head)
}

/// Patterns in the order of their table.
#[derive(Debug)]
pub(super) struct Table {
    patterns: &'static [&'static str],
    /// Where the head of a word may lead, sorted: each pattern stands under the words of that of its items which has the fewest, so
    /// that a message is held against a few patterns and not against thousands.
    by_head: Vec<(u64, usize)>,
    /// Patterns of which no item that must be there names its words.
    any: Vec<usize>,
}

impl Table {
    pub(super) fn new(patterns: &'static [&'static str]) -> Self {
        let (mut by_head, mut any) = (Vec::with_capacity(2 * patterns.len()), Vec::new());
        for (at, pattern) in patterns.iter().enumerate() {
            match Pattern::new(pattern).narrowest() {
                Some(item) => choices(item).0.for_each(|choice| {
                    by_head.extend(choice.words().unwrap_or_default().iter().map(|word| (head(word), at)));
                }),
                None => any.push(at),
            }
        }
        by_head.sort_unstable();
        Self { patterns, by_head, any }
    }

    /// The patterns that these words may hold, in the order of the table.
    fn candidates(&self, words: &[String]) -> impl Iterator<Item = Pattern> {
        let named = words.iter().flat_map(|word| {
            let head = head(word);
            let from = self.by_head.partition_point(|(other, _)| *other < head);
            self.by_head.iter().skip(from).take_while(move |(other, _)| *other == head).map(|(_, at)| at)
        });
        let mut candidates: Vec<usize> = named.chain(&self.any).copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().filter_map(|at| self.patterns.get(at).map(|pattern| Pattern::new(pattern)))
    }

    pub(super) fn find(&self, words: &[String]) -> Option<Span> {
        self.candidates(words).find_map(|pattern| pattern.find(words))
    }

    pub(super) fn matches(&self, words: &[String]) -> bool {
        self.find(words).is_some()
    }

    pub(super) fn find_all(&self, words: &[String]) -> Vec<Span> {
        self.candidates(words).flat_map(|pattern| pattern.spans(words)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn ends(spans: impl IntoIterator<Item = Span>) -> Vec<(usize, usize)> {
        spans.into_iter().map(|span| (span.from, span.to)).collect()
    }

    #[test]
    fn a_pattern_matches_as_it_is_written() {
        for (pattern, text, found) in [
            ("did it", "i did it", Some((1, 3))),
            ("did it", "did do it", None),
            ("a/b c", "b c", Some((0, 2))),
            ("a/b c", "c", None),
            ("a b/c? d", "a d", Some((0, 2))),
            ("a b/c? d", "a c d", Some((0, 3))),
            ("a b?", "a", Some((0, 1))),
            ("a b?", "a b", Some((0, 2))),
            ("a .. b", "a b", Some((0, 2))),
            ("a .. b", "a 1 2 3 4 b", Some((0, 6))),
            ("a .. b", "a 1 2 3 4 5 b", None),
            ("a _ b", "a x b", Some((0, 3))),
            ("a _ b", "a b", None),
            ("# of", "seven of", Some((0, 2))),
            ("# of", "7.5 of", Some((0, 2))),
            ("# of", "some of", None),
            ("~feat today", "gym today", Some((0, 2))),
            ("~feat today", "feat today", None),
            ("^ did", "did", Some((0, 1))),
            ("^ did", "i did", None),
            ("did $", "i did", Some((1, 2))),
            ("did $", "did it", None),
            ("^ did $", "did", Some((0, 1))),
            ("messages x", "messages x", Some((0, 2))),
            ("messages x", "message x", None),
        ] {
            let spans = ends(Pattern::new(pattern).find(&words(text)));
            assert_eq!(spans, Vec::from_iter(found), "{pattern:?} in {text:?}");
        }
    }

    /// The index by heads finds what a scan of all patterns does, in their order.
    #[test]
    fn a_table_finds_what_all_its_patterns_find() {
        let table = Table::new(&[
            "did it",
            "^ a/b? c",
            "# of .. them",
            "_ pages $",
            "~feat .. today",
            "it? done",
            ".. x",
            "a/of/two",
            "tomorrow",
            "workouts",
            "breakfast",
            "breakfasts",
        ]);
        let all = words(
            "did it a b c 3 of all them two pages run gym today done x breakfasts workout workouts breakfas tomorrow tomorrows",
        );
        let patterns = || table.patterns.iter().map(|pattern| Pattern::new(pattern));
        for from in 0..all.len() {
            for step in 1..=3 {
                let text: Vec<String> = all.iter().skip(from).step_by(step).cloned().collect();
                let scanned = patterns().flat_map(|pattern| pattern.spans(&text).collect::<Vec<_>>());
                assert_eq!(ends(table.find_all(&text)), ends(scanned), "{text:?}");
                let first = patterns().find_map(|pattern| pattern.find(&text));
                assert_eq!(ends(table.find(&text)), ends(first), "{text:?}");
            }
        }
    }
}
