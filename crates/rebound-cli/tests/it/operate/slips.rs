//! More plausible mistakes: each answer says what happened and what to do, and no command tries again for long.

use std::collections::BTreeMap;

use rebound::time::{UnixMillis, hours};

use super::connect::World;
use super::{Dev, at_once};
use crate::support::{ReceiveHarness, complaint, signed};

/// It is refused, and standard error has all of these words.
async fn is_refused(variables: &BTreeMap<String, String>, arguments: &[&str], words: &[&str]) {
    let said = at_once(variables, arguments).await;
    assert!(said.code == 2 && said.stdout.is_empty(), "{arguments:?}: {said:?}");
    for word in words {
        assert!(said.stderr.contains(word), "{arguments:?} does not say {word:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_file_that_dev_did_not_write_never_leads_to_a_real_stack() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.env");
    std::fs::write(&file, "AWS_REGION=eu-west-1\nAWS_ACCESS_KEY_ID=AKIAMINE\nAWS_SECRET_ACCESS_KEY=mine\n").unwrap();
    let local = |path: &std::path::Path| format!("--local={}", path.display());
    let none = BTreeMap::new();
    let wrong = ["not a file that `rebound dev` writes", "--local=FILE", ".local/dev.env"];
    is_refused(&none, &["forget", "ann@example.com", "--reason", "asked", "--yes", &local(&file)], &wrong).await;
    is_refused(&none, &["check", "ann@example.com", &local(folder.path())], &["can't be read", "directory"]).await;
    std::fs::write(&file, b"\xff\xfeA\0W\0S\0").unwrap();
    is_refused(&none, &["check", "ann@example.com", &local(&file)], &["can't be read", "UTF-8"]).await;
    let nowhere = folder.path().join("gone.env");
    is_refused(&none, &["check", "ann@example.com", &local(&nowhere)], &["does not exist", "start it first"]).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_with_the_option_that_chooses_another() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dev.env").display().to_string();
    let any = "127.0.0.1:0";
    for option in ["--listen", "--dynamodb", "--consent"] {
        let [listen, dynamodb, consent] = ["--listen", "--dynamodb", "--consent"]
            .map(|flag| format!("{flag}={}", if flag == option { taken.as_str() } else { any }));
        let arguments = ["dev", &listen, &dynamodb, &consent, "--env-file", &file];
        let said = at_once(&BTreeMap::new(), &arguments).await;
        assert!(said.code == 2 && said.stderr.contains(&format!("something listens on {taken} already")), "{said:?}");
        assert!(said.stderr.contains(&format!("another address with {option}")), "{said:?}");
    }
    drop(listener);
}

#[tokio::test]
async fn data_that_holds_no_tables_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.csv");
    std::fs::write(&list, "email,reason\n".repeat(400)).unwrap();
    let ports = ["dev", "--listen", "127.0.0.1:0", "--dynamodb", "127.0.0.1:0", "--consent", "127.0.0.1:0", "--data"];
    for file in [list.clone(), folder.path().join("nowhere/rebound.db")] {
        let file = file.display().to_string();
        let words = [file.as_str(), "can't be opened as a database", "a new one in a folder that exists"];
        is_refused(&BTreeMap::new(), &[&ports[..], &[&file]].concat(), &words).await;
    }
    assert_eq!(std::fs::read_to_string(&list).unwrap(), "email,reason\n".repeat(400));
}

#[tokio::test]
async fn a_span_that_nothing_lies_in_is_refused() {
    let none = BTreeMap::new();
    let reversed = ["--since", "2026-11-20", "--until", "2026-11-01"];
    let ahead = UnixMillis::now().plus(hours(48)).to_text();
    let words = ["--since 2026-11-20 00:00:00 is not before --until 2026-11-01 00:00:00", "swap them?"];
    for before in [&["timeline", "e1"][..], &["replay"], &["suppressions", "restore"]] {
        is_refused(&none, &[before, &reversed].concat(), &words).await;
    }
    for before in [&["replay"][..], &["suppressions", "restore"]] {
        is_refused(&none, &[before, &["--since", &ahead]].concat(), &["is in the future"]).await;
    }
}

