//! `suppressions`.

use serde_json::json;

use super::{command, rebound};
use crate::support::{Service, complaint, event, signed, standing};

#[tokio::test]
async fn what_an_operator_lifts_stays_lifted_whatever_arrives_late_and_comes_back_with_what_is_new() {
    let service = Service::start().await;
    service.accepts(&signed(complaint("ann@example.com", "e1")), "handled").await;
    let remove = ["suppressions", "remove", "Ann@example.com", "--reason", "asked to get mail again", "--json"];
    let said = rebound(&service.aws, &remove).await;
    assert_eq!(
        (said.code, said.json()),
        (0, json!({ "recipient": "ann@example.com", "outcome": "lifted", "reasons": ["complaint"] }))
    );
    assert_eq!(service.reasons().await, standing(&[("ann@example.com", &[])]));
    assert_eq!(rebound(&service.aws, &["check", "ann@example.com"]).await.code, 0);

    let late = json!({ "email_id": "e0", "to": ["ann@example.com"] });
    service.accepts(&signed(event("email.complained", late)), "handled").await;
    assert_eq!(service.reasons().await, standing(&[("ann@example.com", &[])]), "an older complaint, arriving late");
    let again = rebound(&service.aws, &remove).await.json();
    assert_eq!(again["outcome"], "unchanged");

    let new = json!({ "type": "email.complained", "created_at": "2099-01-01T00:00:00Z", "data": { "email_id": "e2", "to": ["ann@example.com"] } });
    service.accepts(&signed(new.to_string().into_bytes()), "handled").await;
    assert_eq!(service.reasons().await, standing(&[("ann@example.com", &["complaint"])]));
    assert_eq!(
        rebound(&service.aws, &remove).await.json()["outcome"],
        "lifted",
        "though it claims to be of the future"
    );
    assert_eq!(service.reasons().await, standing(&[("ann@example.com", &[])]));

    let shown = rebound(&service.aws, &["suppressions", "show", "ann@example.com", "--json"]).await.json();
    let audit = shown["audit"].as_array().unwrap();
    assert_eq!((audit.len(), &audit[0]["action"], &audit[0]["by"]), (2, &json!("removed"), &json!("tester")));
    assert_eq!((&audit[0]["why"], &audit[0]["reasons"]), (&json!("asked to get mail again"), &json!(["complaint"])));
}

#[tokio::test]
async fn an_address_is_added_once_with_its_note_and_only_what_is_named_is_lifted() {
    let service = Service::start().await;
    let add = ["suppressions", "add", "bob@example.com", "--reason", "left the company", "--by", "Eve", "--json"];
    assert_eq!(rebound(&service.aws, &add).await.json()["outcome"], "added");
    assert_eq!(rebound(&service.aws, &add).await.json()["outcome"], "unchanged");
    let opted = ["suppressions", "add", "bob@example.com", "--as", "opted_out", "--reason", "wrote to us"];
    assert_eq!(rebound(&service.aws, &opted).await.code, 0);
    assert_eq!(service.reasons().await, standing(&[("bob@example.com", &["opted_out", "manual"])]));
    let only = ["suppressions", "remove", "bob@example.com", "--only", "manual", "--reason", "came back"];
    let said = rebound(&service.aws, &only).await;
    assert!(said.stdout.contains("still stands: opted_out"), "{}", said.stdout);
    assert_eq!(service.reasons().await, standing(&[("bob@example.com", &["opted_out"])]));
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
async fn a_list_that_is_exported_and_imported_elsewhere_is_the_same_list_and_a_second_time_changes_nothing() {
    let (from, to) = (Service::start().await, Service::start().await);
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
        let expected = if format == "csv" { (3, 0) } else { (0, 3) };
        assert_eq!((report["changed"].as_u64().unwrap(), report["unchanged"].as_u64().unwrap()), expected);
    }
    let known = |mut items: std::collections::BTreeMap<String, rebound::store::Item>| {
        items.values_mut().for_each(|item| _ = item.remove("version"));
        items
    };
    assert_eq!(known(to.suppressions().await), known(from.suppressions().await));
}

#[tokio::test]
async fn lines_that_are_no_entries_are_named_and_the_others_are_taken_over() {
    let service = Service::start().await;
    let text = "recipient,reason\nann@example.com,manual\nnobody,manual\nbob@example.com,tired\n";
    let said = command(service.aws.variables(), &["suppressions", "import", "-"], text).await;
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("line 3:") && said.stdout.contains("line 4:"), "{}", said.stdout);
    assert_eq!(service.reasons().await, standing(&[("ann@example.com", &["manual"])]));
    let listed = rebound(&service.aws, &["suppressions", "list", "--json"]).await.lines();
    assert_eq!((listed.len(), &listed[0]["recipient"]), (1, &json!("ann@example.com")));
}

#[tokio::test]
async fn whoever_reads_only_the_beginning_of_a_list_sees_no_panic() {
    let service = Service::start().await;
    let addresses: String = (0..5_000).map(|n| format!("r{n}@example.com\n")).collect();
    assert_eq!(command(service.aws.variables(), &["suppressions", "import", "-"], &addresses).await.code, 0);
    let piped = format!("{} suppressions list --json | head -n 1", env!("CARGO_BIN_EXE_rebound"));
    let mut shell = tokio::process::Command::new("sh");
    let output =
        shell.args(["-c", &piped]).env_clear().envs(service.aws.variables()).env("PATH", "/usr/bin:/bin").output();
    let output = output.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}
