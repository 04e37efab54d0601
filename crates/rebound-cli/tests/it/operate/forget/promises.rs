//! The promises of `forget` and related commands: nothing is skipped, and the suppression is permanent and covers all email.

use serde_json::{Value, json};

use super::{everything, has_ann};
use crate::operate::{command, place, rebound};
use crate::support::recorder::Recorder;
use crate::support::{ReceiveHarness, complaint, signed};

#[tokio::test]
async fn who_complained_and_was_forgotten_stays_a_no_for_all_email() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(complaint("ann@example.com", "e1")), "handled").await;
    let says = async |arguments: &[&str]| rebound(&service.aws, arguments).await;
    let forget = ["forget", "ann@example.com", "--reason", "request 7", "--yes"];
    assert_eq!(says(&forget).await.code, 0);
    let checked = async || says(&["check", "ann@example.com", "--json"]).await.lines().remove(0);
    let no = (json!(false), json!([{ "reason": "forgotten" }]));
    let answer = async || {
        let line = checked().await;
        (line["may_send"].clone(), line["reasons"].clone())
    };
    assert_eq!(answer().await, no, "not `opted_out`, which lets a receipt or a password through");
    // What she had said before is erased, so no named reason is all that is against her.
    for only in ["opted_out", "complaint", "unsubscribed", "manual"] {
        let remove = ["suppressions", "remove", "ann@example.com", "--only", only, "--reason", "x", "--json"];
        assert_eq!(says(&remove).await.json()["outcome"], "unchanged", "{only}");
    }
    // A webhook about her that comes later is one more reason, and does not soften the first.
    service.accepts(&signed(complaint("ann@example.com", "e2")), "handled").await;
    assert_eq!(answer().await, no);
    let list = "recipient,reason\nann@example.com,unsubscribed\n";
    let imported = command(service.aws.variables(), &["suppressions", "import", "-", "--json"], list).await.json();
    assert_eq!((&imported["forgotten"], &imported["changed"]), (&json!(1), &json!(0)));

    let remove = ["suppressions", "remove", "ann@example.com", "--reason", "signed up again", "--json"];
    assert_eq!(says(&remove).await.json()["outcome"], "recalled");
    assert_eq!(answer().await, (json!(true), json!([])));
}

#[tokio::test]
async fn an_eventual_read_passes_over_nothing_that_is_promised() {
    let service = ReceiveHarness::start().await;
    for (address, email) in [("ann@example.com", "e1"), ("bob@example.com", "e2")] {
        service.accepts(&signed(complaint(address, email)), "handled").await;
    }
    // What is not read strongly consistently is not seen here.
    let recorder = Recorder::start(service.aws.variables()).await;
    let says = async |arguments: &[&str]| command(recorder.variables(), arguments, "").await;
    assert_eq!(says(&["suppressions", "export", "--format", "jsonl"]).await.lines().len(), 2);
    assert_eq!(says(&["suppressions", "list", "--json"]).await.lines().len(), 2);
    assert_eq!(says(&["replay", "--all", "--dry-run", "--json"]).await.json()["handled"], 2);
    let timeline = says(&["timeline", "--address", "ann@example.com", "--json"]).await.json();
    assert_eq!(timeline["entries"].as_array().unwrap().len(), 1);
    let said = says(&["forget", "ann@example.com", "--reason", "request 7", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:#?}");
    let left: Vec<_> =
        everything(&place(&service.aws).await).await.into_iter().filter(|(_, row)| has_ann(row)).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(recorder.eventual(), Vec::<Value>::new());
}