#[tokio::test]
async fn a_repeated_address_counts_once_and_joined_ones_are_split() {
    let service = ReceiveHarness::start().await;
    let variables = service.aws.variables();
    let add = ["suppressions", "add", "ann@example.com", "Ann <ANN@example.com>", "--reason", "asked", "--json"];
    let said = at_once(variables, &add).await;
    assert_eq!((said.code, said.lines().len(), &said.lines()[0]["outcome"]), (0, 1, &"added".into()), "{said:?}");
    assert!(said.stderr.contains("ann@example.com is named more than once, and used once"), "{said:?}");
    let several = "bob@example.com, cleo@example.com";
    let words = ["several addresses", "separated by spaces"];
    is_refused(variables, &["suppressions", "add", several, "--reason", "asked"], &words).await;
    is_refused(variables, &["forget", several, "--reason", "asked", "--yes"], &words).await;
    is_refused(variables, &["timeline", "--address", several], &words).await;
    let said = at_once(variables, &["check", several]).await;
    assert!(said.code == 1 && said.stdout.contains("several addresses"), "{said:?}");
}

#[tokio::test]
async fn a_kind_of_reason_given_as_the_text_is_pointed_out() {
    let service = ReceiveHarness::start().await;
    let add = ["suppressions", "add", "ann@example.com", "--reason", "complaint"];
    let said = at_once(service.aws.variables(), &add).await;
    assert!(said.code == 0 && said.stdout.contains("added manual"), "{said:?}");
    assert!(said.stderr.contains("the kind of reason is --as complaint"), "{said:?}");
}

#[tokio::test]
async fn a_campaign_that_nobody_counted_is_no_silent_yes() {
    let service = ReceiveHarness::start().await;
    let said = at_once(service.aws.variables(), &["check", "ann@example.com", "--campaign", "sprng-sale"]).await;
    assert_eq!(said.code, 0, "an unknown campaign has no sending limit: {said:?}");
    assert!(said.stderr.contains("a campaign sprng-sale yet"), "{said:?}");
    assert!(said.stderr.contains("`rebound campaigns` lists"), "{said:?}");
    let long = "x".repeat(300);
    let words = ["not a valid campaign name", "1 to 256 characters"];
    is_refused(service.aws.variables(), &["campaigns", &long], &words).await;
    is_refused(service.aws.variables(), &["check", "ann@example.com", "--campaign", &long], &words).await;
}

#[tokio::test]
async fn an_unknown_id_is_named_and_a_webhook_id_is_recognized() {
    let service = ReceiveHarness::start().await;
    assert_eq!(service.post(&signed(complaint("ann@example.com", "e1"))).await.0, 200);
    let variables = service.aws.variables();
    for (id, hint) in [("e2", "is it the email id from Resend?"), ("msg_2x", "the id of a webhook")] {
        let said = at_once(variables, &["replay", id]).await;
        assert!(said.code == 1 && said.stderr.contains(&format!("no event of {id} is stored")), "{said:?}");
        assert!(said.stderr.contains(hint) && said.stdout.is_empty(), "{said:?}");
    }
    let said = at_once(variables, &["replay", "e1", "e2", "--dry-run"]).await;
    assert!(said.code == 0 && said.stdout.contains('1') && said.stderr.contains("of e2"), "{said:?}");
    let said = at_once(variables, &["timeline", "msg_2x"]).await;
    assert!(said.code == 1 && said.stdout.contains("as email_id"), "{said:?}");
}

