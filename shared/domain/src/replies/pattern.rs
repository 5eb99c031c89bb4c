//! The small language in which the tables of phrases are written.
//!
//! A pattern is words that follow one another inside a clause. `a/b` is either word, `word?` may be missing, `..` stands for up to
//! four words, `_` for exactly one, `#` for a number in digits or letters, `~name` for any word of a class
//! ([`super::words::CLASSES`]); `^` and `$` hold a pattern to the beginning and the end of the clause.

use std::collections::HashMap;

use super::words;

#[derive(Debug)]
enum Item {
    OneOf { choices: Vec<Choice>, optional: bool },
    Gap,
}

#[derive(Debug)]
enum Choice {
    Word(&'static str),
    Class(&'static [&'static str]),
    Number,
    Any,
}

impl Item {
    /// How many words can stand here, if one of them must and they are named.
    fn size(&self) -> Option<usize> {
        let Self::OneOf { choices, optional: false } = self else { return None };
        choices.iter().map(|choice| choice.words().map(<[_]>::len)).sum()
    }

    /// All of them.
    fn words(&self) -> impl Iterator<Item = &'static str> {
        let choices = match self {
            Self::OneOf { choices, .. } => choices.as_slice(),
            Self::Gap => &[],
        };
        choices.iter().filter_map(Choice::words).flatten().copied()
    }
}

impl Choice {
    /// The words that it names, if it does.
    fn words(&self) -> Option<&[&'static str]> {
        match self {
            Self::Word(word) => Some(std::slice::from_ref(word)),
            Self::Class(class) => Some(class),
            Self::Number | Self::Any => None,
        }
    }

    fn takes(&self, word: &str) -> bool {
        match self {
            Self::Word(expected) => *expected == word,
            Self::Class(class) => class.contains(&word),
            Self::Number => is_number(word),
            Self::Any => true,
        }
    }
}

/// Digits, a decimal, or a number spelled.
pub(super) fn is_number(word: &str) -> bool {
    words::NUMBERS.contains(&word)
        || (word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '/')))
}

#[derive(Debug)]
pub(super) struct Pattern {
    items: Vec<Item>,
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
    pub(super) fn new(source: &'static str) -> Self {
        let inner = source.strip_prefix("^ ").unwrap_or(source);
        let from_start = inner.len() != source.len();
        let body = inner.strip_suffix(" $").unwrap_or(inner);
        let to_end = body.len() != inner.len();
        let items = body
            .split(' ')
            .map(|item| {
                if item == ".." {
                    return Item::Gap;
                }
                let bare = item.strip_suffix('?').unwrap_or(item);
                let choices = bare.split('/').map(choice).collect();
                Item::OneOf { choices, optional: bare.len() != item.len() }
            })
            .collect();
        Self { items, from_start, to_end }
    }

    pub(super) fn find(&self, words: &[String]) -> Option<Span> {
        let starts = if self.from_start { 0..1 } else { 0..words.len() };
        starts.into_iter().find_map(|from| self.end(&self.items, words, from).map(|to| Span { from, to }))
    }

    /// Every place in which the pattern begins.
    pub(super) fn find_all(&self, words: &[String]) -> Vec<Span> {
        let starts = if self.from_start { 0..1 } else { 0..words.len() };
        starts.filter_map(|from| self.end(&self.items, words, from).map(|to| Span { from, to })).collect()
    }

    fn end(&self, items: &[Item], words: &[String], at: usize) -> Option<usize> {
        let Some((item, rest)) = items.split_first() else {
            return (!self.to_end || at == words.len()).then_some(at);
        };
        match item {
            Item::Gap => (0..=4).filter(|gap| at + gap <= words.len()).find_map(|gap| self.end(rest, words, at + gap)),
            Item::OneOf { choices, optional } => {
                let taken = words.get(at).filter(|word| choices.iter().any(|choice| choice.takes(word)));
                taken
                    .and_then(|_| self.end(rest, words, at + 1))
                    .or_else(|| if *optional { self.end(rest, words, at) } else { None })
            }
        }
    }
}

fn choice(source: &'static str) -> Choice {
    match source {
        "#" => Choice::Number,
        "_" => Choice::Any,
        source => match source.strip_prefix('~') {
            Some(name) => Choice::Class(words::class(name)),
            None => Choice::Word(source),
        },
    }
}

/// Patterns in the order of their table.
#[derive(Debug)]
pub(super) struct Table {
    patterns: Vec<Pattern>,
    /// Where a word may lead: each pattern stands under the words of that of its items which has the fewest, so that a message
    /// is held against a few patterns and not against thousands.
    by_word: HashMap<&'static str, Vec<usize>>,
    /// Patterns of which no item that must be there names its words.
    any: Vec<usize>,
}

impl Table {
    pub(super) fn new(sources: &[&'static str]) -> Self {
        let patterns: Vec<Pattern> = sources.iter().map(|source| Pattern::new(source)).collect();
        let (mut by_word, mut any) = (HashMap::<_, Vec<usize>>::new(), Vec::new());
        for (at, pattern) in patterns.iter().enumerate() {
            match pattern.items.iter().filter_map(|item| Some((item.size()?, item))).min_by_key(|(size, _)| *size) {
                Some((_, item)) => item.words().for_each(|word| by_word.entry(word).or_default().push(at)),
                None => any.push(at),
            }
        }
        Self { patterns, by_word, any }
    }

    /// The patterns that these words may hold, in the order of the table.
    fn candidates(&self, words: &[String]) -> impl Iterator<Item = &Pattern> {
        let named = words.iter().filter_map(|word| self.by_word.get(word.as_str())).flatten();
        let mut candidates: Vec<usize> = named.chain(&self.any).copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().filter_map(|at| self.patterns.get(at))
    }

    pub(super) fn find(&self, words: &[String]) -> Option<Span> {
        self.candidates(words).find_map(|pattern| pattern.find(words))
    }

    pub(super) fn matches(&self, words: &[String]) -> bool {
        self.find(words).is_some()
    }

    pub(super) fn find_all(&self, words: &[String]) -> Vec<Span> {
        self.candidates(words).flat_map(|pattern| pattern.find_all(words)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index by words finds what a scan of all patterns does, in their order.
    #[test]
    fn a_table_finds_what_all_its_patterns_find() {
        let table =
            Table::new(&["did it", "^ a/b? c", "# of .. them", "_ pages $", "~feat .. today", "it? done", ".. x"]);
        let words =
            ["did", "it", "a", "b", "c", "3", "of", "all", "them", "two", "pages", "run", "gym", "today", "done", "x"];
        let ends = |spans: Vec<Span>| spans.into_iter().map(|span| (span.from, span.to)).collect::<Vec<_>>();
        for from in 0..words.len() {
            for step in 1..=3 {
                let text: Vec<String> = words.iter().skip(from).step_by(step).map(|word| (*word).to_owned()).collect();
                let scanned = table.patterns.iter().flat_map(|pattern| pattern.find_all(&text)).collect();
                assert_eq!(ends(table.find_all(&text)), ends(scanned), "{text:?}");
                let first = table.patterns.iter().find_map(|pattern| pattern.find(&text));
                assert_eq!(
                    ends(table.find(&text).into_iter().collect()),
                    ends(first.into_iter().collect()),
                    "{text:?}"
                );
            }
        }
    }
}
