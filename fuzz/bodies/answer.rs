//! Claude's answers: the input is the body of a response of the Messages API.
//!
//! It is also used in other ways, so that some inputs are accepted: as the input of each tool, if it is JSON; and as
//! three texts: subject and reason on a line each, and the rest as the message.

use std::collections::BTreeSet;

use rebound::claude::price::Price;
use rebound::message::decision::{DecidedBy, DecisionResult, DecisionSource, Followup, Receipt, wording};
use rebound::policy::answer::{AnswerLimits, Choice, RecipientToken, check, sanitize, usage};
use rebound::policy::limits::ClaudePolicy;
use rebound::policy::money::NanoUsd;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::Campaign;
use serde_json::{Value, json};

use super::second_look::{is_harmless, names_none_of};
use super::{lines, text};

const HOSTS: [&str; 2] = ["own.example", "docs.own.example"];
const TOOLS: [&str; 4] = ["schedule_followup", "log_engagement", "hand_to_human", "do_nothing"];
const MAX_DELAY_HOURS: u32 = 168;

/// Every answer is rejected, or its result keeps every limit; and its receipt and its publication are valid.
pub fn run(bytes: &[u8]) {
    judged(bytes);
    if let Ok(input) = serde_json::from_slice::<Value>(bytes) {
        for tool in TOOLS {
            judged(&calling(tool, &input));
        }
    }
    let [subject, reason, message] = lines(bytes);
    let (subject, reason, message) = (text(subject), text(reason), text(message));
    for (subject, reason, message) in [
        (subject.as_str(), reason.as_str(), message.as_str()),
        ("A subject", reason.as_str(), "A message."),
        (subject.as_str(), "A reason", "A message."),
        ("A subject", "A reason", message.as_str()),
        ("A subject", "A reason", &text(bytes)),
    ] {
        let input = json!({
            "to": "r2", "subject": subject, "message": message, "reason": reason, "campaign_id": "launch", "send_after_hours": 24,
        });
        judged(&calling("schedule_followup", &input));
    }
}

/// The body of a response that calls a tool.
fn calling(tool: &str, input: &Value) -> Vec<u8> {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
        "content": [{ "type": "tool_use", "id": "toolu_1", "name": tool, "input": input }],
        "usage": { "input_tokens": 900, "output_tokens": 80 },
    });
    message.to_string().into_bytes()
}

/// Reads a response in every way in which it can be read.
fn judged(body: &[u8]) {
    let usage = usage(body);
    if let Some(usage) = &usage {
        let cost = Price::for_model("claude-opus", &ClaudePolicy::default()).cost(usage);
        assert!(cost >= NanoUsd(0) && cost.usd() < 1e6, "{cost:?}");
    }
    let shown = sanitize(body);
    let is_seen = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    assert!(shown.chars().count() <= 2_000 && shown.chars().all(is_seen));

    let tokens = [RecipientToken::nth(0), RecipientToken::nth(1)];
    let campaign = Campaign::new("launch").expect("a name");
    let hosts: BTreeSet<String> = HOSTS.map(str::to_owned).into();
    let bounds =
        AnswerLimits { tokens: &tokens, campaign: &campaign, hosts: &hosts, longest_delay_hours: MAX_DELAY_HOURS };
    let (choice, refused) = match check(body, &bounds) {
        Ok(choice) => (choice, None),
        Err(refusal) => {
            let reported = refusal.to_string();
            assert!(reported.chars().count() < 300 && !reported.contains(char::is_control), "{reported:?}");
            (Choice::DoNothing { reason: "By the rules.".to_owned() }, Some(reported))
        }
    };
    keeps_to_its_bounds(&choice);
    let asked =
        DecisionSource { by: DecidedBy::Claude, usage, answer: Some(shown), refused, ..DecisionSource::default() };
    is_published(choice, asked, campaign);
}

fn keeps_to_its_bounds(choice: &Choice) {
    let one_line = |text: &str, most: usize| {
        let length = text.chars().count();
        assert!((1..=most).contains(&length) && !text.contains(char::is_control), "{text:?}");
        assert!(text.trim() == text && is_harmless(text, &HOSTS), "{text:?}");
    };
    one_line(choice.reason(), 500);
    if let Choice::ScheduleFollowup { to, subject, message, send_after_hours, .. } = choice {
        assert!(["r1", "r2"].contains(&to.as_str()));
        one_line(subject, 150);
        let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        assert!((1..=2_000).contains(&message.chars().count()) && message.chars().all(is_plain), "{message:?}");
        assert!(is_harmless(message, &HOSTS), "{message:?}");
        assert!(names_none_of(subject, &["r1", "r2"]) && names_none_of(message, &["r1", "r2"]));
        assert!((1.0..=f64::from(MAX_DELAY_HOURS)).contains(send_after_hours));
    }
}

/// The receipt of a choice reads back unchanged, and SNS accepts its publication.
fn is_published(choice: Choice, asked: DecisionSource, campaign: Campaign) {
    let (done, followup) = match &choice {
        Choice::ScheduleFollowup { subject, message, .. } => {
            (DecisionResult::FollowupProposed, Some((subject, message)))
        }
        Choice::LogEngagement { .. } => (DecisionResult::EngagementLogged, None),
        Choice::HandToHuman { .. } => (DecisionResult::HandedToHuman, None),
        Choice::DoNothing { .. } => (DecisionResult::Nothing("it was chosen".to_owned()), None),
    };
    let followup = followup.map(|(subject, message)| Followup {
        recipient: "ann@example.com".to_owned(),
        from: None,
        subject: subject.clone(),
        text: message.clone(),
        not_before: "2026-11-24T08:00:00.000Z".to_owned(),
        campaign: campaign.clone(),
        idempotency_key: Followup::idempotency_key("e1", "ann@example.com"),
        tags: Followup::tags("e1", "campaign", &campaign),
    });
    let receipt = Receipt {
        id: "decision#e1".to_owned(),
        at: "2026-11-23T13:05:00.126Z".to_owned(),
        email_id: "e1".to_owned(),
        event: "email.clicked".to_owned(),
        message: "msg_1".to_owned(),
        event_at: "2026-11-23T13:04:00.126Z".to_owned(),
        recipients: vec!["ann@example.com".to_owned()],
        campaign,
        verdict: Verdict::Human,
        score: 90,
        reasons: Vec::new(),
        opt_out_click: false,
        facts: Value::Null,
        asked,
        choice,
        guards: Vec::new(),
        done,
        followup,
    };
    let json = serde_json::to_string(&receipt).expect("a receipt is JSON");
    assert_eq!(serde_json::from_str::<Receipt>(&json).expect("and is read back"), receipt);
    let notice = wording::notification(&receipt, None).expect("a notice is JSON");
    assert_eq!(notice.is_some(), receipt.done.kind().is_some());
    if let Some(notice) = notice {
        let is_ascii = |c: char| c == ' ' || c.is_ascii_graphic();
        assert!(notice.subject.len() <= 100 && notice.subject.chars().all(is_ascii), "{:?}", notice.subject);
        assert!(notice.sms.chars().count() <= 160 && !notice.sms.contains(char::is_control));
        // SNS accepts 256 KiB in total.
        assert!(notice.email.len() + notice.json.len() + notice.sms.len() < 64 * 1024);
        let machines: Value = serde_json::from_str(&notice.json).expect("what is for machines is JSON");
        assert_eq!(machines["followup"], json!(receipt.followup));
    }
}
