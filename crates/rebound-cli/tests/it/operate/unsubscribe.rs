//! `rebound unsubscribe-link`: the link that `consent` takes, and what is missing if there is none.

use std::collections::BTreeMap;

use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};

use super::{CommandOutput, Dev, command};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const URL: &str = "https://mail.example.com";

fn shell(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn link(variables: &BTreeMap<String, String>, more: &[&str]) -> CommandOutput {
    command(variables, &[&["unsubscribe-link", "ann@example.com"], more].concat(), "").await
}

#[tokio::test]
async fn the_link_opens_the_page_of_rebound_dev_and_opts_out() {
    let dev = Dev::start().await;
    let local = format!("--local={}", dev.folder.path().join("dev.env").display());
    let made = link(&BTreeMap::new(), &[&local, "--email-id", "e1"]).await;
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let url = made.stdout.trim_end();
    assert!(url.starts_with(&format!("{}/u/", dev.variables()["CONSENT_URL"])), "{url}");
    let client = rebound::web::client();
    let page = client.get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("ann@example.com"));
    let check = dev.rebound(&["check", "ann@example.com"]).await;
    assert_eq!(check.code, 0, "a visit changes nothing: {check:?}");
    assert_eq!(client.post(url).send().await.unwrap().status(), 200);
    let check = dev.rebound(&["check", "ann@example.com", "--json"]).await;
    assert_eq!((check.code, check.json()["reasons"][0]["reason"].as_str()), (1, Some("opted_out")), "{check:?}");
}

#[tokio::test]
async fn the_key_is_read_from_the_secret_if_no_variable_has_it() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let mut variables = aws.variables().clone();
    variables.extend(shell(&[("CONSENT_URL", URL), ("CONSENT_KEYS_ARN", "rebound/links")]));
    variables.remove("CONSENT_KEY");
    let secrets = aws.secrets_manager.as_ref().unwrap();
    secrets.put("rebound/links", "{}");
    let said = link(&variables, &[]).await;
    assert!(said.code == 2 && said.stderr.contains("the secret rebound/links has no CONSENT_KEY"), "{said:?}");
    secrets.put("rebound/links", &format!(r#"{{"CONSENT_KEY": "{KEY} {KEY}x"}}"#));
    let by_secret = link(&variables, &[]).await;
    let by_variable = link(&shell(&[("CONSENT_URL", URL), ("CONSENT_KEY", KEY)]), &[]).await;
    assert_eq!((by_secret.code, by_secret.stdout), (0, by_variable.stdout));
}

#[tokio::test]
async fn a_link_that_cannot_be_made_is_refused_with_the_reason() {
    let both = [("CONSENT_URL", URL), ("CONSENT_KEY", KEY)];
    let long = "x".repeat(600);
    for (variables, arguments, words) in [
        (vec![("CONSENT_URL", URL), ("CONSENT_KEY", "short")], vec![], "CONSENT_KEY: a key has 5 characters"),
        (vec![("CONSENT_URL", "mail.example.com"), ("CONSENT_KEY", KEY)], vec![], "CONSENT_URL: it must be https://"),
        (
            vec![("CONSENT_URL", "http://mail.example.com"), ("CONSENT_KEY", KEY)],
            vec![],
            "CONSENT_URL: it must be https://",
        ),
        (both.to_vec(), vec!["--email-id", &long], "use a shorter email id, or none"),
    ] {
        let said = link(&shell(&variables), &arguments).await;
        assert!(said.code == 2 && said.stderr.contains(words) && said.stdout.is_empty(), "{words}: {said:?}");
        assert!(!said.stderr.contains(KEY), "{said:?}");
    }
    let said = command(&shell(&both), &["unsubscribe-link", "ann at example.com"], "").await;
    assert!(said.code == 2 && said.stderr.contains("is not an address"), "{said:?}");
}
