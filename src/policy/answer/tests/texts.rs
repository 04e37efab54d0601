//! Tests of an answer's texts, its usage, its excerpt in receipts, and the tools.

use super::*;

fn fault(field: &str, text: &str) -> TextError {
    match refused(&with(field, json!(text))) {
        AnswerError::Text { field: named, fault } => {
            assert_eq!(named, field);
            fault
        }
        other => panic!("{text}: {other}"),
    }
}

fn passes(field: &str, text: &str) -> bool {
    answered("schedule_followup", &with(field, json!(text))).is_ok()
}

#[test]
fn every_text_has_something_in_it_and_not_too_much() {
    for (field, most) in [("subject", 150), ("message", 2_000), ("reason", 500)] {
        assert_eq!(fault(field, ""), TextError::Empty);
        assert_eq!(fault(field, " \u{A0}\n "), TextError::Empty);
        assert!(passes(field, &format!("  {}  ", "é".repeat(most))), "{field}");
        assert_eq!(fault(field, &"é".repeat(most + 1)), TextError::TooLong { chars: most + 1, most });
        assert_eq!(fault(field, &"x ".repeat(50_000)), TextError::TooLong { chars: 99_999, most });
    }
}

#[test]
fn only_a_message_has_lines_and_they_end_in_line_feeds() {
    let choice = answered("schedule_followup", &with("message", json!("\r\nHello,\r\n\tAnn\n")));
    assert!(matches!(choice, Ok(Choice::ScheduleFollowup { message, .. }) if message == "Hello,\n\tAnn"));
    assert_eq!(fault("message", "a\rb"), TextError::Control(0xD));
    for (text, code) in [("a\nBcc: b", 0xA), ("a\r\nb", 0xD), ("a\tb", 9), ("a\u{0}b", 0), ("a\u{85}b", 0x85)] {
        assert_eq!(fault("subject", text), TextError::Control(code));
        assert_eq!(fault("reason", text), TextError::Control(code));
    }
}

#[test]
fn what_can_not_be_seen_is_refused() {
    for c in "\u{2028}\u{2029}\u{202E}\u{2066}\u{200B}\u{200D}\u{FEFF}\u{AD}\u{E0041}\u{FE0F}\u{2800}\u{3164}\u{61C}\u{E000}\u{FFFF}"
        .chars()
    {
        for field in ["subject", "message", "reason"] {
            assert_eq!(fault(field, &format!("a{c}b")), TextError::Hidden(c as u32));
        }
    }
}

#[test]
fn an_address_is_refused_in_every_disguise() {
    for text in [
        "Write to ann@own.example",
        "a @ b",
        "ann＠b",
        "ann﹫b",
        "ann%40b",
        "ann%2540b",
        "ann％４０b",
        "ann%EF%BC%A0b",
        "ann (at) b",
        "ann [AT] b",
        "ann{ at }b",
        "ann（at）b",
    ] {
        for field in ["subject", "message", "reason"] {
            assert_eq!(fault(field, text), TextError::At, "{text}");
        }
    }
}

#[test]
fn markup_and_entities_are_refused() {
    for text in [
        "<b>Hi</b>",
        "a <script",
        "</p>",
        "<!-- x",
        "<?php",
        "＜img",
        "﹤a",
        "%3Cb",
        "ann&#64;b",
        "a&#x2e;b",
        "a&#x2Eb",
        "a&period;b",
        "&lt;b",
        "&amp;#64;",
        "＆lt;",
        "&nbsp;",
    ] {
        assert!(matches!(fault("message", text), TextError::Markup(_)), "{text}");
    }
    for text in ["1 < 2", "I <3 this", "a & b", "AT&T; R&D", "x -> y", "a<1"] {
        assert!(passes("message", text), "{text}");
    }
}

#[test]
fn a_recipients_token_is_no_name() {
    for text in ["Hello r1,", "R1: hi", "r2's visit", "(r1)", "ｒ１", "%721"] {
        assert!(matches!(fault("message", text), TextError::OwnToken(_)), "{text}");
    }
    for text in ["Hello r3,", "r10", "xr1", "r1x", "r_1"] {
        assert!(passes("message", text), "{text}");
    }
}

#[test]
fn a_foreign_link_is_refused_in_every_disguise() {
    for text in [
        "https:\\\\evil.example",
        "https:/\\evil.example",
        "\\\\evil.example",
        "evil.com",
        "evil%2ecom",
        "evil%252ecom",
        "evil。com",
        "evil．com",
        "evil｡com",
        "evil\u{2024}com",
        "evil﹒com",
        "ｅｖｉｌ.ｃｏｍ",
        "https：//own.example.evil",
        "https:／／evil",
        "https://own.example\\.evil.com",
        "https://own.example%2eevil.com",
        "https://own.example/?u=https%3A%2F%2Fevil.example",
        "https://own.example\u{2215}evil.com/x|evil.com",
        "https://evil.example#own.example",
        "javascript%3aalert(1)",
        "j\u{61}vascript:alert(1)",
        "data:text/html;base64,x",
        "hxxps://evil",
        "evil[.]example",
        "evil(dot)example",
        "evil [ dot ] example",
        "[prices](//evil)",
        "[prices](https://evil.example)",
    ] {
        for field in ["subject", "message", "reason"] {
            let fault = fault(field, text);
            let expected =
                matches!(fault, TextError::ForeignHost(_) | TextError::Scheme(_) | TextError::DisguisedDot(_));
            assert!(expected, "{text}: {fault}");
        }
    }
    assert_eq!(fault("message", "%252525252540"), TextError::Encoded);
    assert!(passes("message", "More at https://docs.own.example/a%20b, or OWN.example."));
}

