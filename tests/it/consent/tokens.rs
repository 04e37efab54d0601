//! Whoever has no valid token gets one and the same page, and causes no call.

use super::{ANN, ConsentHarness, ConsentRequest, ConsentResponse, EMAIL_ID, FORM, KEY, OTHER_KEY, link_of, token};

/// Everything that somebody may try with a link of Ann's at hand, and without one.
fn attacks() -> Vec<String> {
    let valid = token(KEY, "u", ANN, EMAIL_ID);
    let parts: Vec<&str> = valid.split('.').collect();
    let [address, email_id, mac] = parts[..] else { panic!("{valid}") };
    let others = token(KEY, "u", "bob@example.com", EMAIL_ID);
    let bobs = others.split('.').next().unwrap();
    let tokens = [
        String::new(),
        "x".to_owned(),
        "..".to_owned(),
        token(OTHER_KEY, "u", ANN, EMAIL_ID),
        token(KEY, "f", ANN, EMAIL_ID),
        token(KEY, "", ANN, EMAIL_ID),
        token(KEY, "u", "", ""),
        token(KEY, "u", "no address", ""),
        token(KEY, "u", "#forgotten-key", ""),
        token(KEY, "u", "forgotten#0123", ""),
        token(KEY, "u", ANN, &"x".repeat(700)),
        format!("{address}..{mac}"),
        format!(".{email_id}.{mac}"),
        format!("{bobs}.{email_id}.{mac}"),
        format!("{address}.{email_id}"),
        format!("{address}.{email_id}."),
        format!("{address}.{email_id}.{}", &mac[..21]),
        format!("{address}=.{email_id}.{mac}"),
        format!("{valid}=="),
        format!("{valid}."),
        format!("{valid}/"),
        format!("{valid}%20"),
        format!("{valid}%0A"),
        format!("/{valid}"),
        format!("../u/{valid}"),
        valid.replace('.', "%2E"),
        valid.replace('Y', "%59"),
        valid.replace('-', "+"),
        valid.to_uppercase(),
        valid.repeat(20),
    ];
    let as_tokens = tokens.map(|token| format!("/u/{token}"));
    let paths = ["/", "/u", "/u/", "//u/", "/f/", "/U/", "/favicon.ico", "/robots.txt/", "/.well-known/x", "/%75/"];
    let with_valid = ["/f/", "/U/", "//u/", "/%75/", "/u//", "/u/u/", "/x/u/"].map(|path| format!("{path}{valid}"));
    as_tokens.into_iter().chain(paths.map(str::to_owned)).chain(with_valid).collect()
}

/// The same page for whatever is wrong.
fn same_page(answer: &ConsentResponse, page: &mut Option<String>, why: &str) {
    let page = page.get_or_insert_with(|| answer.body.clone());
    assert_eq!(answer.body, *page, "{why}");
    assert!(!answer.body.contains("example.com") && !answer.body.contains("ann@"), "{why}");
}

#[tokio::test]
async fn a_wrong_token_is_404_whatever_is_asked_and_causes_no_call() {
    let stage = ConsentHarness::start().await;
    // Ann is known, and opted out.
    assert_eq!(stage.ask(ConsentRequest::one_click(&link_of(ANN))).await.status, 200);
    stage.proxy.plan(|_| None);
    let before = stage.everything().await.len();
    let (mut page, large) = (None, vec![b'x'; 20_000]);
    for path in attacks() {
        for (method, content_type, body) in [
            ("GET", "", b"".as_slice()),
            ("POST", FORM, b"List-Unsubscribe=One-Click"),
            ("POST", FORM, b"action=keep"),
            ("POST", "", &large),
            ("PUT", "", b""),
            ("DELETE", "", b""),
            ("OPTIONS", "", b""),
        ] {
            let why = format!("{method} {path}");
            let answer = stage.ask(ConsentRequest { method, path: &path, content_type, body }).await;
            assert_eq!(answer.status, 404, "{why}");
            same_page(&answer, &mut page, &why);
        }
        let head = stage.ask(ConsentRequest { method: "HEAD", ..ConsentRequest::get(&path) }).await;
        assert_eq!((head.status, head.body.as_str()), (404, ""), "HEAD {path}");
    }
    assert_eq!(stage.faults.calls(), [], "DynamoDB is not called");
    assert_eq!(stage.everything().await.len(), before);
}

#[tokio::test]
async fn no_character_of_a_token_can_be_changed() {
    let stage = ConsentHarness::start().await;
    let valid = link_of(ANN);
    for at in "/u/".len()..valid.len() {
        let (before, after) = valid.split_at(at);
        for put in ["A", "z", "_", ".", "", "AA"] {
            let changed = format!("{before}{put}{}", &after[1..]);
            if changed != valid {
                assert_eq!(stage.ask(ConsentRequest::one_click(&changed)).await.status, 404, "{changed}");
            }
        }
    }
    assert_eq!(stage.faults.calls(), []);
}

#[tokio::test]
async fn a_query_after_the_token_is_ignored() {
    let stage = ConsentHarness::start().await;
    let path = format!("{}?utm_source=x&action=keep", link_of(ANN));
    assert_eq!(stage.ask(ConsentRequest::get(&path)).await.status, 200);
    assert_eq!(stage.ask(ConsentRequest::one_click(&path)).await.status, 200);
    assert_eq!(stage.scan("SUPPRESSIONS_TABLE").await.len(), 1);
}

#[tokio::test]
async fn an_address_that_was_signed_unspelled_is_opted_out_by_its_one_key() {
    let stage = ConsentHarness::start().await;
    for unspelled in ["Ann@Example.com", " \"ann\"@EXAMPLE.com. ", "Ann Lee <ann@example.com>"] {
        let path = format!("/u/{}", token(KEY, "u", unspelled, ""));
        assert_eq!(stage.ask(ConsentRequest::one_click(&path)).await.status, 200, "{unspelled}");
    }
    let items = stage.scan("SUPPRESSIONS_TABLE").await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["recipient"].as_s().unwrap(), ANN);
}
