//! The answer to each request, with its headers.

use aws_local::faults::Fault;

use super::{ANN, ConsentHarness, ConsentRequest, ConsentResponse, FORM, ONE_CLICK, link_of};
use crate::support::logged;

/// The headers of every answer.
fn has_the_headers(answer: &ConsentResponse, why: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Accept-Language"),
    ] {
        assert_eq!(answer.header(name), value, "{why}");
    }
    let policy = answer.header("content-security-policy");
    let (before, rest) = policy.split_once("style-src 'sha256-").unwrap();
    let (hash, after) = rest.split_once("'; ").unwrap();
    assert_eq!((before, hash.len()), ("default-src 'none'; ", 44), "{why}");
    assert_eq!(after, "form-action 'self'; base-uri 'none'; frame-ancestors 'none'", "{why}");
    for other in ["set-cookie", "location"] {
        assert_eq!(answer.header(other), "", "{why}");
    }
}

#[tokio::test]
async fn each_request_has_its_status_and_every_answer_the_headers() {
    let stage = ConsentHarness::start().await;
    let (link, large) = (link_of(ANN), vec![b'x'; 8 * 1_024 + 1]);
    let at_most = vec![b'x'; 8 * 1_024];
    for (method, path, content_type, body, status) in [
        ("GET", link.as_str(), "", b"".as_slice(), 200),
        ("HEAD", &link, "", b"", 200),
        ("PUT", &link, "", b"", 405),
        ("DELETE", &link, "", b"", 405),
        ("PATCH", &link, FORM, ONE_CLICK.as_bytes(), 405),
        ("OPTIONS", &link, "", b"", 405),
        ("PUT", &link, "", &large, 405),
        ("POST", &link, FORM, &large, 413),
        ("POST", &link, FORM, b"action=keep", 400),
        ("POST", &link, FORM, b"action=", 400),
        ("POST", "/u/x", FORM, &large, 404),
        ("PUT", "/u/x", "", b"", 404),
        ("GET", "/", "", b"", 404),
        ("GET", "/robots.txt", "", b"", 200),
        ("HEAD", "/robots.txt", "", b"", 200),
        ("POST", "/robots.txt", "", b"", 404),
        ("POST", &link, "", &at_most, 200),
        ("POST", &link, FORM, b"action=opt_out", 200),
    ] {
        let why = format!("{method} {path} with {} bytes", body.len());
        let answer = stage.ask(ConsentRequest { method, path, content_type, body }).await;
        assert_eq!(answer.status, status, "{why}");
        has_the_headers(&answer, &why);
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD, POST" } else { "" }, "{why}");
        assert_eq!(answer.header("retry-after"), "", "{why}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{why}");
        let is_text = path == "/robots.txt" && status == 200;
        let kind = if is_text { "text/plain; charset=utf-8" } else { "text/html; charset=utf-8" };
        assert_eq!(answer.header("content-type"), kind, "{why}");
        if status != 200 || method == "HEAD" || method == "GET" {
            assert_eq!(stage.everything().await, [], "{why} writes nothing");
        }
    }
    assert_eq!(stage.ask(ConsentRequest::get("/robots.txt")).await.body, "User-agent: *\nDisallow: /\n");
}

#[tokio::test]
async fn the_page_says_if_email_is_stopped_and_has_a_button_only_if_not() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    let button = "name=\"action\" value=\"opt_out\"";
    let asked = stage.ask(ConsentRequest::get(&link)).await;
    assert!(asked.body.contains(button) && asked.body.contains(ANN) && asked.body.contains("Bloom &amp; Co"));
    let done = stage.ask(ConsentRequest::button(&link)).await;
    assert!(!done.body.contains(button) && done.body.contains(ANN), "{}", done.body);
    let seen = stage.ask(ConsentRequest::get(&link)).await;
    assert!(!seen.body.contains(button) && seen.body.contains(ANN), "{}", seen.body);
    assert_ne!(seen.body, asked.body);
}

#[tokio::test]
async fn a_failure_to_store_is_503_and_the_next_try_holds() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    stage.proxy.plan(|_| Some(Fault::Invalid));
    for asked in [ConsentRequest::one_click(&link), ConsentRequest::get(&link)] {
        let answer = stage.ask(asked).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "60"), "{asked:?}");
        has_the_headers(&answer, "503");
    }
    stage.proxy.plan(|_| None);
    assert_eq!(stage.everything().await, []);
    assert_eq!(stage.ask(ConsentRequest::one_click(&link)).await.status, 200);
    assert_eq!(stage.everything().await.len(), 3);
}

#[tokio::test]
async fn no_log_line_has_an_address_a_token_or_a_path() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    let log = logged(async {
        for asked in [
            ConsentRequest::get(&link),
            ConsentRequest::one_click(&link),
            ConsentRequest::button(&link),
            ConsentRequest::one_click("/u/secret.a.b"),
        ] {
            stage.ask(asked).await;
        }
        stage.proxy.plan(|_| Some(Fault::Invalid));
        stage.ask(ConsentRequest::one_click(&link)).await;
    })
    .await;
    let outcomes: Vec<&str> = ["opted out", "unchanged", "refused", "not stored"]
        .into_iter()
        .filter(|outcome| log.contains(&format!("\"outcome\":\"{outcome}\"")))
        .collect();
    assert_eq!(outcomes, ["opted out", "unchanged", "refused", "not stored"], "{log}");
    assert_eq!(log.lines().count(), 4, "looking at a page writes none: {log}");
    let parts = link.trim_start_matches("/u/").split('.');
    for personal in parts.chain(["ann@", "example.com", "/u/", "secret", super::EMAIL_ID, super::KEY]) {
        assert!(!log.contains(personal), "{personal} in {log}");
    }
}
