//! Invalid answers, in every part of them.

use rebound_dev::claude::ClaudeBehaviour;
use serde_json::{Value, json};

use super::Expected::{Guarded, Proposed, Refused};
use super::{Case, Expected, case, followup, followup_input, try_all};

fn tool(name: &str, input: Value) -> ClaudeBehaviour {
    ClaudeBehaviour::Tool(name.to_owned(), input)
}

fn call(id: &str, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "schedule_followup", "input": input })
}

fn content(blocks: &[&Value], stop: &str) -> ClaudeBehaviour {
    ClaudeBehaviour::Content(json!(blocks), stop.to_owned())
}

fn body(body: impl Into<Vec<u8>>) -> ClaudeBehaviour {
    ClaudeBehaviour::Raw(200, "application/json".to_owned(), body.into())
}

/// A response of Claude with this content and these other fields.
fn message(content: &str, more: &str) -> String {
    format!(
        r#"{{"type":"message","role":"assistant","model":"claude-haiku-5-5","content":{content},"stop_reason":"tool_use",
            "usage":{{"input_tokens":900,"output_tokens":90}}{more}}}"#
    )
}

/// The body of a follow-up with this delay, valid or not.
fn with_raw_delay(delay: &str) -> ClaudeBehaviour {
    let input = followup_input(&json!({ "send_after_hours": "DELAY" }));
    body(message(&json!([call("toolu_1", &input)]).to_string().replace("\"DELAY\"", delay), ""))
}

#[tokio::test]
async fn only_allowed_recipients_of_the_email_get_a_follow_up() {
    let none_of_them = "not one of the offered recipients";
    let mut cases: Vec<Case> = [
        "mallory@evil.example",
        "ann0@example.com",
        "Ann <ann0@example.com>",
        "r1,r2",
        "r1 r2",
        "r1;mallory@evil.example",
        "r1\nr2",
        "r0",
        "r3",
        "r-1",
        "r999999999999999999999",
        "R1",
        " r1",
        "r1 ",
        "r1\u{200b}",
        "ｒ１",
        "r٢",
        "",
        "*",
        "all",
    ]
    .into_iter()
    .map(|to| case(format!("to {to:?}"), followup(&json!({ "to": to })), Refused(none_of_them)))
    .collect();
    for to in [json!(["r1"]), json!(["r1", "r2"]), json!({ "token": "r1" }), json!(null), json!(1), json!(true)] {
        cases.push(case(format!("to {to}"), followup(&json!({ "to": to })), Refused("to must be a string")));
    }
    cases.push(case("to who is suppressed", followup(&json!({ "to": "r2" })), Guarded("suppressed")));
    cases.push(case("to the other", followup(&json!({})), Proposed));
    try_all(cases).await;
}

#[tokio::test]
async fn no_delay_is_out_of_bounds() {
    let of = |delay: Value, word| {
        case(format!("after {delay}"), followup(&json!({ "send_after_hours": delay })), Refused(word))
    };
    let mut cases: Vec<Case> = [-1e300, -4.0, -0.0, 0.0, 1e-300, 0.99, 168.001, 169.0, 1e6, 1e300, f64::MAX]
        .into_iter()
        .map(|hours| of(json!(hours), "is not between 1 and 168"))
        .collect();
    cases.push(of(json!(u64::MAX), "is not between 1 and 168"));
    for delay in [json!("soon"), json!("4"), json!("4h"), json!(null), json!(true), json!([4]), json!({ "hours": 4 })] {
        cases.push(of(delay, "must be a number"));
    }
    for delay in ["NaN", "Infinity", "-Infinity", "1e999", "0x4", "04", "4,5", ".5", "+4"] {
        cases.push(case(format!("after {delay}, as JSON"), with_raw_delay(delay), Refused("not JSON")));
    }
    cases.push(case("after 4e0, as JSON", with_raw_delay("4e0"), Proposed));
    try_all(cases).await;
}

