//! Parses and validates a message to publish.

use std::collections::BTreeMap;

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Published;
use crate::uuid;

/// Maximum size of the message with its attributes, in bytes:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// A subject must be shorter than this (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const MAX_SUBJECT: usize = 100;

/// An error of SNS.
pub(super) struct SnsError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

pub(super) fn refused(code: &'static str, message: impl Into<String>) -> SnsError {
    SnsError { status: StatusCode::BAD_REQUEST, code, message: message.into() }
}

/// Parses a message to publish, and rejects it for the same reasons as SNS.
pub(super) fn read(mut form: BTreeMap<String, String>) -> Result<Published, SnsError> {
    let invalid = |message: &str| refused("InvalidParameter", format!("Invalid parameter: {message}"));
    let attributes = attributes(&form)?;
    let subject = form.remove("Subject");
    if subject.as_deref().is_some_and(|subject| !is_subject(subject)) {
        return Err(invalid("Subject"));
    }
    let message =
        form.remove("Message").filter(|message| !message.is_empty()).ok_or_else(|| invalid("Empty message"))?;
    let size: usize = attributes.iter().map(|attribute| attribute.iter().map(String::len).sum::<usize>()).sum();
    if message.len() + size > MAX_BYTES {
        return Err(invalid("Message too long"));
    }
    let structure = form.remove("MessageStructure");
    match structure.as_deref() {
        None => {}
        Some("json") => {
            let texts: Map<String, Value> = serde_json::from_str(&message)
                .map_err(|_| invalid("Message Structure - JSON message body failed to parse"))?;
            if !texts.get("default").is_some_and(Value::is_string) {
                return Err(invalid("Message Structure - No default entry in JSON message body"));
            }
        }
        Some(_) => return Err(invalid("MessageStructure")),
    }
    let topic_arn = topic_of(&form)?;
    let attributes = attributes.into_iter().map(|[name, _, value]| (name, value)).collect();
    Ok(Published { topic_arn, subject, message, structure, attributes, at: now(), message_id: uuid() })
}

/// The topic that is asked about.
pub(super) fn topic_of(form: &BTreeMap<String, String>) -> Result<String, SnsError> {
    let missing = "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter";
    let topic = form.get("TopicArn").ok_or_else(|| refused("InvalidParameter", missing))?;
    if !topic.starts_with("arn:aws:sns:") {
        let message = "Topic does not exist".to_owned();
        return Err(SnsError { status: StatusCode::NOT_FOUND, code: "NotFound", message });
    }
    Ok(topic.clone())
}

/// The current time in whole milliseconds, as the journal stores it.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// Reads the attributes: name, type and value of each.
fn attributes(form: &BTreeMap<String, String>) -> Result<Vec<[String; 3]>, SnsError> {
    let mut attributes = Vec::new();
    for number in 1.. {
        let field = |field: &str| form.get(&format!("MessageAttributes.entry.{number}.{field}")).cloned();
        let Some(name) = field("Name") else { break };
        let data_type = field("Value.DataType").unwrap_or_default();
        if !["String", "Number", "Binary"].iter().any(|prefix| data_type.starts_with(prefix)) {
            let message = format!("The message attribute '{name}' has an invalid message attribute type.");
            return Err(refused("ParameterValueInvalid", message));
        }
        let is_binary = data_type.starts_with("Binary");
        let value = field(if is_binary { "Value.BinaryValue" } else { "Value.StringValue" }).unwrap_or_default();
        if value.is_empty() {
            let message = format!("The message attribute '{name}' must contain non-empty message attribute value.");
            return Err(refused("ParameterValueInvalid", message));
        }
        attributes.push([name, data_type, value]);
    }
    Ok(attributes)
}

/// Stricter than SNS is today: it required ASCII for years, and accepts UTF-8 now. A subject that passes here passes
/// both.
fn is_subject(subject: &str) -> bool {
    !subject.is_empty()
        && subject.len() < MAX_SUBJECT
        && subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
