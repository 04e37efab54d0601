//! A message of the Messages API (<https://platform.claude.com/docs/en/api/messages>).

use serde_json::{Map, Value};

use super::error::{AnswerError, Excerpt};
use super::invisible::is_invisible;
use super::json;

/// Maximum number of characters of a response that a receipt keeps.
const SHOWN_CHARS: usize = 2_000;

/// Upper bound of a plausible number of tokens.
const MAX_USAGE_TOKENS: u64 = 1_000_000_000;

/// Tokens of a request and its response (`usage` in <https://platform.claude.com/docs/en/api/messages>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Input tokens, without cached ones.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Input tokens written to the cache.
    pub cache_creation_input_tokens: u64,
    /// Input tokens read from the cache.
    pub cache_read_input_tokens: u64,
}

/// Returns the usage in a response. A missing or null number is 0. Returns `None` if the body has no usage, or an
/// impossible number: negative, a fraction, or more than a billion.
pub fn usage(body: &[u8]) -> Option<Usage> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let usage = message.get("usage")?.as_object()?;
    let tokens = |name| match usage.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(number) => number.as_u64().filter(|number| *number <= MAX_USAGE_TOKENS),
    };
    Some(Usage {
        input_tokens: tokens("input_tokens")?,
        output_tokens: tokens("output_tokens")?,
        cache_creation_input_tokens: tokens("cache_creation_input_tokens")?,
        cache_read_input_tokens: tokens("cache_read_input_tokens")?,
    })
}

/// Returns the response for the receipt, in at most 2,000 characters. That is the tool calls as JSON, or else the text,
/// or else the beginning of the body. Nothing is checked. Invisible characters (controls other than line breaks and
/// tabs, bidi controls and the like) are shown as `�`.
pub fn sanitize(body: &[u8]) -> String {
    let visible = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || is_invisible(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    chosen_or_said(body).unwrap_or_else(|| beginning(body)).chars().take(SHOWN_CHARS).map(visible).collect()
}

fn chosen_or_said(body: &[u8]) -> Option<String> {
    let message = json::read(body).ok()?;
    let blocks = message.get("content")?.as_array()?;
    let of_kind = |kind: &'static str| blocks.iter().filter(move |block| text_at(block, "type") == Some(kind));
    let calls: Vec<String> = of_kind("tool_use")
        .map(|block| {
            let name = block.get("name").unwrap_or(&Value::Null);
            let input = block.get("input").unwrap_or(&Value::Null);
            serde_json::json!({ "name": name, "input": input }).to_string()
        })
        .collect();
    let said = || of_kind("text").filter_map(|block| text_at(block, "text")).collect::<Vec<_>>().join("\n");
    let shown = if calls.is_empty() { said() } else { calls.join("\n") };
    (!shown.is_empty()).then_some(shown)
}

fn beginning(body: &[u8]) -> String {
    // A character has at most four bytes.
    let end = body.len().min(4 * SHOWN_CHARS);
    String::from_utf8_lossy(body.get(..end).unwrap_or_default()).into_owned()
}

/// An unchecked tool call.
pub(super) struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// The tool's input.
    pub input: Value,
}

/// Returns the one tool call of a response.
pub(super) fn call(body: &[u8]) -> Result<ToolCall, AnswerError> {
    let Value::Object(message) = json::read(body)? else { return Err(AnswerError::NotAMessage("it is not an object")) };
    if message.get("type").and_then(Value::as_str) != Some("message") {
        return Err(AnswerError::NotAMessage("its type is not message"));
    }
    check_stop(&message)?;
    let Some(Value::Array(blocks)) = message.get("content") else {
        return Err(AnswerError::NotAMessage("it has no content"));
    };
    let mut calls = Vec::new();
    for block in blocks {
        match text_at(block, "type") {
            Some("tool_use") => calls.push(block),
            Some("text" | "thinking" | "redacted_thinking") => {}
            other => return Err(AnswerError::UnknownBlock(Excerpt::new(other.unwrap_or("none")))),
        }
    }
    match calls.as_slice() {
        [] => Err(AnswerError::NoChoice),
        [call] => Ok(ToolCall {
            name: text_at(call, "name").ok_or(AnswerError::NotAMessage("a tool call has no name"))?.to_owned(),
            input: call.get("input").cloned().unwrap_or_default(),
        }),
        several => Err(AnswerError::SeveralChoices(several.len())),
    }
}

/// Checks that the response stopped to call a tool
/// (<https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>).
fn check_stop(message: &Map<String, Value>) -> Result<(), AnswerError> {
    match message.get("stop_reason").and_then(Value::as_str) {
        Some("tool_use") => Ok(()),
        Some("max_tokens") => Err(AnswerError::CutOff),
        Some("refusal") => Err(AnswerError::Declined),
        other => Err(AnswerError::Stopped(Excerpt::new(other.unwrap_or("none")))),
    }
}

fn text_at<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}
