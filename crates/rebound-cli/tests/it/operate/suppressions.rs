//! `suppressions`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use super::{command, rebound};
use crate::support::{ReceiveHarness, active_reasons, complaint, event, signed};

#[tokio::test]
async fn a_lift_by_hand_survives_late_events_but_not_new_ones() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(complaint("ann@example.com", "e1")), "handled").await;
    let remove = ["suppressions", "remove", "Ann@example.com", "--reason", "asked to get mail again", "--json"];
    let said = rebound(&service.aws, &remove).await;
    assert_eq!(
        (said.code, said.json()),
        (0, json!({ "recipient": "ann@example.com", "outcome": "lifted", "reasons": ["complaint"] }))
    );
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &[])]));
    assert_eq!(rebound(&service.aws, &["check", "ann@example.com"]).await.code, 0);

    let late = json!({ "email_id": "e0", "to": ["ann@example.com"] });
    service.accepts(&signed(event("email.complained", late)), "handled").await;
    assert_eq!(
        service.reasons().await,
        active_reasons(&[("ann@example.com", &[])]),
        "an older complaint, arriving late"
    );
    let again = rebound(&service.aws, &remove).await.json();
    assert_eq!(again["outcome"], "unchanged");

    let new = json!({ "type": "email.complained", "created_at": "2099-01-01T00:00:00Z", "data": { "email_id": "e2", "to": ["ann@example.com"] } });
    service.accepts(&signed(new.to_string().into_bytes()), "handled").await;
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint"])]));
    assert_eq!(
        rebound(&service.aws, &remove).await.json()["outcome"],
        "lifted",
        "though it claims to be of the future"
    );
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &[])]));

    let shown = rebound(&service.aws, &["suppressions", "show", "ann@example.com", "--json"]).await.json();
    let audit = shown["audit"].as_array().unwrap();
    assert_eq!((audit.len(), &audit[0]["action"], &audit[0]["by"]), (2, &json!("removed"), &json!("tester")));
    assert_eq!((&audit[0]["why"], &audit[0]["reasons"]), (&json!("asked to get mail again"), &json!(["complaint"])));
}

#[tokio::test]
async fn an_address_is_added_once_and_only_named_reasons_are_lifted() {
    let service = ReceiveHarness::start().await;
    let add = ["suppressions", "add", "bob@example.com", "--reason", "left the company", "--by", "Eve", "--json"];
    assert_eq!(rebound(&service.aws, &add).await.json()["outcome"], "added");
    assert_eq!(rebound(&service.aws, &add).await.json()["outcome"], "unchanged");
    let opted = ["suppressions", "add", "bob@example.com", "--as", "opted_out", "--reason", "wrote to us"];
    assert_eq!(rebound(&service.aws, &opted).await.code, 0);
    assert_eq!(service.reasons().await, active_reasons(&[("bob@example.com", &["opted_out", "manual"])]));
    let only = ["suppressions", "remove", "bob@example.com", "--only", "manual", "--reason", "came back"];
    let said = rebound(&service.aws, &only).await;
    assert!(said.stdout.contains("still active: opted_out"), "{}", said.stdout);
    assert_eq!(service.reasons().await, active_reasons(&[("bob@example.com", &["opted_out"])]));
    let rows = service.rows().await;
    let notes: Vec<&str> = rows.iter().map(|row| row["action"].as_s().unwrap().as_str()).collect();
    assert_eq!(notes.len(), 3, "one for each change, none for what changed nothing: {notes:?}");
    for wrong in [
        &["suppressions", "add", "nobody", "--reason", "x"][..],
        &["suppressions", "add", "a@b.c", "--reason", " "],
        &["suppressions", "add", "a@b.c", "--reason", "x", "--as", "tired"],
    ] {
        let said = rebound(&service.aws, wrong).await;
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{wrong:?}");
    }
}

#[tokio::test]
async fn an_exported_list_imports_unchanged_and_twice_changes_nothing() {
    let (from, to) = (ReceiveHarness::start().await, ReceiveHarness::start().await);
    from.accepts(&signed(complaint("ann@example.com", "e1")), "handled").await;
    let unsubscribed = json!({ "id": "c1", "email": "bob@example.com", "unsubscribed": true });
    from.accepts(&signed(event("contact.updated", unsubscribed)), "handled").await;
    rebound(&from.aws, &["suppressions", "remove", "ann@example.com", "--reason", "a mistake"]).await;
    for format in ["csv", "jsonl"] {
        let exported = rebound(&from.aws, &["suppressions", "export", "--format", format]).await;
        assert_eq!(exported.code, 0, "{}", exported.stderr);
        let said = command(to.aws.variables(), &["suppressions", "import", "-", "--json"], &exported.stdout).await;
        assert_eq!(said.code, 0, "{}", said.stderr);
        let report = said.json();
        // One of the two was lifted: still one entry.
        let expected = if format == "csv" { (2, 0) } else { (0, 2) };
        assert_eq!((report["changed"].as_u64().unwrap(), report["unchanged"].as_u64().unwrap()), expected);
        assert_eq!(report["entries"], 2);
        assert!(exported.stderr.contains("2 entries at"), "{}", exported.stderr);
    }
    // The audit rows are not exported, so no item names one.
    let known = |mut items: std::collections::BTreeMap<String, rebound::store::Item>| {
        items.values_mut().for_each(|item| ["version", "noted"].iter().for_each(|name| _ = item.remove(*name)));
        items
    };
    assert_eq!(known(to.suppressions().await), known(from.suppressions().await));
}