#[test]
fn an_excerpt_is_short_and_all_of_it_can_be_seen() {
    assert_eq!(Excerpt::new("a\nb\u{202E}c\u{0}").as_str(), "a bc");
    assert_eq!(Excerpt::new(&"x".repeat(60)).as_str(), "x".repeat(60));
    assert_eq!(Excerpt::new(&"x".repeat(61)).as_str(), format!("{}…", "x".repeat(59)));
    assert_eq!(
        refused(&with("to", json!("ann\u{202E}@example.com"))).to_string(),
        "“ann@example.com” is not one of the offered recipients"
    );
    assert_eq!(
        refused(&with("subject", json!("x".repeat(151)))).to_string(),
        "the subject has 151 characters, at most 150 are allowed"
    );
}

#[test]
fn usage_with_an_impossible_number_of_tokens_is_not_read() {
    let of = |usage: &str| usage_of(&format!(r#"{{"type": "message", "usage": {usage}}}"#));
    let full = r#"{"input_tokens": 5, "output_tokens": 6, "cache_creation_input_tokens": 7, "cache_read_input_tokens": null, "x": {}}"#;
    assert_eq!(
        of(full),
        Some(Usage { input_tokens: 5, output_tokens: 6, cache_creation_input_tokens: 7, cache_read_input_tokens: 0 })
    );
    assert_eq!(of("{}"), Some(Usage::default()));
    for number in ["-1", "1.5", "1000000001", "1e300", "\"5\"", "true", "[1]"] {
        assert_eq!(of(&format!(r#"{{"input_tokens": {number}}}"#)), None, "{number}");
    }
    for usage in ["null", "5", "[]"] {
        assert_eq!(of(usage), None, "{usage}");
    }
    assert_eq!((usage_of(""), usage_of("{}"), usage_of("[]")), (None, None, None));
}

fn usage_of(body: &str) -> Option<Usage> {
    usage(body.as_bytes())
}

#[test]
fn a_receipt_shows_the_calls_or_the_text_or_the_body() {
    let call = tool_use("do_nothing", &json!({ "reason": "So." }));
    let text = json!({ "type": "text", "text": "I \u{202E}think" });
    assert_eq!(
        sanitize(&message("tool_use", &json!([text, call]))),
        r#"{"input":{"reason":"So."},"name":"do_nothing"}"#
    );
    assert_eq!(sanitize(&message("end_turn", &json!([text]))), "I \u{FFFD}think");
    assert_eq!(sanitize(b"<html>\x00\xff</html>"), "<html>\u{FFFD}\u{FFFD}</html>");
    assert_eq!(sanitize(b""), "");
    assert_eq!(sanitize("😀".repeat(50_000).as_bytes()), "😀".repeat(2_000));
    let long = json!([tool_use("do_nothing", &json!({ "reason": "x".repeat(100_000) }))]);
    assert_eq!(sanitize(&message("tool_use", &long)).chars().count(), 2_000);
}

#[test]
fn every_tool_is_strict_and_fits_a_strict_schema() {
    let offered = tools(&[RecipientToken::nth(0), RecipientToken::nth(1)]);
    let names: Vec<&str> = offered.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["schedule_followup", "log_engagement", "hand_to_human", "do_nothing"]);
    for tool in offered.as_array().unwrap() {
        let schema = &tool["input_schema"];
        assert_eq!((&tool["strict"], &schema["additionalProperties"]), (&json!(true), &json!(false)));
        let properties: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let required: BTreeSet<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        assert_eq!(properties, required.iter().collect());
        for (name, property) in schema["properties"].as_object().unwrap() {
            let allowed = |key: &String| ["type", "enum", "description"].contains(&key.as_str());
            assert!(property.as_object().unwrap().keys().all(allowed), "{name}");
        }
    }
    assert_eq!(offered[0]["input_schema"]["properties"]["to"]["enum"], json!(["r1", "r2"]));
    assert_eq!(tools(&[]).as_array().unwrap().len(), 3);
}

#[test]
fn a_choice_is_written_with_its_name_and_read_back() {
    let choice = answered("schedule_followup", &followup()).unwrap();
    let written = serde_json::to_value(&choice).unwrap();
    assert_eq!((&written["do"], &written["to"]), (&json!("schedule_followup"), &json!("r1")));
    assert_eq!(serde_json::from_value::<Choice>(written).unwrap(), choice);
    assert_eq!((choice.as_str(), choice.reason()), ("schedule_followup", "Clicked on the prices twice."));
}
