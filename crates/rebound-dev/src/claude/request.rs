//! What of a request the API refuses.

use hyper::Request;
use hyper::body::Bytes;
use serde_json::Value;

/// The largest request (<https://platform.claude.com/docs/en/api/errors#request-size-limits>).
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The models that can't be told which tool to use, nor not to think, by how their names begin.
const FREE_MODELS: [&str; 3] = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-"];

/// How the names of models begin that there are.
const KNOWN_MODELS: [&str; 5] = ["claude-haiku-", "claude-sonnet-", "claude-opus-", "claude-fable-", "claude-mythos-"];

/// The model that can be told which tool to use, if it is told not to think.
const TAME_MODEL: &str = "claude-haiku-5-5";

/// Keywords that a strict tool's schema must not have
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>).
const NOT_STRICT: [&str; 4] = ["minimum", "maximum", "minLength", "maxLength"];

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct ClaudeApiError {
    pub(super) status: u16,
    pub(super) message: String,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ClaudeApiError> {
    Err(ClaudeApiError { status: 400, message: message.into() })
}

/// Whether there is a model of this name.
pub(super) fn is_known(model: &str) -> bool {
    KNOWN_MODELS.iter().any(|known| model.starts_with(known))
}

/// Checks a request, of which `body` is the body.
pub(super) fn check(request: &Request<Bytes>, body: &Value) -> Result<(), ClaudeApiError> {
    let is_set = |name| request.headers().get(name).is_some_and(|value| !value.is_empty());
    if !is_set("x-api-key") {
        return Err(ClaudeApiError { status: 401, message: "x-api-key header is required".to_owned() });
    }
    if !is_set("anthropic-version") {
        return invalid("anthropic-version: header is required");
    }
    if request.body().len() > MAX_BYTES {
        return Err(ClaudeApiError { status: 413, message: "Request exceeds the maximum size".to_owned() });
    }
    if !body.is_object() {
        return invalid("The request body is not valid JSON");
    }
    let Some(model) = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) else {
        return invalid("model: Field required");
    };
    if !is_known(model) {
        return Err(ClaudeApiError { status: 404, message: format!("model: {model}") });
    }
    if body.get("max_tokens").and_then(Value::as_u64).unwrap_or_default() == 0 {
        return invalid("max_tokens: Field required");
    }
    messages(body)?;
    tools(body)?;
    tool_choice(body)?;
    together(model, body)
}

fn messages(body: &Value) -> Result<(), ClaudeApiError> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return invalid("messages: Field required");
    };
    if messages.is_empty() {
        return invalid("messages: at least one message is required");
    }
    let role = |message: &Value| message.get("role").and_then(Value::as_str) == Some("user");
    if !messages.first().is_some_and(role) {
        return invalid("messages: first message must use the \"user\" role");
    }
    let filled = |message: &Value| match message.get("content") {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(blocks)) => !blocks.is_empty(),
        _ => false,
    };
    match messages.iter().position(|message| !filled(message)) {
        Some(index) => invalid(format!("messages.{index}: all messages must have non-empty content")),
        None => Ok(()),
    }
}

fn tools(body: &Value) -> Result<(), ClaudeApiError> {
    let tools = match body.get("tools") {
        None => return Ok(()),
        Some(tools) => tools,
    };
    let Some(tools) = tools.as_array() else { return invalid("tools: Input should be a valid list") };
    for (index, tool) in tools.iter().enumerate() {
        if !tool.get("name").and_then(Value::as_str).is_some_and(is_name) {
            return invalid(format!(
                "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            ));
        }
        let schema = tool.get("input_schema").unwrap_or(&Value::Null);
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return invalid(format!("tools.{index}.custom.input_schema.type: Input should be 'object'"));
        }
        if tool.get("strict").and_then(Value::as_bool) == Some(true)
            && let Err(message) = strict(schema)
        {
            return invalid(format!("tools.{index}.custom: {message}"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether a schema can be kept strictly, it and what is in it.
fn strict(schema: &Value) -> Result<(), String> {
    let keyword = |name: &str| schema.get(name);
    if keyword("type").and_then(Value::as_str) == Some("object")
        && keyword("additionalProperties") != Some(&Value::Bool(false))
    {
        return Err("For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned());
    }
    if let Some(name) = NOT_STRICT.iter().find(|name| keyword(name).is_some()) {
        let kind = keyword("type").and_then(Value::as_str).unwrap_or_default();
        return Err(format!("For '{kind}' type, property '{name}' is not supported"));
    }
    // Names of properties are not keywords, so these are looked into one by one.
    let objects = ["properties", "$defs"].iter().filter_map(|name| keyword(name)?.as_object());
    let lists = ["anyOf", "allOf"].iter().filter_map(|name| keyword(name)?.as_array());
    let within = objects.flat_map(|object| object.values()).chain(lists.flatten()).chain(keyword("items"));
    for schema in within {
        strict(schema)?;
    }
    Ok(())
}

fn tool_choice(body: &Value) -> Result<(), ClaudeApiError> {
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    let offered = || body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match choice.get("type").and_then(Value::as_str) {
        Some("auto" | "any" | "none") => {}
        Some("tool") => {
            let Some(name) = choice.get("name").and_then(Value::as_str) else {
                return invalid("tool_choice.tool.name: Field required");
            };
            if !offered().iter().any(|tool| tool.get("name").and_then(Value::as_str) == Some(name)) {
                return invalid(format!("Tool '{name}' not found in provided tools"));
            }
        }
        _ => {
            return invalid("tool_choice: Input tag should be one of the expected tags: 'auto', 'any', 'tool', 'none'");
        }
    }
    if offered().is_empty() {
        return invalid("tool_choice may only be specified while providing tools");
    }
    Ok(())
}

/// What each model bears together.
fn together(model: &str, body: &Value) -> Result<(), ClaudeApiError> {
    let kind = |field: &str| body.get(field).and_then(|field| field.get("type")?.as_str());
    let (forced, thinking) = (matches!(kind("tool_choice"), Some("any" | "tool")), kind("thinking"));
    if FREE_MODELS.iter().any(|free| model.starts_with(free)) {
        if forced {
            return invalid(format!("tool_choice: forced tool use is not supported by {model}"));
        }
        if thinking == Some("disabled") {
            return invalid(format!("thinking.type: disabled is not supported by {model}"));
        }
    }
    if model.starts_with(TAME_MODEL) && forced && thinking != Some("disabled") {
        return invalid("Thinking may not be enabled when tool_choice forces tool use.");
    }
    Ok(())
}