#[tokio::test]
async fn an_export_that_fails_leaves_the_last_one_as_it_was() {
    let service = ReceiveHarness::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    std::fs::write(&file, "of last week\n").unwrap();
    let add = ["suppressions", "add", "ann@example.com", "--reason", "asked"];
    assert_eq!(at_once(service.aws.variables(), &add).await.code, 0);
    let output = file.display().to_string();
    let mut elsewhere = service.aws.variables().clone();
    elsewhere.insert("SUPPRESSIONS_TABLE".to_owned(), "of-another".to_owned());
    let said = at_once(&elsewhere, &["suppressions", "export", "--output", &output]).await;
    assert!(said.code == 2 && said.stderr.contains("ResourceNotFound"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of last week\n");
    let nowhere = folder.path().join("of/list.csv").display().to_string();
    let words = ["there is no folder", "make it, or name another file with --output"];
    is_refused(service.aws.variables(), &["suppressions", "export", "--output", &nowhere], &words).await;
    let here = folder.path().display().to_string();
    is_refused(service.aws.variables(), &["suppressions", "export", "--output", &here], &["is a folder"]).await;
    let said = at_once(service.aws.variables(), &["suppressions", "export", "--output", &output]).await;
    assert!(said.code == 0 && std::fs::read_to_string(&file).unwrap().starts_with("\"recipient\","), "{said:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[tokio::test]
async fn an_impossible_region_or_stack_is_refused_before_any_call() {
    let none = BTreeMap::new();
    for region in ["eu-west", "Frankfurt"] {
        is_refused(&none, &["check", "ann@example.com", "--region", region], &["such as eu-west-1"]).await;
    }
    is_refused(&none, &["check", "ann@example.com", "--stack", ""], &["is empty", "omit the flag"]).await;
    is_refused(&none, &["check", "ann@example.com", "--stack", "my_stack"], &["letters, digits and hyphens"]).await;
    let variables = BTreeMap::from([("REBOUND_STACK".to_owned(), "my_stack".to_owned())]);
    is_refused(&variables, &["check", "ann@example.com"], &["REBOUND_STACK is my_stack"]).await;
}

#[tokio::test]
async fn keys_and_secrets_in_each_others_places_are_told_apart() {
    let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let swapped = one("RESEND_WEBHOOK_SECRET", "re_abcdefgh");
    let words = ["holds a key of Resend's API", "whsec_"];
    is_refused(&swapped, &["sample", "email.bounced"], &words).await;
    let world = World::start().await;
    is_refused(&swapped, &["simulate", &world.url, "--no-verify"], &words).await;
    let mut variables = world.variables();
    variables.insert("RESEND_API_KEY".to_owned(), rebound_dev::LOCAL_SECRET.to_owned());
    let words = ["holds a webhook's signing secret", "re_"];
    is_refused(&variables, &["connect"], &words).await;
    is_refused(&variables, &["suppressions", "import", "--from-resend"], &words).await;
}

#[tokio::test]
async fn a_sample_that_is_not_taken_says_what_to_do() {
    let dev = Dev::start().await;
    let (url, dynamodb) =
        (dev.variables()["REBOUND_FUNCTION_URL"].clone(), dev.variables()["AWS_ENDPOINT_URL_DYNAMODB"].clone());
    let other = BTreeMap::from([("RESEND_WEBHOOK_SECRET".to_owned(), "whsec_YW5vdGhlciBvbmU".to_owned())]);
    let none = BTreeMap::new();
    for (variables, url, says) in [
        (&other, &url, "RESEND_WEBHOOK_SECRET in this shell is not the function's"),
        (&none, &dynamodb, "that is not Rebound"),
    ] {
        let said = at_once(variables, &["sample", "email.bounced", "--post", url]).await;
        assert!(said.code == 1 && said.stderr.contains(says), "{said:?}");
    }
    let secure = url.replace("http:", "https:");
    let words = ["nobody answers at", "http:// and not https://"];
    is_refused(&none, &["sample", "email.bounced", "--post", &secure], &words).await;
}

#[tokio::test]
async fn simulate_to_https_on_this_machine_says_that_it_is_http() {
    let dev = Dev::start().await;
    let secure = dev.variables()["REBOUND_FUNCTION_URL"].replace("http:", "https:");
    is_refused(&BTreeMap::new(), &["simulate", &secure, "--no-verify"], &["http:// and not https://"]).await;
}
