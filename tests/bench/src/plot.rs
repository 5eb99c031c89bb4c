//! The cost of a check-in as a picture: bars by tier, on the left everything, on the right what AWS takes of it.
//!
//! Written by hand, for a plot of a dozen rectangles is no reason for a crate. Two scales, because on one the right part would be a
//! line: that AWS hardly shows beside voice is the first thing the picture says, and where its part goes is the second.

use std::fmt::Write as _;

use crate::figures::brief;

/// A tier's bar: parts in dollars a completed check-in.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) providers: Vec<(&'static str, f64)>,
    pub(crate) aws: Vec<(&'static str, f64)>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
const TOP: f64 = 70.0;
const FLOOR: f64 = 330.0;
const PANEL: f64 = 400.0;
/// Colours that people with any kind of sight can tell apart (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#999999"];

/// The picture.
pub(crate) fn svg(bars: &[Bar], date: &str) -> String {
    let everything: Vec<(String, Vec<(&str, f64)>)> = bars
        .iter()
        .map(|bar| {
            let mut parts = bar.providers.clone();
            parts.push(("AWS", sum(&bar.aws)));
            (bar.name.clone(), parts)
        })
        .collect();
    let aws: Vec<(String, Vec<(&str, f64)>)> = bars.iter().map(|bar| (bar.name.clone(), bar.aws.clone())).collect();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" \
         role=\"img\" aria-label=\"Dollars a completed check-in, by tier\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"40\" y=\"24\" font-size=\"16\">Dollars a completed check-in, by tier (prices of {date})</text>\n"
    );
    panel(&mut text, 40.0, "everything", &everything, 0);
    panel(&mut text, 520.0, "AWS alone, on its own scale", &aws, 3);
    text.push_str("</svg>\n");
    text
}

fn panel(text: &mut String, left: f64, title: &str, bars: &[(String, Vec<(&str, f64)>)], first_colour: usize) {
    let most = bars.iter().map(|(_, parts)| sum(parts)).fold(0.0, f64::max);
    let scale = if most > 0.0 { (FLOOR - TOP) / most } else { 0.0 };
    let colour = |index: usize| COLOURS[(first_colour + index) % COLOURS.len()];
    // Writing to a string cannot fail.
    let _ = writeln!(text, "<text x=\"{left}\" y=\"48\">{title}</text>");
    let step = PANEL / crate::figures::to_f64(bars.len().max(1));
    for (place, (name, parts)) in bars.iter().enumerate() {
        let x = left + step * crate::figures::to_f64(place);
        let (width, mut y) = (step * 0.6, FLOOR);
        for (index, (_, dollars)) in parts.iter().enumerate() {
            let height = dollars * scale;
            y -= height;
            let fill = colour(index);
            let _ = writeln!(
                text,
                "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{width:.1}\" height=\"{height:.2}\" fill=\"{fill}\"/>"
            );
        }
        let sum = brief(sum(parts));
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{:.1}\">${sum}</text>", y - 6.0);
        let _ = writeln!(text, "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10\">{name}</text>", FLOOR + 16.0);
    }
    let names = bars.first().map(|(_, parts)| parts.as_slice()).unwrap_or_default();
    for (index, (name, _)) in names.iter().enumerate() {
        let y = FLOOR + 40.0 + 16.0 * crate::figures::to_f64(index);
        let fill = colour(index);
        let _ = writeln!(text, "<rect x=\"{left}\" y=\"{:.1}\" width=\"10\" height=\"10\" fill=\"{fill}\"/>", y - 9.0);
        let _ = writeln!(text, "<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", left + 16.0);
    }
}

fn sum(parts: &[(&str, f64)]) -> f64 {
    parts.iter().map(|(_, dollars)| dollars).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(svg: &str) -> Vec<f64> {
        let of = |line: &str| line.split("height=\"").nth(1)?.split('"').next()?.parse().ok();
        svg.lines()
            .filter(|line| line.contains("fill=\"#0072b2\"") && line.contains("width=\"60"))
            .filter_map(of)
            .collect()
    }

    #[test]
    fn bars_are_as_high_as_what_they_stand_for() {
        let bar = |name: &str, voice: f64| Bar {
            name: name.to_owned(),
            providers: vec![("voice", voice)],
            aws: vec![("Lambda", 0.0)],
        };
        let bars = [bar("one", 1.0), bar("two", 2.0), bar("three", 0.5), bar("four", 0.0)];
        let picture = svg(&bars, "2026-11-26");
        assert_eq!(heights(&picture), [130.0, 260.0, 65.0, 0.0], "{picture}");
        assert!(picture.contains("prices of 2026-11-26") && picture.ends_with("</svg>\n"));
    }
}
