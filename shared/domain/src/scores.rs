//! Transformation scores: energy, mood and health confidence, each 1 to 10 over time.
//!
//! A track keeps what the answers need and no more: the first score, the last, and the last six for the
//! trend. The full history lives in the table as items of its own. Scores are health data, so nothing
//! here prints them.
//!
//! First and last go by the day that a score is of, not by when it was told: somebody who fills in last
//! Sunday does not change today's score, and a call's analysis that comes late does not either. Of scores
//! of the same day the one told later is the later.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::values::Invalid;

/// A score of 1 to 10.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Score(u8);

impl Score {
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl TryFrom<i64> for Score {
    type Error = Invalid;
    fn try_from(score: i64) -> Result<Self, Invalid> {
        match u8::try_from(score) {
            Ok(score @ 1..=10) => Ok(Self(score)),
            _ => Err(Invalid::new("must be 1 to 10")),
        }
    }
}

impl From<Score> for i64 {
    fn from(score: Score) -> Self {
        score.0.into()
    }
}

/// What a score is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    Energy,
    Mood,
    Confidence,
}

impl ScoreKind {
    pub const ALL: [Self; 3] = [Self::Energy, Self::Mood, Self::Confidence];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Energy => "energy",
            Self::Mood => "mood",
            Self::Confidence => "confidence",
        }
    }
}

/// Where the last scores are heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Up,
    Flat,
    Down,
}

/// One score over time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreTrack {
    /// The first score.
    pub start: u8,
    started_on: Date,
    /// The last score.
    pub current: u8,
    /// The last six with their days, oldest first.
    recent: Vec<(Date, u8)>,
}

impl fmt::Debug for ScoreTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl ScoreTrack {
    /// How many scores the trend looks at.
    pub const RECENT: usize = 6;

    /// The day of the last score.
    #[must_use]
    pub fn last_recorded_on(&self) -> Option<Date> {
        self.recent.last().map(|(on, _)| *on)
    }

    /// A track that begins with this score.
    #[must_use]
    pub fn starting_with(score: Score, on: Date) -> Self {
        Self { start: score.get(), started_on: on, current: score.get(), recent: vec![(on, score.get())] }
    }

    /// Takes a score of a day, in whatever order they are told.
    pub fn record(&mut self, score: Score, on: Date) {
        if on < self.started_on {
            (self.start, self.started_on) = (score.get(), on);
        }
        let place = self.recent.partition_point(|(day, _)| *day <= on);
        self.recent.insert(place, (on, score.get()));
        if self.recent.len() > Self::RECENT {
            self.recent.drain(..self.recent.len() - Self::RECENT);
        }
        self.current = self.recent.last().map_or(self.current, |(_, last)| *last);
    }

    /// The change since the start, in percent of the start, rounded half away from zero.
    #[must_use]
    pub fn change_percent(&self) -> i32 {
        let start = i32::from(self.start).max(1);
        let doubled = (i32::from(self.current) - start) * 200 / start;
        (doubled + doubled.signum()) / 2
    }

    /// The change with its sign: `+75%`, `-20%`, `0%`.
    #[must_use]
    pub fn change_text(&self) -> String {
        match self.change_percent() {
            0 => "0%".to_owned(),
            change => format!("{change:+}%"),
        }
    }

    /// The sign of the least-squares slope over the last six scores.
    #[must_use]
    pub fn trend(&self) -> Trend {
        let count = i64::try_from(self.recent.len()).unwrap_or_default();
        let (mut sum_x, mut sum_y, mut sum_xy) = (0_i64, 0_i64, 0_i64);
        for (x, y) in (0_i64..).zip(self.recent.iter().map(|(_, score)| i64::from(*score))) {
            sum_x += x;
            sum_y += y;
            sum_xy += x * y;
        }
        // The slope's denominator is never negative, so the numerator has the slope's sign.
        match (count * sum_xy - sum_x * sum_y).signum() {
            1 => Trend::Up,
            -1 => Trend::Down,
            _ => Trend::Flat,
        }
    }
}

