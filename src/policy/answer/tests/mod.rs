use serde_json::json;

use super::*;

mod properties;
mod texts;

/// Limits for the answers in these tests.
struct TestEmail {
    tokens: Vec<RecipientToken>,
    campaign: Campaign,
    hosts: BTreeSet<String>,
}

impl TestEmail {
    fn new() -> Self {
        Self {
            tokens: vec![RecipientToken::nth(0), RecipientToken::nth(1)],
            campaign: Campaign::new("launch").unwrap(),
            hosts: ["own.example".to_owned(), "docs.own.example".to_owned()].into(),
        }
    }

    fn check(&self, body: &[u8]) -> Result<Choice, AnswerError> {
        let bounds = AnswerLimits {
            tokens: &self.tokens,
            campaign: &self.campaign,
            hosts: &self.hosts,
            longest_delay_hours: 168,
        };
        check(body, &bounds)
    }
}

fn followup() -> Value {
    json!({
        "to": "r1",
        "subject": "Your question",
        "message": "Hello Ann,\n\nhere is more: https://own.example/more.",
        "send_after_hours": 24,
        "campaign_id": "launch",
        "reason": "Clicked on the prices twice.",
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut input = followup();
    input[field] = value;
    input
}

fn tool_use(name: &str, input: &Value) -> Value {
    json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": input })
}

fn message(stop_reason: &str, content: &Value) -> Vec<u8> {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": { "input_tokens": 900, "output_tokens": 80 },
    });
    message.to_string().into_bytes()
}

fn answered(name: &str, input: &Value) -> Result<Choice, AnswerError> {
    TestEmail::new().check(&message("tool_use", &json!([tool_use(name, input)])))
}

fn refused(input: &Value) -> AnswerError {
    answered("schedule_followup", input).unwrap_err()
}

#[test]
fn an_answer_within_its_bounds_is_the_choice_it_makes() {
    assert_eq!(
        answered("schedule_followup", &followup()),
        Ok(Choice::ScheduleFollowup {
            to: RecipientToken::nth(0),
            subject: "Your question".to_owned(),
            message: "Hello Ann,\n\nhere is more: https://own.example/more.".to_owned(),
            send_after_hours: 24.0,
            reason: "Clicked on the prices twice.".to_owned(),
        })
    );
    let reason = "So.".to_owned();
    assert_eq!(
        answered("log_engagement", &json!({ "interest": "high", "reason": "So." })),
        Ok(Choice::LogEngagement { interest: Interest::High, reason: reason.clone() })
    );
    assert_eq!(
        answered("hand_to_human", &json!({ "reason": "So." })),
        Ok(Choice::HandToHuman { reason: reason.clone() })
    );
    assert_eq!(answered("do_nothing", &json!({ "reason": " So. " })), Ok(Choice::DoNothing { reason }));
}

#[test]
fn text_and_thinking_may_stand_beside_the_call() {
    let content = json!([
        { "type": "thinking", "thinking": "Write to ann@example.com?", "signature": "x" },
        { "type": "redacted_thinking", "data": "x" },
        { "type": "text", "text": "I look at evil.com first." },
        tool_use("do_nothing", &json!({ "reason": "So." })),
    ]);
    assert!(TestEmail::new().check(&message("tool_use", &content)).is_ok());
}

#[test]
fn what_is_no_message_is_refused() {
    let nested = vec![b'['; 1_000_000];
    for body in [&b""[..], b" ", b"{", b"<!DOCTYPE html><html></html>", b"\xff\xfe", b"{\"a\": 1e999}", b"NaN", &nested]
    {
        assert!(matches!(TestEmail::new().check(body), Err(AnswerError::NotJson(_))));
    }
    let deep = [message("tool_use", &json!([])), b"}".to_vec()].concat();
    assert!(matches!(TestEmail::new().check(&deep), Err(AnswerError::NotJson(_))));
    for body in [
        "null",
        "[]",
        "\"message\"",
        "{}",
        r#"{"type": "error", "error": {"type": "overloaded_error"}}"#,
        r#"{"type": "message", "stop_reason": "tool_use"}"#,
        r#"{"type": "message", "stop_reason": "tool_use", "content": "do_nothing"}"#,
        r#"{"type": "message", "stop_reason": "tool_use", "content": [{"type": "tool_use"}]}"#,
    ] {
        assert!(matches!(TestEmail::new().check(body.as_bytes()), Err(AnswerError::NotAMessage(_))), "{body}");
    }
}

