//! What operators do is written down with the change itself: who, what, when, to which call, message or donation, and why.
//!
//! An entry stands under the user whom it concerns, in no partition that is erased: it outlives the user, when its reason opens
//! no more. It is in the transaction of the act, so there is no act without its entry and no entry without its act.

use ivy_domain::{AdminId, Text};
use ivy_store::{AuditEntry, Profile, Transaction};
use jiff::Timestamp;
use uuid::Uuid;

/// An operator's reason.
pub type Reason = Text<500>;

/// Notes an operator's act about a user in the transaction that carries it out.
pub(crate) fn note(
    transaction: &mut Transaction<'_>,
    profile: &Profile,
    by: AdminId,
    action: &str,
    about: impl ToString,
    reason: Option<&Reason>,
    now: Timestamp,
) {
    let entry = AuditEntry {
        by: Some(by),
        about: Some(about.to_string()),
        reason: reason.map(|reason| reason.as_str().to_owned()),
        ..AuditEntry::new(Uuid::new_v4().to_string(), action, now)
    };
    transaction.audit_about(profile, entry);
    tracing::info!(event = "operator_acted", action, operator_id = %by, user_id = %profile.user.id);
}
