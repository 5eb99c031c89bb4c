//! The arithmetic of all reports: percentiles, ratios, and tables of text.

use std::fmt::Write as _;

/// The value below which `percent` of the values lie, by nearest rank; nothing of nothing.
#[must_use]
pub(crate) fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * to_f64(sorted.len())).ceil();
    sorted.get(to_index(rank).saturating_sub(1).min(sorted.len().saturating_sub(1))).copied()
}

/// The middle value; of an even number, the lower of the two in the middle.
#[must_use]
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50.0)
}

/// `value` in units of `floor`; nothing where there is no floor to stand on.
#[must_use]
pub(crate) fn ratio(value: f64, floor: f64) -> Option<f64> {
    (floor > 0.0).then(|| value / floor)
}

/// To so many decimals, so that files differ only where figures do.
#[must_use]
pub(crate) fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

/// Counts as a number; they are far below 2^53 here.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) const fn to_f64(count: usize) -> f64 {
    count as f64
}

/// As [`to_f64`], of a wider count.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) const fn wide(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is whole and not negative")]
const fn to_index(rank: f64) -> usize {
    rank as usize
}

/// A number for people: three digits that count, and separators from a thousand on.
#[must_use]
pub(crate) fn brief(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        grouped(value)
    } else if size >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.2e}")
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

/// A table of Markdown, its columns aligned: the first to the left, the others to the right.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    #[must_use]
    pub(crate) fn text(&self) -> String {
        let columns = self.header.len();
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = std::iter::once(&self.header).chain(&self.rows);
                cells.map(|row| cell(row, column).chars().count()).max().unwrap_or_default().max(3)
            })
            .collect();
        let mut text = String::new();
        let mut line = |row: &Vec<String>| {
            for (column, width) in widths.iter().enumerate() {
                let (cell, width) = (cell(row, column), *width);
                // Writing to a string cannot fail.
                let _ = if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
            }
            text.push_str("|\n");
        };
        line(&self.header);
        let rule = widths.iter().enumerate().map(|(column, width)| {
            if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
        });
        line(&rule.collect());
        self.rows.iter().for_each(line);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50.0), Some(50.0));
        assert_eq!(percentile(&hundred, 99.0), Some(99.0));
        assert_eq!(percentile(&hundred, 100.0), Some(100.0));
        assert_eq!(percentile(&hundred, 0.0), Some(1.0));
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.0));
    }

    #[test]
    fn a_ratio_needs_a_floor() {
        assert_eq!(ratio(3.0, 1.5), Some(2.0));
        assert_eq!(ratio(3.0, 0.0), None);
    }

    #[test]
    fn numbers_are_brief() {
        let texts: Vec<_> = [0.0, 0.000_021, 0.25, 1.0, 12.34, 345.6, 1234.5, -1_234_567.0].map(brief).into();
        assert_eq!(texts, ["0", "2.10e-5", "0.25", "1.00", "12.3", "346", "1,234", "-1,234,567"]);
        assert!((round(1.23456, 2) - 1.23).abs() < 1e-9);
    }

    #[test]
    fn tables_align() {
        let mut table = Table::new(&["name", "ms"]);
        table.row(["hello", "3.1"]);
        table.row(["a-longer-name", "12.25"]);
        let lines: Vec<_> = table.text().lines().map(str::len).collect();
        assert!(lines.iter().all(|length| *length == lines[0]), "{}", table.text());
        assert!(table.text().contains("| hello         |   3.1 |"), "{}", table.text());
    }
}
