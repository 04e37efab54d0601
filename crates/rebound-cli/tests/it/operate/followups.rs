//! `rebound followups`, and what `timeline` and `forget` do with follow-ups.

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::{Item, number, text};
use rebound::time::{UnixMillis, minutes};
use rebound_dev::stack::EmbeddedAws;
use serde_json::{Value, json};

use super::rebound;
use crate::support::protect::ProtectHarness;

const EMAIL: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";

/// A follow-up as the store writes it: its row, its entry, and its place, with these attributes of the row besides. Returns its id.
pub(super) async fn put_followup(aws: &EmbeddedAws, to: &str, status: &str, more: &[(&str, AttributeValue)]) -> String {
    let hash = format!("{:024x}", fastrand::u64(..));
    let (id, decision) = (format!("followup-{hash}"), format!("decision-{hash}"));
    let at = UnixMillis::now().plus(minutes(10));
    let is_settled = ["sent", "dropped", "unknown"].contains(&status);
    let item = |attributes: &[(&str, AttributeValue)]| -> Item {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let line = item(&[
        ("at", number(at.0)),
        ("status", text(status)),
        ("by", text("engage")),
        ("why", text("decided")),
        ("times", number(1)),
    ]);
    let mut row = item(&[
        ("email_id", text(EMAIL)),
        ("event", text(format!("followup#{id}"))),
        ("kind", text("followup")),
        ("id", text(&id)),
        ("decision", text(&decision)),
        ("status", text(status)),
        ("mode", text("send")),
        ("version", number(1)),
        ("recipient", text(to)),
        ("campaign", text("spring")),
        ("not_before", number(at.0)),
        ("due_since", number(at.0)),
        ("entry_at", number(at.0)),
        ("tries", number(0)),
        ("refusals", number(0)),
        ("history", AttributeValue::L(vec![AttributeValue::M(line)])),
        ("expires_at", number(at.seconds() + 8_000_000)),
    ]);
    row.extend(item(more));
    let entry = item(&[
        ("kind", text(if is_settled { "followup_done" } else { "followup" })),
        ("due", text(format!("{}#{id}", at.to_text()))),
        ("email_id", text(EMAIL)),
        ("id", text(&id)),
        ("status", text(status)),
    ]);
    let taken = AttributeValue::Ss(vec![format!("{}#{decision}#{EMAIL}", at.0)]);
    let places =
        item(&[("recipient", text(to)), ("fact", text("followups")), ("taken", taken), ("version", number(1))]);
    for (table, item) in [("EVENTS_TABLE", row), ("AGENDA_TABLE", entry), ("RECIPIENTS_TABLE", places)] {
        let put = aws.clients().dynamodb().put_item().table_name(aws.variable(table).unwrap());
        put.set_item(Some(item)).send().await.unwrap();
    }
    id
}

fn open() -> [(&'static str, AttributeValue); 3] {
    let request = json!({ "from": "a@shop.example", "to": "ann@example.com", "text": "Bulbs" });
    [
        ("open_since", number(UnixMillis::now().0)),
        ("asked_with", text("0123456789abcdef")),
        ("request", text(request.to_string())),
    ]
}

async fn status(stage: &ProtectHarness, id: &str) -> Value {
    let shown = rebound(&stage.aws, &["followups", "show", id, "--json"]).await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    shown.json()
}

#[tokio::test]
async fn each_follow_up_is_listed_and_shown_with_who_did_what() {
    let stage = ProtectHarness::start().await;
    let none = rebound(&stage.aws, &["followups", "list"]).await;
    assert_eq!((none.code, none.stdout.starts_with("No follow-ups wait")), (0, true), "{}", none.stdout);
    let due = put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    let sent = put_followup(&stage.aws, "bob@example.com", "sent", &[("resend_id", text("r1"))]).await;
    let open = put_followup(&stage.aws, "cem@example.com", "sending", &open()).await;
    let lines = rebound(&stage.aws, &["followups", "list", "--json"]).await.lines();
    let mut shown: Vec<String> = lines.iter().map(|line| format!("{} {}", line["id"], line["status"])).collect();
    shown.sort();
    let mut expected =
        [(&due, "due"), (&sent, "sent"), (&open, "sending")].map(|(id, status)| format!("{id:?} {status:?}"));
    expected.sort();
    assert_eq!(shown, expected);
    let of_bob = lines.iter().find(|line| line["id"] == sent.as_str()).unwrap();
    let names: Vec<&String> = of_bob.as_object().unwrap().keys().collect();
    let all = ["at", "campaign", "email_id", "id", "mode", "not_before", "recipient", "resend_id", "status", "tries"];
    assert_eq!(names, all);
    let table = rebound(&stage.aws, &["followups", "list"]).await.stdout;
    assert!(table.contains(&due) && table.contains("ann@example.com"), "{table}");

    let row = status(&stage, &open).await;
    assert_eq!((&row["request"]["text"], &row["history"][0]["by"]), (&json!("Bulbs"), &json!("engage")));
    let text = rebound(&stage.aws, &["followups", "show", &open]).await.stdout;
    assert!(text.contains("Resend may have accepted it since then"), "{text}");
    let unknown = rebound(&stage.aws, &["followups", "show", "followup-0"]).await;
    assert!(unknown.code == 2 && unknown.stderr.contains("followups list"), "{unknown:?}");
    let timeline = rebound(&stage.aws, &["timeline", EMAIL]).await.stdout;
    assert!(timeline.contains(&format!("{sent} to bob@example.com: sent, as r1")), "{timeline}");
}

#[tokio::test]
async fn a_rejection_says_what_is_so_then() {
    let stage = ProtectHarness::start().await;
    let due = put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    let sent = put_followup(&stage.aws, "bob@example.com", "sent", &[("resend_id", text("r1"))]).await;
    let opened = put_followup(&stage.aws, "cem@example.com", "sending", &open()).await;
    let unknown = put_followup(&stage.aws, "dan@example.com", "unknown", &open()).await;
    for (id, code, status) in [
        (&due, 0, "dropped"),
        (&due, 0, "dropped"),
        (&sent, 1, "sent"),
        (&opened, 2, "dropped"),
        (&unknown, 2, "unknown"),
    ] {
        let said = rebound(&stage.aws, &["followups", "reject", id, "--reason", "a wrong text", "--json"]).await;
        assert_eq!((said.code, &said.json()["status"]), (code, &json!(status)), "{said:?}");
    }
    let row = status(&stage, &due).await;
    assert_eq!((&row["reason"], &row["history"][1]["by"]), (&json!("rejected"), &json!("tester")));
    assert_eq!((&row["history"][1]["why"], row.get("unclear")), (&json!("a wrong text"), None));
    assert_eq!(status(&stage, &opened).await["unclear"], json!(true));
    let facts = stage.scan("RECIPIENTS_TABLE").await;
    let taken =
        |who: &str| facts.iter().any(|item| item["recipient"].as_s().unwrap() == who && item.contains_key("taken"));
    assert!(!taken("ann@example.com") && taken("cem@example.com"), "a place is freed unless it may have been accepted");
    let text = rebound(&stage.aws, &["followups", "reject", &opened]).await;
    assert!(text.code == 2 && text.stdout.contains("may have accepted it"), "{text:?}");
}

#[tokio::test]
async fn a_stop_ends_all_that_are_there_and_its_code_is_the_greatest() {
    let stage = ProtectHarness::start().await;
    let none = rebound(&stage.aws, &["followups", "stop", "zoe@example.com"]).await;
    assert!(none.code == 0 && none.stdout.contains("no follow-ups to zoe@example.com"), "{none:?}");
    let due = put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    let stopped = rebound(&stage.aws, &["followups", "stop", "Ann <ANN@example.com>", "--reason", "she called"]).await;
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(status(&stage, &due).await["reason"], json!("stopped"));
    put_followup(&stage.aws, "cem@example.com", "sending", &open()).await;
    assert_eq!(rebound(&stage.aws, &["followups", "stop", "cem@example.com"]).await.code, 2);
}

#[tokio::test]
async fn a_pause_is_shown_with_who_did_it_and_names_no_address() {
    let stage = ProtectHarness::start().await;
    for reason in ["ann@example.com called", "ann%40example.com", "ann＠example.com"] {
        let refused = rebound(&stage.aws, &["followups", "pause", "--reason", reason]).await;
        assert!(refused.code == 2 && refused.stderr.contains("address"), "{refused:?}");
    }
    let all = rebound(&stage.aws, &["followups", "pause", "--reason", "a wrong price"]).await;
    assert_eq!(all.code, 0, "{all:?}");
    let one = rebound(&stage.aws, &["followups", "pause", "--campaign", "spring", "--by", "eva", "--json"]).await;
    assert_eq!((one.code, one.json()), (0, json!({ "campaign": "spring", "paused": true })));
    let agenda = stage.scan("AGENDA_TABLE").await;
    let mut switches: Vec<String> =
        agenda.iter().map(|item| format!("{} {}", item["due"].as_s().unwrap(), item["by"].as_s().unwrap())).collect();
    switches.sort();
    assert_eq!(switches, ["all tester", "campaign#spring eva"]);
    let listed = rebound(&stage.aws, &["followups", "list"]).await.stdout;
    assert!(listed.contains("by tester: a wrong price") && listed.contains("in campaign spring"), "{listed}");
    assert_eq!(rebound(&stage.aws, &["followups", "resume"]).await.code, 0);
    let last = rebound(&stage.aws, &["followups", "resume", "--campaign", "spring", "--json"]).await;
    assert_eq!((last.code, last.json()), (0, json!({ "campaign": "spring", "paused": false })));
    assert!(stage.scan("AGENDA_TABLE").await.is_empty());
    let spring = rebound(&stage.aws, &["followups", "pause", "--campaign", "spring"]).await.stdout;
    assert!(
        spring.contains("rebound followups resume --campaign NAME"),
        "the other one would resume nothing: {spring}"
    );
}

#[tokio::test]
async fn forget_empties_every_follow_up_of_the_person_and_keeps_its_end() {
    let stage = ProtectHarness::start().await;
    let due = put_followup(&stage.aws, "ann@example.com", "due", &[]).await;
    // Without a place: it was dropped before.
    let dropped = put_followup(&stage.aws, "ann@example.com", "dropped", &[("reason", text("rejected"))]).await;
    let opened = put_followup(&stage.aws, "ann@example.com", "sending", &open()).await;
    let others = put_followup(&stage.aws, "bob@example.com", "due", &[]).await;
    let pause = ["followups", "pause", "--by", "ann@example.com", "--reason", "a wrong price"];
    assert_eq!(rebound(&stage.aws, &pause).await.code, 0);
    let forget = ["forget", "ann@example.com", "--yes", "--reason", "she asked"];
    let dry = rebound(&stage.aws, &[&forget[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!(status(&stage, &due).await["status"], json!("due"), "{dry:?}");
    let done = rebound(&stage.aws, &forget).await;
    assert_eq!(done.code, 0, "{done:?}");
    for (id, reason, unclear) in
        [(&due, "forgotten", false), (&dropped, "rejected", false), (&opened, "forgotten", true)]
    {
        let row = status(&stage, id).await;
        assert_eq!((&row["status"], &row["reason"]), (&json!("dropped"), &json!(reason)));
        assert_eq!(row.get("unclear").is_some(), unclear);
        for erased in ["recipient", "request", "guards"] {
            assert!(row.get(erased).is_none(), "{erased}: {row}");
        }
        assert_eq!(row["history"][0]["why"], json!(""));
    }
    assert_eq!(status(&stage, &others).await["status"], json!("due"));
    let mut agenda: Vec<String> = stage
        .scan("AGENDA_TABLE")
        .await
        .iter()
        .map(|item| format!("{} {}", item["kind"].as_s().unwrap(), item.get("by").map_or("", |by| by.as_s().unwrap())))
        .collect();
    agenda.sort();
    assert_eq!(agenda[..4], ["followup ", "followup_done ", "followup_done ", "followup_done "]);
    assert!(agenda[4].starts_with("switch ") && !agenda[4].contains("ann@"), "it is redacted, and stays: {agenda:?}");
    for table in ["EVENTS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE", "SUPPRESSIONS_TABLE"] {
        for item in stage.scan(table).await {
            assert!(!format!("{item:?}").contains("ann@example.com"), "{table}: {item:?}");
        }
    }
}

#[tokio::test]
async fn forget_says_that_a_contact_that_waits_is_left_as_it_is() {
    let stage = ProtectHarness::start().await;
    let put = stage.aws.clients().dynamodb().put_item();
    let due = format!("{}#ann@example.com", UnixMillis::now().to_text());
    let table = stage.aws.variable("AGENDA_TABLE").unwrap();
    put.table_name(table).item("kind", text("push")).item("due", text(due)).send().await.unwrap();
    let done = rebound(&stage.aws, &["forget", "ann@example.com", "--yes", "--reason", "she asked"]).await;
    assert!(done.stdout.contains("The contact at Resend was to be unsubscribed, and is left as it is"), "{done:?}");
}