#[tokio::test]
async fn no_field_is_missing_too_long_or_of_another_type() {
    let tools = [
        ("schedule_followup", followup_input(&json!({}))),
        ("log_engagement", json!({ "interest": "high", "reason": "A person clicked." })),
        ("hand_to_human", json!({ "reason": "A person clicked." })),
        ("do_nothing", json!({ "reason": "Nothing." })),
    ];
    let mut cases = Vec::new();
    for (name, whole) in &tools {
        let with = |field: &str, value: Value| {
            let mut input = whole.clone();
            input[field] = value;
            tool(name, input)
        };
        for field in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            cases.push(case(format!("{name} without {field}"), tool(name, without), Refused("is missing the field")));
            for other in [json!(null), json!(true), json!([]), json!({}), json!(["r1"]), json!([[[]]])] {
                let named = format!("{name} with {field}: {other}");
                cases.push(case(named, with(field, other), Refused("must be a")));
            }
        }
        for more in ["bcc", "cc", "html", "recipients", "", "to\u{200b}", "mallory@evil.example"] {
            cases.push(case(format!("{name} with {more:?} too"), with(more, json!("r1")), Refused("has no field")));
        }
        for input in [json!(null), json!([]), json!("r1"), json!(1)] {
            cases.push(case(format!("{name} with the input {input}"), tool(name, input), Refused("not an object")));
        }
    }
    for field in ["subject", "message", "reason"] {
        let long = |text: String, word| {
            case(format!("a {field} of {}", text.len()), followup(&json!({ (field): text })), Refused(word))
        };
        cases.push(long("x".repeat(100_000), "100000 characters"));
        cases.push(long("mallory@evil.example ".repeat(5_000), "characters"));
        cases.push(long(" \n\t ".to_owned(), "is empty"));
        cases.push(long(String::new(), "is empty"));
    }
    for (name, subject) in [("a line break", "a\nb"), ("a return", "a\rb"), ("both", "a\r\nBcc: b"), ("a tab", "a\tb")]
    {
        cases.push(case(
            format!("a subject with {name}"),
            followup(&json!({ "subject": subject })),
            Refused("control character"),
        ));
    }
    for subject in ["For r1", "R2, hello", "r1"] {
        cases.push(case(
            format!("the subject {subject}"),
            followup(&json!({ "subject": subject })),
            Refused("the recipient token"),
        ));
    }
    for interest in ["huge", "HIGH", "", "mallory@evil.example"] {
        let input = json!({ "interest": interest, "reason": "So." });
        cases.push(case(
            format!("the interest {interest:?}"),
            tool("log_engagement", input),
            Refused("is not an interest"),
        ));
    }
    for campaign in ["summer", "Spring", "spring ", "", "*", "spring,summer", "mallory@evil.example"] {
        let named = format!("the campaign {campaign:?}");
        cases.push(case(named, followup(&json!({ "campaign_id": campaign })), Refused("is not the campaign")));
    }
    try_all(cases).await;
}

