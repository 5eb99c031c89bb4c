//! What the carrier says of phone calls: the backup for calls whose end the voice provider never tells.
//!
//! ```text
//! carrier: completed, busy, no answer, failed ──▶ noted on the attempt, its lease cut to a minute
//! voice provider: call_ended (it knows voicemail, a decline, an error) ──▶ ends the attempt as ever
//! nothing within the minute ──▶ the sweep asks the voice provider, and failing that takes the carrier's word
//! ```
//! The two tell of the same end within seconds, in any order. The carrier knows less (a voicemail is "completed" to it), so its
//! word ends nothing at once. It names no ids of ours: the call is found by the user's number and their line, and the word is
//! taken only if it is about the attempt that holds it.

use ivy_domain::{
    CallId, Phone, UserId,
    call::{Call, CallEnd, CallEvent, CallState, Direction, EndReason},
    values::Contact as Address,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy, calls,
    retrying::{contended, until_settled},
    voice_events::Taken,
};

/// The carrier's clock may be behind ours by so much.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);

/// A status of a phone call, as the carrier told it.
#[derive(Clone)]
pub struct CarrierStatus {
    pub call_sid: String,
    pub from: String,
    pub to: String,
    /// `completed`, `busy`, `no-answer`, `failed`, `canceled`; others say nothing of an end.
    pub status: String,
    pub duration_seconds: Option<u32>,
    pub at: Timestamp,
}

impl std::fmt::Debug for CarrierStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CarrierStatus").field("status", &self.status).finish_non_exhaustive()
    }
}

impl CarrierStatus {
    fn end(&self) -> Option<EndReason> {
        Some(match self.status.as_str() {
            "completed" if self.duration_seconds == Some(0) => EndReason::NoAnswer,
            "completed" => EndReason::Talked,
            "busy" => EndReason::Busy,
            "no-answer" => EndReason::NoAnswer,
            "failed" | "canceled" => EndReason::SetupFailed,
            _ => return None,
        })
    }

    fn is_about(&self, call: &Call, hashed_sid: &str) -> bool {
        let Some(attempt) = &call.attempt else { return false };
        let live = matches!(call.state, CallState::Initiating | CallState::InProgress);
        let same = attempt.carrier_call_id.as_deref().is_none_or(|known| known == hashed_sid);
        live && same && self.at + CLOCKS_APART >= attempt.claimed_at
    }
}

/// Takes a status.
///
/// # Errors
/// When the table fails or the call keeps changing.
pub async fn call_status(ivy: &Ivy, status: &CarrierStatus) -> Result<Taken, Error> {
    let Some(end) = status.end() else { return Ok(Taken::Ignored) };
    let Some((user, call, direction)) = line_of(ivy, status).await? else {
        tracing::info!(event = "carrier_status_of_no_call_of_ours", status = status.status);
        return Ok(Taken::Ignored);
    };
    let hashed_sid = ivy.store.provider_id(&status.call_sid);
    let hashed_sid = &hashed_sid;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (Some(me), Some(stored), _) = ivy.store.me_and_call(user, call, None).await? else {
            return Ok(Taken::Ignored);
        };
        if stored.call.direction != direction || !status.is_about(&stored.call, hashed_sid) {
            return Ok(Taken::Ignored);
        }
        let duration_seconds = status.duration_seconds.filter(|_| end == EndReason::Talked);
        let told = CallEnd { at: status.at.min(now), duration_seconds, end, user_spoke: None };
        let mut transaction = ivy.store.transaction();
        let Ok(next) = calls::apply(&mut transaction, &me, &stored, &CallEvent::CarrierEnded(told), now)? else {
            return Ok(Taken::Duplicate);
        };
        transaction.call(&next);
        transaction.commit().await.map_err(contended)?;
        tracing::info!(event = "carrier_told_end", call_id = %call, user_id = %user, status = status.status);
        Ok(Taken::Applied)
    })
    .await
}

/// The call that holds the line of the user at one end, and which way it went.
async fn line_of(ivy: &Ivy, status: &CarrierStatus) -> Result<Option<(UserId, CallId, Direction)>, Error> {
    for (number, direction) in [(&status.to, Direction::Outbound), (&status.from, Direction::Inbound)] {
        let Ok(phone) = number.parse::<Phone>() else { continue };
        let Some(user) = ivy.store.contact_owner(&Address::Phone(phone)).await? else { continue };
        let line = ivy.store.line(user).await?;
        return Ok(line.map(|line| (user, line.call_id, direction)));
    }
    Ok(None)
}
