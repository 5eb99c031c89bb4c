//! Scores and life markers that users record themselves, and the deletion of all scores. Those that a call brings are written by the
//! call's own ledger.
//!
//! A score is of a local day, today or one of the last year, so that a forgotten week can be filled in. The track in the
//! counters and the entry of the history are one transaction. Health data: nothing here is logged but ids.

use ivy_domain::{
    MarkerId, ScoreId, Text, UserId, days,
    scores::{Score, ScoreKind, Scores},
    stats::Counters,
};
use ivy_store::{MarkerEntry, Me, ScoreEntry};
use jiff::civil::Date;

use crate::{
    Error, FieldError, Ivy,
    idempotency::Once,
    retrying::{contended, until_settled},
};

/// How many days back a score may be of.
const FURTHEST_BACK: i32 = 366;

/// Scores to record; at least one of them.
#[derive(Debug, Clone, Copy)]
pub struct NewScores {
    pub energy: Option<Score>,
    pub mood: Option<Score>,
    pub confidence: Option<Score>,
    /// By default today.
    pub recorded_on: Option<Date>,
}

impl NewScores {
    fn given(&self) -> impl Iterator<Item = (ScoreKind, Score)> {
        [(ScoreKind::Energy, self.energy), (ScoreKind::Mood, self.mood), (ScoreKind::Confidence, self.confidence)]
            .into_iter()
            .filter_map(|(kind, score)| Some((kind, score?)))
    }

    fn check(&self, today: Date) -> Result<(), Error> {
        let mut wrong = Vec::new();
        if self.given().next().is_none() {
            let needed = "must be given, or another of energy, mood and confidence";
            wrong.extend(ScoreKind::ALL.map(|kind| FieldError::new(kind.name(), needed)));
        }
        if let Some(on) = self.recorded_on
            && !(days::plus_days(today, -FURTHEST_BACK)..=today).contains(&on)
        {
            wrong.push(FieldError::new("recorded_on", "must be today or a day of the last year"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }
}

/// Records scores of a day.
///
/// # Errors
/// [`Error::Invalid`] without any score, or for a day that lies ahead or too far back; a conflict `consent-withdrawn`.
pub async fn record_score(
    ivy: &Ivy,
    user: UserId,
    new: NewScores,
    once: Option<&Once<ScoreEntry>>,
) -> Result<ScoreEntry, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        let today = me.date_at(now);
        new.check(today)?;
        consented(&me)?;
        let recorded_on = new.recorded_on.unwrap_or(today);
        let id = if recorded_on == today { ScoreId::generate(now) } else { ScoreId::generate_for_date(recorded_on) };
        let NewScores { energy, mood, confidence, .. } = new;
        let entry = ScoreEntry { id, energy, mood, confidence, recorded_on, recorded_at: now };
        let mut counters = me.counters.clone();
        for (kind, score) in new.given() {
            counters.scores.record(kind, score, recorded_on);
        }
        let mut transaction = ivy.store.transaction();
        transaction.counters(&me.profile, &counters);
        transaction.score(user, &entry);
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &entry, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(entry)
    })
    .await
}

/// Scores deleted in one transaction, which holds at most 100 writes.
const DELETED_AT_ONCE: u32 = 90;

/// Deletes all scores of a user, also those that calls brought: first the tracks, which is what anybody is shown or told, then
/// the history, page by page. Life markers stay. Doing it again changes nothing, and goes on where it stopped.
///
/// # Errors
/// When the user is gone or the table fails.
pub async fn delete_scores(ivy: &Ivy, user: UserId) -> Result<(), Error> {
    until_settled(ivy, || async move {
        let me = ivy.me(user).await?;
        if me.counters.scores == Scores::default() {
            return Ok(());
        }
        let counters = Counters { scores: Scores::default(), ..me.counters.clone() };
        let mut transaction = ivy.store.transaction();
        transaction.counters(&me.profile, &counters);
        transaction.commit().await.map_err(contended)
    })
    .await?;
    loop {
        let scores = ivy.store.last_scores(user, DELETED_AT_ONCE).await?;
        if scores.is_empty() {
            tracing::info!(event = "scores_deleted", user_id = %user);
            return Ok(());
        }
        let mut transaction = ivy.store.transaction();
        for score in &scores {
            transaction.forget_score(user, score.id);
        }
        transaction.commit().await?;
    }
}

/// Without a user's consent to the processing of data nothing new is recorded of them. Who never said is being onboarded.
pub(crate) fn consented(me: &Me) -> Result<(), Error> {
    if me.user().consents.data_processing.as_ref().is_none_or(|consent| consent.granted) {
        return Ok(());
    }
    let detail = "Consent to the processing of data was withdrawn, so nothing new is recorded. Give it again with \
                  PUT /api/users/{id}/consents.";
    Err(Error::Conflict { slug: "consent-withdrawn", detail: detail.to_owned() })
}

/// Remembers a life marker in the user's words.
///
/// # Errors
/// A conflict `consent-withdrawn`; when the user is gone or the table fails.
pub async fn record_marker(
    ivy: &Ivy,
    user: UserId,
    words: Text<200>,
    once: Option<&Once<MarkerEntry>>,
) -> Result<MarkerEntry, Error> {
    let words = &words;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        consented(&me)?;
        let entry = MarkerEntry { id: MarkerId::generate(now), words: words.clone(), recorded_at: now };
        let mut counters = me.counters.clone();
        counters.mark(words.clone());
        let mut transaction = ivy.store.transaction();
        transaction.counters(&me.profile, &counters);
        transaction.marker(user, &entry, &me.profile.cipher);
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &entry, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(entry)
    })
    .await
}