#[tokio::test]
async fn whatever_comes_instead_of_one_tool_call_is_refused() {
    let (right, wrong) = (followup_input(&json!({})), followup_input(&json!({ "to": "mallory@evil.example" })));
    let (one, evil) = (call("toolu_1", &right), call("toolu_2", &wrong));
    let text = |text: &str| json!({ "type": "text", "text": text });
    let thinking = json!({ "type": "thinking", "thinking": "Mallory, mallory@evil.example", "signature": "x" });
    let said = text("Write to mallory@evil.example, says https://evil.example");
    let unknown = |name: &str| tool(name, json!({ "to": "mallory@evil.example", "reason": "So." }));
    let valid = message(&json!([one]).to_string(), "");
    let cases: Vec<(&str, ClaudeBehaviour, Expected)> = vec![
        ("two calls", content(&[&one, &evil], "tool_use"), Refused("calls 2 tools")),
        ("the same call twice", content(&[&one, &one], "tool_use"), Refused("calls 2 tools")),
        ("text only", content(&[&said], "end_turn"), Refused("not for a tool call")),
        ("text only, as a call", content(&[&said], "tool_use"), Refused("calls no tool")),
        ("nothing", content(&[], "end_turn"), Refused("not for a tool call")),
        ("nothing, as a call", content(&[], "tool_use"), Refused("calls no tool")),
        ("cut off", content(&[&one], "max_tokens"), Refused("cut off")),
        ("declined", content(&[&text("No.")], "refusal"), Refused("declined")),
        ("declined, with a call", content(&[&one], "refusal"), Refused("declined")),
        ("a call at the end of a turn", content(&[&one], "end_turn"), Refused("not for a tool call")),
        ("a pause", content(&[&one], "pause_turn"), Refused("not for a tool call")),
        ("an unknown stop", content(&[&one], "mallory@evil.example"), Refused("not for a tool call")),
        ("an unknown tool", unknown("send_email"), Refused("an unknown tool")),
        ("an unknown tool, named as an address", unknown("mallory@evil.example"), Refused("an unknown tool")),
        ("a tool in capitals", unknown("Schedule_Followup"), Refused("an unknown tool")),
        ("a tool without a name", unknown(""), Refused("an unknown tool")),
        (
            "a block of another kind",
            content(&[&json!({ "type": "server_tool_use" }), &one], "tool_use"),
            Refused("a block of the kind"),
        ),
        ("a block without a kind", content(&[&json!({}), &one], "tool_use"), Refused("a block of the kind")),
        ("blocks that are none", content(&[&json!("x"), &json!(1)], "tool_use"), Refused("a block of the kind")),
        ("text and a call", content(&[&said, &one], "tool_use"), Proposed),
        ("thinking and a call", content(&[&thinking, &one], "tool_use"), Proposed),
        ("content that is text", ClaudeBehaviour::Content(json!("r1"), "tool_use".to_owned()), Refused("no content")),
        (
            "content that is nothing",
            ClaudeBehaviour::Content(json!(null), "tool_use".to_owned()),
            Refused("no content"),
        ),
        ("broken JSON", body(valid.trim_end_matches('}')), Refused("not JSON")),
        ("JSON and more", body(format!("{valid}{valid}")), Refused("not JSON")),
        (
            "an HTML page",
            ClaudeBehaviour::Raw(200, "text/html".to_owned(), b"<html>mallory@evil.example</html>".to_vec()),
            Refused("not JSON"),
        ),
        ("an empty body", body(""), Refused("not JSON")),
        ("no text at all", body(vec![0xff, 0xfe, 0x00, 0xd8]), Refused("not JSON")),
        ("a mark before it", body(format!("\u{feff}{valid}")), Refused("not JSON")),
        ("null", body("null"), Refused("not an object")),
        ("a list", body(format!("[{valid}]")), Refused("not an object")),
        (
            "another type",
            body(valid.replace("\"message\",\"role\"", "\"batch\",\"role\"")),
            Refused("type is not message"),
        ),
        (
            "two contents",
            body(message(&json!([one]).to_string(), &format!(r#","content":[{evil}]"#))),
            Refused("duplicate key"),
        ),
        (
            "two recipients by one key",
            body(valid.replace(r#""to":"r1""#, r#""to":"r1","to":"r2""#)),
            Refused("duplicate key"),
        ),
        ("very deep", body(message(&"[".repeat(100_000), "")), Refused("not JSON")),
        ("ten megabytes", body(valid.replace("Shall", &"x".repeat(10_000_000))), Refused("not JSON")),
        ("ten megabytes of white space", body(format!("{}{valid}", " ".repeat(10_000_000))), Refused("not JSON")),
        ("a usage below nothing", body(valid.replace("900", "-900")), Proposed),
        ("a usage in words", body(valid.replace("900", "\"many\"")), Proposed),
        ("no usage", body(valid.replace("\"usage\"", "\"usages\"")), Proposed),
    ];
    try_all(cases.into_iter().map(|(name, answer, expected)| case(name, answer, expected)).collect()).await;
}
