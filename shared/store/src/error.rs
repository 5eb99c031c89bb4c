//! What can go wrong at the table.

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Conditions that did not hold, by the names that the transaction gave them. Nothing was written.
    #[error("conditions did not hold: {0:?}")]
    ConditionFailed(Vec<&'static str>),
    /// Another writer was at the same items, or the table throttled: nothing was written; the same may succeed.
    #[error("another writer was at the same items")]
    Contended,
    /// The table did not answer, or answered that it cannot now.
    #[error("the table is not available: {0}")]
    Unavailable(String),
    /// The request itself was refused; a defect of ours.
    #[error("the table refused the request: {0}")]
    Refused(String),
    /// An item that cannot be read back.
    #[error("a stored {entity} cannot be read: {reason}")]
    Unreadable { entity: &'static str, reason: String },
}

impl StoreError {
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Contended | Self::Unavailable(_) => true,
            Self::ConditionFailed(_) | Self::Refused(_) | Self::Unreadable { .. } => false,
        }
    }

    /// Whether the condition of this name is among those that did not hold.
    #[must_use]
    pub fn failed(&self, condition: &str) -> bool {
        matches!(self, Self::ConditionFailed(names) if names.contains(&condition))
    }

    pub(crate) fn unreadable(entity: &'static str, reason: impl ToString) -> Self {
        Self::Unreadable { entity, reason: reason.to_string() }
    }

    /// Sorts an SDK error by what its code says; only codes go on, never a message that could hold values.
    pub(crate) fn from_sdk<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let code = error.as_service_error().and_then(|e| e.code()).unwrap_or("no_answer");
        match code {
            "ConditionalCheckFailedException" => Self::ConditionFailed(vec!["item"]),
            "TransactionConflictException" | "TransactionInProgressException" => Self::Contended,
            "ThrottlingException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "no_answer" => Self::Unavailable(code.to_owned()),
            other => Self::Refused(other.to_owned()),
        }
    }

    /// Sorts a cancelled transaction by the reasons of its items; `names` are the items' condition names in order.
    pub(crate) fn from_transaction<R>(error: &SdkError<TransactWriteItemsError, R>, names: &[&'static str]) -> Self {
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Self::from_sdk(error);
        };
        let mut failed = Vec::new();
        let mut contended = false;
        for (reason, name) in cancelled.cancellation_reasons().iter().zip(names) {
            match reason.code().unwrap_or("None") {
                "None" => {}
                "ConditionalCheckFailed" => failed.push(*name),
                "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError" => contended = true,
                other => return Self::Refused(other.to_owned()),
            }
        }
        match (failed.is_empty(), contended) {
            (false, _) => Self::ConditionFailed(failed),
            (true, true) => Self::Contended,
            (true, false) => Self::Refused("TransactionCanceledException".to_owned()),
        }
    }
}