#[tokio::test]
async fn invalid_lines_are_named_and_the_others_are_imported() {
    let service = ReceiveHarness::start().await;
    let text = "recipient,reason\nann@example.com,manual\nnobody,manual\nbob@example.com,tired\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], text).await;
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("line 3:") && said.stdout.contains("line 4:"), "{}", said.stdout);
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["manual"])]));
    let listed = rebound(&service.aws, &["suppressions", "list", "--json"]).await.lines();
    assert_eq!((listed.len(), &listed[0]["recipient"]), (1, &json!("ann@example.com")));
}

#[tokio::test]
async fn a_time_of_the_future_disarms_no_address() {
    let service = ReceiveHarness::start().await;
    let of_the_future = |event_type: &str, data: serde_json::Value| {
        signed(
            json!({ "type": event_type, "created_at": "2099-01-01T00:00:00Z", "data": data }).to_string().into_bytes(),
        )
    };
    let removed = json!({ "id": "s1", "email": "ann@example.com", "origin": "complaint" });
    service.accepts(&of_the_future("suppression.removed", removed), "handled").await;
    let subscribed = json!({ "id": "c1", "email": "bob@example.com", "unsubscribed": false });
    service.accepts(&of_the_future("contact.updated", subscribed), "handled").await;
    // What happens after that, by the clock.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let now = || rebound::time::UnixMillis::now().to_text();
    let complained = json!({ "type": "email.complained", "created_at": now(), "data": { "to": ["ann@example.com"] } });
    service.accepts(&signed(complained.to_string().into_bytes()), "handled").await;
    let contact = json!({ "id": "c1", "email": "bob@example.com", "unsubscribed": true });
    let left = json!({ "type": "contact.updated", "created_at": now(), "data": contact });
    service.accepts(&signed(left.to_string().into_bytes()), "handled").await;
    assert_eq!(rebound(&service.aws, &["check", "ann@example.com"]).await.code, 1);
    assert_eq!(rebound(&service.aws, &["check", "bob@example.com"]).await.code, 1);

    let list = "email,reason,at\ncarl@example.com,complaint,2099-01-01T00:00:00Z\ndora@example.com,complaint,\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], list).await;
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("line 2: its at is 2099-01-01") && said.stdout.contains("1 new"), "{}", said.stdout);

    // Put there by hand, past every rule: what `remove` lifts is lifted, and what `add` adds stands.
    let item = |name: &str| (name.to_owned(), AttributeValue::S("eva@example.com".to_owned()));
    let map = std::collections::HashMap::from([("at".to_owned(), AttributeValue::N("4070908800000".to_owned()))]);
    let put =
        service.aws.clients().dynamodb().put_item().table_name(service.aws.variable("SUPPRESSIONS_TABLE").unwrap());
    let put = put.item("recipient", item("recipient").1).item("complaint", AttributeValue::M(map));
    put.item("reasons", AttributeValue::Ss(vec!["complaint".to_owned()])).send().await.unwrap();
    let change = async |what: &str| {
        rebound(&service.aws, &["suppressions", what, "eva@example.com", "--reason", "x"]).await.code
    };
    assert_eq!((change("remove").await, rebound(&service.aws, &["check", "eva@example.com"]).await.code), (0, 0));
    let add = ["suppressions", "add", "eva@example.com", "--as", "complaint", "--reason", "x", "--json"];
    let said = rebound(&service.aws, &add).await;
    assert_eq!((said.code, &said.json()["outcome"]), (0, &json!("added")));
    assert_eq!(rebound(&service.aws, &["check", "eva@example.com"]).await.code, 1);
}