/// A user's three tracks; absent until a first score was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scores {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<ScoreTrack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mood: Option<ScoreTrack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<ScoreTrack>,
}

impl Scores {
    #[must_use]
    pub fn track(&self, kind: ScoreKind) -> Option<&ScoreTrack> {
        match kind {
            ScoreKind::Energy => self.energy.as_ref(),
            ScoreKind::Mood => self.mood.as_ref(),
            ScoreKind::Confidence => self.confidence.as_ref(),
        }
    }

    /// Takes a score of a day.
    pub fn record(&mut self, kind: ScoreKind, score: Score, on: Date) {
        let track = match kind {
            ScoreKind::Energy => &mut self.energy,
            ScoreKind::Mood => &mut self.mood,
            ScoreKind::Confidence => &mut self.confidence,
        };
        match track {
            Some(track) => track.record(score, on),
            None => *track = Some(ScoreTrack::starting_with(score, on)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::plus_days;

    const FIRST: Date = jiff::civil::date(2026, 11, 1);

    /// Scores of so many days after the first, in the order in which they are told.
    fn told(scores: impl IntoIterator<Item = (i32, i64)>) -> ScoreTrack {
        let mut all = Scores::default();
        for (day, score) in scores {
            all.record(ScoreKind::Energy, Score::try_from(score).unwrap(), plus_days(FIRST, day));
        }
        all.energy.unwrap()
    }

    fn track(scores: &[i64]) -> ScoreTrack {
        told((0..).zip(scores.iter().copied()))
    }

    #[test]
    fn the_order_of_telling_does_not_matter() {
        let days: Vec<(i32, i64)> = vec![(0, 4), (1, 9), (2, 3), (3, 7), (4, 1), (5, 6), (6, 8), (7, 5)];
        let in_order = told(days.clone());
        assert_eq!((in_order.start, in_order.current), (4, 5));
        for turn in 1..days.len() {
            let mut turned = days.clone();
            turned.rotate_left(turn);
            assert_eq!(told(turned.clone()), in_order, "turned by {turn}");
            turned.reverse();
            assert_eq!(told(turned), in_order, "turned by {turn}, backwards");
        }
        // Of one day, the one told last counts.
        assert_eq!(told([(0, 4), (0, 6)]).current, 6);
        assert_eq!(told([(0, 4), (0, 6)]).start, 4);
    }

    #[test]
    fn a_score_is_one_to_ten() {
        assert!(Score::try_from(0).is_err() && Score::try_from(11).is_err());
        assert_eq!(serde_json::from_str::<Score>("10").unwrap().get(), 10);
    }

    #[test]
    fn change_is_in_percent_of_the_start_with_its_sign() {
        assert_eq!(track(&[4, 7]).change_text(), "+75%");
        assert_eq!(track(&[5, 4]).change_text(), "-20%");
        assert_eq!(track(&[3, 4]).change_percent(), 33);
        assert_eq!(track(&[8, 9]).change_percent(), 13);
        assert_eq!(track(&[6]).change_text(), "0%");
    }

    #[test]
    fn the_trend_is_the_slope_of_the_last_six() {
        assert_eq!(track(&[10, 1, 2, 3, 4, 5, 6]).trend(), Trend::Up);
        assert_eq!(track(&[5, 5, 5]).trend(), Trend::Flat);
        assert_eq!(track(&[7, 8, 3, 2]).trend(), Trend::Down);
        assert_eq!(track(&[7]).trend(), Trend::Flat);
        assert_eq!(track(&[1, 2, 3, 4, 5, 6, 7, 8]).recent.len(), ScoreTrack::RECENT);
    }

    #[test]
    fn scores_do_not_print_themselves() {
        assert!(!format!("{:?}", track(&[4, 7])).contains('7'));
    }
}