#[test]
fn a_duplicate_key_is_refused_anywhere() {
    let call = r#"{"type": "tool_use", "name": "do_nothing", "input": {"reason": "a", "reason": "b"}}"#;
    for body in [
        format!(r#"{{"type": "message", "stop_reason": "tool_use", "content": [{call}]}}"#),
        r#"{"type": "error", "type": "message", "stop_reason": "tool_use", "content": []}"#.to_owned(),
        r#"{"type": "message", "stop_reason": "refusal", "stop_reason": "tool_use"}"#.to_owned(),
    ] {
        assert_eq!(TestEmail::new().check(body.as_bytes()), Err(AnswerError::DuplicateKey), "{body}");
    }
}

#[test]
fn an_answer_that_stopped_for_another_reason_is_refused() {
    let content = json!([tool_use("do_nothing", &json!({ "reason": "So." }))]);
    let stopped = |reason| TestEmail::new().check(&message(reason, &content)).unwrap_err();
    assert_eq!(stopped("max_tokens"), AnswerError::CutOff);
    assert_eq!(stopped("refusal"), AnswerError::Declined);
    for reason in ["end_turn", "pause_turn", "stop_sequence", "model_context_window_exceeded", "TOOL_USE", ""] {
        assert_eq!(stopped(reason), AnswerError::Stopped(Excerpt::new(reason)));
    }
    let none = br#"{"type": "message", "stop_reason": null, "content": []}"#;
    assert!(TestEmail::new().check(none).unwrap_err().to_string().contains("none"));
}

#[test]
fn exactly_one_known_tool_must_be_called() {
    let call = tool_use("do_nothing", &json!({ "reason": "So." }));
    let checked = |content: Value| TestEmail::new().check(&message("tool_use", &content)).unwrap_err();
    assert_eq!(checked(json!([])), AnswerError::NoChoice);
    assert_eq!(checked(json!([{ "type": "text", "text": "schedule_followup" }])), AnswerError::NoChoice);
    assert_eq!(checked(json!([call, call])), AnswerError::SeveralChoices(2));
    for block in [json!({ "type": "server_tool_use" }), json!({}), json!("x"), json!({ "type": 5 })] {
        assert!(matches!(checked(json!([block, call])), AnswerError::UnknownBlock(_)), "{block}");
    }
    for name in ["send_email", "Schedule_Followup", "schedule_followup ", ""] {
        assert_eq!(answered(name, &followup()), Err(AnswerError::UnknownTool(Excerpt::new(name))));
    }
}

#[test]
fn a_tools_input_has_its_fields_and_no_others() {
    for input in [json!(null), json!([]), json!("{}"), json!(5)] {
        assert_eq!(refused(&input), AnswerError::InputNotAnObject { tool: "schedule_followup" }, "{input}");
    }
    for field in Tool::ScheduleFollowup.fields() {
        let mut input = followup();
        input.as_object_mut().unwrap().remove(*field);
        assert_eq!(refused(&input), AnswerError::MissingField { tool: "schedule_followup", field });
        assert!(matches!(refused(&with(field, json!(null))), AnswerError::WrongType { .. }), "{field}");
        assert!(matches!(refused(&with(field, json!(["r1"]))), AnswerError::WrongType { .. }), "{field}");
    }
    for extra in ["cc", "bcc", "from", "To", ""] {
        let field = Excerpt::new(extra);
        assert_eq!(refused(&with(extra, json!("r2"))), AnswerError::UnknownField { tool: "schedule_followup", field });
    }
}

#[test]
fn nobody_but_one_offered_recipient_is_written_to() {
    assert!(answered("schedule_followup", &with("to", json!("r2"))).is_ok());
    for to in
        ["ann@example.com", "r3", "R1", " r1", "r1 ", "r1, r2", "r1,r2", "r01", "r1\n", "", "all", "ｒ1", "Ann <r1>"]
    {
        assert_eq!(refused(&with("to", json!(to))), AnswerError::NotARecipient(Excerpt::new(to)));
    }
    for to in [json!(["r1"]), json!({ "token": "r1" }), json!(1), json!(true)] {
        assert!(matches!(refused(&with("to", to)), AnswerError::WrongType { field: "to", .. }));
    }
}

#[test]
fn it_is_about_the_campaign_of_the_email() {
    for campaign in ["Launch", "launch2", "launch ", "", "*"] {
        assert_eq!(refused(&with("campaign_id", json!(campaign))), AnswerError::OtherCampaign(Excerpt::new(campaign)));
    }
}

#[test]
fn the_delay_is_a_number_of_hours_from_one_to_the_longest() {
    for hours in [json!(1), json!(1.0), json!(1.5), json!(168)] {
        assert!(answered("schedule_followup", &with("send_after_hours", hours)).is_ok());
    }
    for hours in
        [json!(0), json!(-0.0), json!(0.99), json!(-24), json!(168.01), json!(1e300), json!(u64::MAX), json!(i64::MIN)]
    {
        let refusal = refused(&with("send_after_hours", hours.clone()));
        assert!(matches!(refusal, AnswerError::Delay { longest: 168, .. }), "{hours}");
        assert!(refusal.to_string().len() < 80, "{refusal}");
    }
    for hours in [json!("24"), json!("NaN"), json!("tomorrow"), json!(true), json!(null), json!([24])] {
        assert!(matches!(refused(&with("send_after_hours", hours)), AnswerError::WrongType { .. }));
    }
}

#[test]
fn the_interest_is_one_of_three() {
    for interest in ["Low", "very high", "", "none"] {
        let refusal = answered("log_engagement", &json!({ "interest": interest, "reason": "So." })).unwrap_err();
        assert_eq!(refusal, AnswerError::UnknownInterest(Excerpt::new(interest)));
    }
}
