//! Parses and validates SQS requests.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

/// Maximum size of one message, and of a whole batch, in bytes:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>.
const MAX_BYTES: usize = 1024 * 1024;

const MAX_ENTRIES: usize = 10;

/// Error code of internal errors.
pub(super) const INTERNAL: &str = "InternalFailure";

/// An error of a request, or of an entry of a batch.
#[derive(Debug)]
pub(super) struct SqsError {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl SqsError {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}."))
    }
}

impl From<rusqlite::Error> for SqsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(INTERNAL, error.to_string())
    }
}

/// A message to send.
pub(super) struct SendEntry {
    pub(super) body: String,
    /// `None` means the queue's delay.
    pub(super) delay: Option<Duration>,
}

/// A visibility timeout.
pub(super) struct Visibility(pub(super) Duration);

impl Visibility {
    pub(super) fn of(request: &Value) -> Result<Option<Self>, SqsError> {
        let seconds = number(request, "VisibilityTimeout", 0..=43_200)?;
        Ok(seconds.map(|seconds| Self(Duration::from_secs(seconds))))
    }
}

/// Reads a required parameter.
pub(super) fn text<'a>(request: &'a Value, parameter: &str) -> Result<&'a str, SqsError> {
    let text = request.get(parameter).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| SqsError::missing(parameter))
}

/// Reads an optional parameter.
pub(super) fn number(request: &Value, parameter: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, SqsError> {
    let Some(value) = request.get(parameter).filter(|value| !value.is_null()) else { return Ok(None) };
    let (from, to) = (range.start(), range.end());
    let reason =
        format!("Value {value} for parameter {parameter} is invalid. Reason: Must be between {from} and {to}.");
    let number = value.as_u64().filter(|number| range.contains(number));
    Ok(Some(number.ok_or_else(|| SqsError::new("InvalidParameterValue", reason))?))
}

/// Reads a list of names, such as of attributes.
pub(super) fn names<'a>(request: &'a Value, parameter: &str) -> Vec<&'a str> {
    let names = request.get(parameter).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Reads the queue's name from a request.
pub(super) fn queue_name(request: &Value) -> Result<&str, SqsError> {
    let url = text(request, "QueueUrl")?;
    checked_name(url.rsplit('/').next().unwrap_or_default())
}

pub(super) fn checked_name(name: &str) -> Result<&str, SqsError> {
    let unknown = || SqsError::new("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.");
    if is_name(name) { Ok(name) } else { Err(unknown()) }
}

/// Returns true if a text is valid as a queue name or entry id.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=80).contains(&name.len()) && name.bytes().all(allowed)
}

/// Reads a message to send, alone or in a batch.
pub(super) fn message(entry: &Value) -> Result<SendEntry, SqsError> {
    let body = text(entry, "MessageBody")?;
    if body.len() > MAX_BYTES {
        let reason =
            format!("One or more parameters are invalid. Reason: Message must be shorter than {MAX_BYTES} bytes.");
        return Err(SqsError::new("InvalidParameterValue", reason));
    }
    if !body.chars().all(is_allowed) {
        return Err(SqsError::new("InvalidMessageContents", "Invalid characters found."));
    }
    if entry.get("MessageAttributes").and_then(Value::as_object).is_some_and(|attributes| !attributes.is_empty()) {
        let reason = "this stub stores no message attributes";
        return Err(SqsError::new("AWS.SimpleQueueService.UnsupportedOperation", reason));
    }
    let delay = number(entry, "DelaySeconds", 0..=900)?.map(Duration::from_secs);
    Ok(SendEntry { body: body.to_owned(), delay })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Reads the entries of a batch, with their ids.
pub(super) fn entries(request: &Value) -> Result<Vec<(&str, &Value)>, SqsError> {
    let entries = request.get("Entries").and_then(Value::as_array);
    let entries: Vec<(&str, &Value)> = entries
        .into_iter()
        .flatten()
        .map(|entry| (entry.get("Id").and_then(Value::as_str).unwrap_or_default(), entry))
        .collect();
    let refused = |code, message: &str| Err(SqsError::new(code, message));
    if entries.is_empty() {
        let code = "AWS.SimpleQueueService.EmptyBatchRequest";
        return refused(code, "There should be at least one entry in the request.");
    }
    if entries.len() > MAX_ENTRIES {
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        return refused(code, "Maximum number of entries per request are 10.");
    }
    if !entries.iter().all(|(id, _)| is_name(id)) {
        let code = "AWS.SimpleQueueService.InvalidBatchEntryId";
        return refused(code, "A batch entry id can only contain alphanumeric characters, hyphens and underscores.");
    }
    if entries.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len() < entries.len() {
        return refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Two or more entries have the same Id.");
    }
    Ok(entries)
}

/// Checks that the messages of a batch are together not larger than the limit of one message.
pub(super) fn check_batch_size(entries: &[(&str, &Value)]) -> Result<(), SqsError> {
    let bodies = entries.iter().filter_map(|(_, entry)| entry.get("MessageBody").and_then(Value::as_str));
    let bytes: usize = bodies.map(str::len).sum();
    if bytes > MAX_BYTES {
        let message = format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes.");
        return Err(SqsError::new("AWS.SimpleQueueService.BatchRequestTooLong", message));
    }
    Ok(())
}

/// Processes each entry of a batch, and returns the successful and the failed ones.
pub(super) fn batch(entries: Vec<(&str, &Value)>, act: impl Fn(&Value) -> Result<Value, SqsError>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, entry) in entries {
        match act(entry) {
            Ok(mut result) => {
                if let Some(result) = result.as_object_mut() {
                    result.insert("Id".to_owned(), Value::String(id.to_owned()));
                }
                successful.push(result);
            }
            Err(SqsError { code, message }) => {
                failed.push(json!({ "Id": id, "SenderFault": true, "Code": code, "Message": message }));
            }
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}
