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

    fn end(self, items: &str, words: &[String], at: usize) -> Option<usize> {
        if items.is_empty() {
            return (!self.to_end || at == words.len()).then_some(at);
        }
        let (item, rest) = items.split_once(' ').unwrap_or((items, ""));
        if item == ".." {
            return (0..=4).filter(|gap| at + gap <= words.len()).find_map(|gap| self.end(rest, words, at + gap));
        }
        let (choices, optional) = choices(item);
        words
            .get(at)
            .filter(|word| choices.split('/').any(|choice| takes(choice, word)))
            .and_then(|_| self.end(rest, words, at + 1))
            .or_else(|| if optional { self.end(rest, words, at) } else { None })
    }
}

/// The choices of an item, and whether all of them may be missing.
fn choices(item: &str) -> (&str, bool) {
    item.strip_suffix('?').map_or((item, false), |choices| (choices, true))
}

fn takes(choice: &str, word: &str) -> bool {
    match choice {
        "#" => is_number(word),
        "_" => true,
        choice => match choice.strip_prefix('~') {
            Some(class) => words::class(class).contains(&word),
            None => choice == word,
        },
    }
}

/// The item of a pattern that must be there and has the fewest words, if one names its words.
fn narrowest(pattern: &str) -> Option<&[u8]> {
    let mut narrowest: Option<(usize, &[u8])> = None;
    for item in pattern.as_bytes().split(|byte| *byte == b' ') {
        match count(item) {
            Some(1) => return Some(item),
            Some(count) if narrowest.is_none_or(|(least, _)| count < least) => narrowest = Some((count, item)),
            _ => {}
        }
    }
    narrowest.map(|(_, item)| item)
}

/// How many words an item has, if it must be there and names them.
fn count(item: &[u8]) -> Option<usize> {
    if matches!(item, b".." | b"^" | b"$" | [.., b'?']) {
        return None;
    }
    let mut count = 0;
    for choice in item.split(|byte| *byte == b'/') {
        count += match choice {
            b"#" | b"_" => return None,
            [b'~', class @ ..] => words_of(class).len(),
            _ => 1,
        };
    }
    Some(count)
}

fn words_of(class: &[u8]) -> &'static [&'static str] {
    str::from_utf8(class).map_or(&[], words::class)
}

/// Digits, a decimal, or a number spelled.
pub(super) fn is_number(word: &str) -> bool {
    words::NUMBERS.contains(&word)
        || (word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '/')))
}

/// The head of a word, which an index sorts faster than words.
fn head(word: &[u8]) -> u64 {
    let mut head = [0; 8];
    head.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
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
            let Some(item) = narrowest(pattern) else {
                any.push(at);
                continue;
            };
            for choice in item.split(|byte| *byte == b'/') {
                match choice {
                    [b'~', class @ ..] => {
                        by_head.extend(words_of(class).iter().map(|word| (head(word.as_bytes()), at)))
                    }
                    word => by_head.push((head(word), at)),
                }
            }
        }
        by_head.sort_unstable();
        Self { patterns, by_head, any }
    }

    /// The patterns that these words may hold, in the order of the table.
    fn candidates(&self, words: &[String]) -> impl Iterator<Item = Pattern> {
        let named = words.iter().flat_map(|word| {
            let head = head(word.as_bytes());
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

    /// The index by words finds what a scan of all patterns does, in their order.
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
            "breakfast",
            "breakfasts",
        ]);
        let words = [
            "did",
            "it",
            "a",
            "b",
            "c",
            "3",
            "of",
            "all",
            "them",
            "two",
            "pages",
            "run",
            "gym",
            "today",
            "done",
            "x",
            "breakfasts",
        ];
        let patterns = || table.patterns.iter().map(|pattern| Pattern::new(pattern));
        let ends = |spans: Vec<Span>| spans.into_iter().map(|span| (span.from, span.to)).collect::<Vec<_>>();
        for from in 0..words.len() {
            for step in 1..=3 {
                let text: Vec<String> = words.iter().skip(from).step_by(step).map(|word| (*word).to_owned()).collect();
                let scanned = patterns().flat_map(|pattern| pattern.spans(&text)).collect();
                assert_eq!(ends(table.find_all(&text)), ends(scanned), "{text:?}");
                let first = patterns().find_map(|pattern| pattern.find(&text));
                assert_eq!(
                    ends(table.find(&text).into_iter().collect()),
                    ends(first.into_iter().collect()),
                    "{text:?}"
                );
            }
        }
    }
}
