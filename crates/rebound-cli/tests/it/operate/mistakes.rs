//! Plausible mistakes, each of which is answered with what to do.

use std::collections::BTreeMap;
use std::process::Stdio;

use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::process::Command;

use super::{Dev, command, rebound};
use crate::support::ReceiveHarness;

#[tokio::test]
async fn a_file_of_local_after_a_space_is_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let (named, other) = (folder.path().join("dev.env"), folder.path().join("mine"));
    std::fs::write(&other, "REBOUND_FUNCTION_URL=http://127.0.0.1:9/\n").unwrap();
    for file in [&named, &other] {
        let file = file.to_str().unwrap();
        for before in [&["check"][..], &["suppressions", "list"], &["timeline"], &["campaigns"], &["doctor"]] {
            let said = command(&BTreeMap::new(), &[before, &["--local", file]].concat(), "").await;
            assert!(said.code == 2 && said.stderr.contains(&format!("--local={file}")), "{before:?}: {said:?}");
        }
    }
    let help = command(&BTreeMap::new(), &["check", "--help"], "").await.stdout;
    assert!(help.contains("--local[=<FILE>]") && help.contains("after an equals sign"), "{help}");
    let nowhere = command(&BTreeMap::new(), &["check", "--local=/nowhere/dev.env", "a@example.com"], "").await;
    assert!(nowhere.code == 2 && nowhere.stderr.contains("--local=FILE"), "{nowhere:?}");
}

#[tokio::test]
async fn an_address_in_place_of_an_id_is_explained() {
    let service = ReceiveHarness::start().await;
    for arguments in [["timeline", "ann@example.com"], ["replay", "Ann <ann@example.com>"]] {
        let said = rebound(&service.aws, &arguments).await;
        assert!(said.code == 2 && said.stderr.contains("timeline --address"), "{said:?}");
    }
}

#[tokio::test]
async fn a_url_without_its_scheme_is_refused_with_it() {
    for arguments in [
        &["sample", "email.bounced", "--post", "127.0.0.1:9000"][..],
        &["simulate", "localhost:9000"],
        &["connect", "rebound.example.com"],
        &["doctor", "--url", "rebound.example.com"],
    ] {
        let said = command(&BTreeMap::new(), arguments, "").await;
        assert!(said.code == 2 && said.stderr.contains("such as http://"), "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_number_that_makes_no_sense_is_refused() {
    let url = "http://127.0.0.1:9/";
    for arguments in [
        &["campaigns", "--days", "0"][..],
        &["simulate", url, "--emails", "0"],
        &["simulate", url, "--events", "0"],
        &["simulate", url, "--at-once", "0"],
        &["simulate", url, "--rate", "0"],
        &["simulate", url, "--rate", "NaN"],
    ] {
        let said = command(&BTreeMap::new(), arguments, "").await;
        assert!(said.code == 2 && said.stderr.contains("invalid value"), "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
async fn where_dev_has_died_simulate_says_so() {
    let dev = Dev::start().await;
    let variables = dev.variables();
    let file = dev.folder.path().join("left.env");
    std::fs::copy(dev.folder.path().join("dev.env"), &file).unwrap();
    let url = variables["REBOUND_FUNCTION_URL"].clone();
    drop(dev);
    let local = format!("--local={}", file.display());
    // A test of another kind may have taken its port meanwhile; nobody has port 9.
    for url in [url.as_str(), "http://127.0.0.1:9/"] {
        let said = command(&BTreeMap::new(), &["simulate", url, &local, "--emails", "1", "--no-verify"], "").await;
        assert!(said.code == 2 && said.stderr.contains("`rebound dev`"), "{said:?}");
        assert!(!said.stderr.contains("Secrets Manager"), "{said:?}");
    }
}

#[tokio::test]
async fn dev_with_an_outside_dynamodb_is_reached_from_elsewhere() {
    let outside = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dev.env");
    let mut dev = Command::new(env!("CARGO_BIN_EXE_rebound"));
    dev.args(["dev", "--listen", "127.0.0.1:0", "--consent", "127.0.0.1:0", "--env-file"]).arg(&file).env_clear();
    dev.env("AWS_ENDPOINT_URL_DYNAMODB", outside.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap());
    dev.envs([
        ("AWS_ACCESS_KEY_ID", "AKIAMINE"),
        ("AWS_SECRET_ACCESS_KEY", "my-secret"),
        ("AWS_SESSION_TOKEN", "my-token"),
    ]);
    let _dev = dev.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    crate::support::eventually("it is up", async || file.exists()).await;
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("my-secret") && !written.contains("my-token"), "{written}");
    let local = format!("--local={}", file.display());
    let said = command(&BTreeMap::new(), &["check", &local, "ann@example.com"], "").await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test]
async fn a_word_of_a_known_set_is_refused_with_the_nearest() {
    let url = "http://127.0.0.1:9/";
    for (arguments, meant) in [
        (&["replay", "--type", "email.bounce"][..], "email.bounced"),
        (&["replay", "--type", "complained"], "email.complained"),
        (&["replay", "--all", "--function", "engaged"], "engage"),
        (&["sample", "email.bounce"], "email.bounced"),
        (&["suppressions", "list", "--reason", "hardbounce"], "hard_bounce"),
        (&["suppressions", "add", "a@example.com", "--reason", "x", "--as", "complaints"], "complaint"),
        (&["suppressions", "remove", "a@example.com", "--reason", "x", "--only", "manuel"], "manual"),
        (&["suppressions", "export", "--format", "json"], "jsonl"),
        (&["simulate", url, "--chaos", "duplicate"], "duplicates"),
        (&["campaigns", "x", "--by", "days"], "day"),
        (&["doctr"], "doctor"),
    ] {
        let said = command(&BTreeMap::new(), arguments, "").await;
        let names_it = said.stderr.contains(&format!("did you mean {meant}?"))
            || said.stderr.contains(&format!("exists: '{meant}'"));
        assert!(said.code == 2 && names_it, "{arguments:?}: {said:?}");
    }
    for (function, event_type) in [("engage", "email.bounced"), ("protect", "topic.created")] {
        let said = command(&BTreeMap::new(), &["replay", "--function", function, "--type", event_type], "").await;
        assert!(said.code == 2 && said.stderr.contains("does nothing about"), "{said:?}");
    }
}