#[tokio::test]
async fn an_expired_or_expiring_reason_is_added_for_good() {
    let service = ReceiveHarness::start().await;
    let list = "email,reason,at,until\n\
                ann@example.com,soft_bounce,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n\
                bob@example.com,soft_bounce,2026-01-01T00:00:00Z,2099-01-01T00:00:00Z\n";
    command(service.aws.variables(), &["suppressions", "import", "-"], list).await;
    for who in ["ann@example.com", "bob@example.com"] {
        let add = ["suppressions", "add", who, "--as", "soft_bounce", "--reason", "x", "--json"];
        assert_eq!(rebound(&service.aws, &add).await.json()["outcome"], "added", "{who}");
        let shown = rebound(&service.aws, &["suppressions", "show", who, "--json"]).await.json();
        assert_eq!((&shown["may_send"], &shown["reasons"][0]["until"]), (&json!(false), &json!(null)), "{shown}");
    }
}

#[tokio::test]
async fn a_list_imported_twice_names_whom_it_would_undo() {
    let service = ReceiveHarness::start().await;
    let import = async |text: &str, more: &[&str]| {
        let arguments: Vec<&str> = ["suppressions", "import", "-"].iter().chain(more).copied().collect();
        command(service.aws.variables(), &arguments, text).await
    };
    // A bare list, and one with times of its own, as an export has.
    let bare = "ann@example.com\nbob@example.com\n";
    let timed = "email,reason,at\ncarl@example.com,complaint,2026-01-01T00:00:00Z\n";
    assert_eq!((import(bare, &[]).await.code, import(timed, &[]).await.code), (0, 0));
    for who in ["ann@example.com", "carl@example.com"] {
        let remove = ["suppressions", "remove", who, "--reason", "signed up again", "--by", "Eve"];
        assert_eq!(rebound(&service.aws, &remove).await.code, 0);
    }
    // As the tombstone goes after 35 days; the note stays.
    let key = AttributeValue::S("carl@example.com".to_owned());
    let table = service.aws.variable("SUPPRESSIONS_TABLE").unwrap();
    service.aws.clients().dynamodb().delete_item().table_name(table).key("recipient", key).send().await.unwrap();

    for (list, who, reason) in [(bare, "ann@example.com", "manual"), (timed, "carl@example.com", "complaint")] {
        let said = import(list, &[]).await;
        assert_eq!(said.code, 1, "{said:?}");
        for words in [who, reason, "by Eve: signed up again", "--again"] {
            assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
        }
        let report = import(list, &["--json"]).await.json();
        assert_eq!((report["lifted"].as_array().unwrap().len(), &report["lifted"][0]["by"]), (1, &json!("Eve")));
        assert_eq!(rebound(&service.aws, &["check", who]).await.code, 0, "{who} stays lifted");
    }
    assert_eq!(rebound(&service.aws, &["check", "bob@example.com"]).await.code, 1);
    for (list, who) in [(bare, "ann@example.com"), (timed, "carl@example.com")] {
        let said = import(list, &["--again", "--reason", "the list is right"]).await;
        assert_eq!((said.code, rebound(&service.aws, &["check", who]).await.code), (0, 1), "{said:?}");
        let shown = rebound(&service.aws, &["suppressions", "show", who, "--json"]).await.json();
        let last = shown["audit"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["action"], &last["why"]), (&json!("added"), &json!("the list is right")));
    }
}

/// A list that is older than a lift by a webhook: it changes nothing, and the report does not call it new.
#[tokio::test]
async fn an_import_says_whom_it_does_not_suppress() {
    let service = ReceiveHarness::start().await;
    let subscribed = json!({ "id": "c1", "email": "ann@example.com", "unsubscribed": false });
    service.accepts(&signed(event("contact.updated", subscribed)), "handled").await;
    let list = "email,reason,at\nann@example.com,unsubscribed,2020-01-01T00:00:00Z\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-", "--json"], list).await;
    let report = said.json();
    assert_eq!(
        (said.code, &report["changed"], &report["lifted"][0]["recipient"]),
        (1, &json!(0), &json!("ann@example.com"))
    );
    assert_eq!(rebound(&service.aws, &["check", "ann@example.com"]).await.code, 0);
}

#[tokio::test]
async fn whoever_reads_only_the_beginning_of_a_list_sees_no_panic() {
    let service = ReceiveHarness::start().await;
    // More than a pipe holds, which is 64 KiB.
    let addresses: String = (0..1_500).map(|n| format!("r{n}@example.com\n")).collect();
    assert_eq!(command(service.aws.variables(), &["suppressions", "import", "-"], &addresses).await.code, 0);
    let piped = format!("{} suppressions list --json | head -n 1", env!("CARGO_BIN_EXE_rebound"));
    let mut shell = tokio::process::Command::new("sh");
    let output =
        shell.args(["-c", &piped]).env_clear().envs(service.aws.variables()).env("PATH", "/usr/bin:/bin").output();
    let output = output.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}
