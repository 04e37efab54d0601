//! What the stand-in decides by rote.

use serde_json::{Value, json};

use super::id;

/// A follow-up is sent so much later.
const SEND_AFTER_HOURS: u64 = 4;

/// The content of an answer, and its `stop_reason`.
type StubReply = (Value, String);

/// A call of a tool (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>).
pub(super) fn tool_use(name: &str, input: &Value) -> StubReply {
    let call = json!({ "type": "tool_use", "id": id("toolu"), "name": name, "input": input });
    (json!([call]), "tool_use".to_owned())
}

/// Decides by the facts in the last message, with a tool that is offered.
pub(super) fn scripted_reply(request: &Value) -> StubReply {
    let offered = |name: &str| tools(request).any(|tool| tool == name);
    let facts = facts(request);
    let wanted = wanted(&facts);
    let chosen = if request.pointer("/tool_choice/type").and_then(Value::as_str) == Some("none") {
        None
    } else if let Some(forced) = request.pointer("/tool_choice/name").and_then(Value::as_str) {
        Some(forced)
    } else {
        [wanted, "do_nothing"].into_iter().find(|name| offered(name)).or_else(|| tools(request).next())
    };
    match chosen {
        Some(name) => tool_use(name, &input(name, &facts)),
        None => (json!([{ "type": "text", "text": "There is nothing to be done." }]), "end_turn".to_owned()),
    }
}

fn tools(request: &Value) -> impl Iterator<Item = &str> {
    let tools = request.get("tools").and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(|tool| tool.get("name")?.as_str())
}

/// The JSON text of the last message: its content, or the first block of that which is such a text.
fn facts(request: &Value) -> Value {
    let last = request.get("messages").and_then(Value::as_array).and_then(|messages| messages.last());
    let content = last.and_then(|message| message.get("content")).unwrap_or(&Value::Null);
    let blocks = content.as_array().into_iter().flatten().filter_map(|block| block.get("text"));
    let texts = std::iter::once(content).chain(blocks).filter_map(Value::as_str);
    let mut objects = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    objects.next().unwrap_or_default()
}

fn wanted(facts: &Value) -> &'static str {
    let text = |pointer| facts.pointer(pointer).and_then(Value::as_str);
    match (text("/event/type"), text("/verdict/verdict"), recipient(facts)) {
        (Some("email.clicked"), Some("human"), Some(_)) => "schedule_followup",
        (Some("email.opened"), _, _) => "log_engagement",
        _ => "do_nothing",
    }
}

fn recipient(facts: &Value) -> Option<&str> {
    facts.pointer("/event/recipients/0")?.as_str()
}

fn input(tool: &str, facts: &Value) -> Value {
    match tool {
        "schedule_followup" => json!({
            "to": recipient(facts).unwrap_or_default(),
            "subject": "Any questions?",
            "message": "Thank you for having a look. If there is anything you would like to know, just reply to this email.",
            "send_after_hours": SEND_AFTER_HOURS,
            "campaign_id": facts.pointer("/campaign/id"),
            "reason": "A human clicked.",
        }),
        "log_engagement" => json!({ "interest": "low", "reason": "It was opened, and no more." }),
        "do_nothing" => json!({ "reason": "It may not have been a human." }),
        _ => json!({}),
    }
}
