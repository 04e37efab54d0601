//! Meaning of a failed DynamoDB call for the write that it was part of.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;

use super::Item;
use crate::aws::describe;

/// A failed DynamoDB call.
#[derive(Debug)]
pub(super) enum DynamoDbError {
    /// The event's row already exists. Contains the row if it was requested.
    ItemExists(Option<Item>),
    /// Suppression items have changed. Contains the index of each expected item and the current item (`None` if it is
    /// gone).
    VersionConflict(Vec<(usize, Option<Item>)>),
    /// Nothing was written because of a conflict or throttling. A retry may succeed within milliseconds.
    Busy(String),
    /// No response, or an unclear one: the write may be applied or not.
    OutcomeUnknown(String),
    /// DynamoDB rejects the write as invalid.
    Invalid(String),
    /// Nothing was written, and a retry soon does not help: no permission, or no table.
    AccessDenied(String),
}

impl DynamoDbError {
    /// Classifies the error of a put of the event's row alone.
    pub(super) fn of_put<R: Debug>(error: SdkError<PutItemError, R>) -> Self {
        let described = describe(&error);
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(exists)) => Self::ItemExists(exists.item.clone()),
            Some(other) => Self::of_code(other.code(), described),
            None => Self::OutcomeUnknown(described),
        }
    }

    /// Classifies the error of a transaction: first the event's row, then suppression items.
    pub(super) fn of_transaction<R: Debug>(error: SdkError<TransactWriteItemsError, R>) -> Self {
        let described = describe(&error);
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                Self::of_reasons(cancelled.cancellation_reasons())
            }
            Some(other) => Self::of_code(other.code(), described),
            None => Self::OutcomeUnknown(described),
        }
    }

    pub(super) fn of_reasons(reasons: &[CancellationReason]) -> Self {
        const FAILED: &str = "ConditionalCheckFailed";
        if let Some(row) = reasons.first().filter(|row| row.code() == Some(FAILED)) {
            return Self::ItemExists(row.item.clone());
        }
        if let Some(invalid) = reasons.iter().find(|reason| is_invalid(reason.code())) {
            return Self::Invalid(invalid.message().unwrap_or("the transaction is not valid").to_owned());
        }
        let summary =
            format!("transaction cancelled: {:?}", reasons.iter().map(CancellationReason::code).collect::<Vec<_>>());
        let conflicts: Vec<_> = reasons
            .iter()
            .skip(1)
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some(FAILED))
            .map(|(index, reason)| (index, reason.item.clone()))
            .collect();
        if conflicts.is_empty() { Self::Busy(summary) } else { Self::VersionConflict(conflicts) }
    }

    pub(super) fn of_code(code: Option<&str>, described: String) -> Self {
        match code.unwrap_or_default() {
            "TransactionConflictException"
            | "TransactionInProgressException"
            | "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "LimitExceededException" => Self::Busy(described),
            code if is_invalid(Some(code)) => Self::Invalid(described),
            // These errors are caused by this deployment, not by the webhook. A wrong clock or expired credentials are
            // corrected by the next execution environment.
            "AccessDeniedException"
            | "ResourceNotFoundException"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "InvalidSignatureException"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignatureException" => Self::AccessDenied(described),
            _ => Self::OutcomeUnknown(described),
        }
    }
}

fn is_invalid(code: Option<&str>) -> bool {
    matches!(code, Some("ValidationException" | "ValidationError" | "ItemCollectionSizeLimitExceededException"))
}
