//! What an operator corrects about a user's donations.
//!
//! A correction is a donation of its own kind, with the operator's reason on record; nothing that was donated before is
//! touched. It goes through the same [`Ledger`] as a completion, so that wallet, receipt and the months of charity and company
//! follow in the same transaction. It is made whole or not at all: a part of what somebody reasoned about would be an error of
//! its own. What an earlier period gave stays, for its receipts are out.

use ivy_domain::{
    AdminId, Pence, UserId,
    charity::Charity,
    wallet::{AdjustmentRefused, Donation},
};

use crate::{
    Error, Ivy,
    audit::{self, Reason},
    completions::Ledger,
    idempotency::Once,
    retrying::{contended, until_settled},
};

/// A correction that was made, and who received it.
#[derive(Debug, Clone)]
pub struct Adjusted {
    pub donation: Donation,
    pub charity: Charity,
}

/// Adds to what was donated for a user in this period, or takes back from it.
///
/// # Errors
/// Not found; a conflict `cap-reached` when the period's cap leaves less than is to be added, and `more-than-was-donated` when
/// less was given than is to be taken back.
pub async fn log_donation(
    ivy: &Ivy,
    by: AdminId,
    user: UserId,
    amount: Pence,
    reason: &Reason,
    once: Option<&Once<Adjusted>>,
) -> Result<Adjusted, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        let mut ledger = Ledger::open(ivy, &me, now).await?;
        let (donation, charity) = ledger.adjust(amount).map_err(refusal)?;
        let mut transaction = ivy.store.transaction();
        ledger.write(&mut transaction)?;
        audit::note(&mut transaction, &me.profile, by, "log-donation", donation.id, Some(reason), now);
        let adjusted = Adjusted { donation, charity };
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &adjusted, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(adjusted)
    })
    .await
}

fn refusal(refused: AdjustmentRefused) -> Error {
    match refused {
        AdjustmentRefused::CapReached { left } => Error::Conflict {
            slug: "cap-reached",
            detail: format!("Only {left} may still be donated in this period. Log no more than that."),
        },
        AdjustmentRefused::MoreThanWasDonated { donated } => Error::Conflict {
            slug: "more-than-was-donated",
            detail: format!("Only {donated} was donated that can be taken back. Take back no more than that."),
        },
    }
}
