//! The questions, asked of the local Resend.

use std::time::Duration;

use rebound_dev::resend::{KeyMemory, LocalResend, ResendBehaviour, SENDING_KEY};

use crate::questions::{Finding, Plan, Verdict, ask_all};
use crate::received::HEADERS;
use crate::{LOCAL_KEY, summary, table};

async fn local() -> LocalResend {
    let resend = LocalResend::start(LOCAL_KEY).await.unwrap();
    resend.limit(100_000);
    resend
}

fn plan(resend: &LocalResend) -> Plan {
    Plan {
        base_url: resend.url(),
        key: LOCAL_KEY.to_owned(),
        second_key: Some(SENDING_KEY.to_owned()),
        from: "Me <me@shop.example>".to_owned(),
        to: "delivered@resend.dev".to_owned(),
        received: None,
        pause: Duration::ZERO,
    }
}

fn of(findings: &[Finding], verdict: Verdict) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.verdict == verdict).collect()
}

fn seen<'a>(findings: &'a [Finding], asked: &str) -> &'a str {
    &findings.iter().find(|finding| finding.asked.contains(asked)).unwrap().seen
}

#[tokio::test]
async fn the_local_resend_is_as_the_code_assumes_under_each_memory() {
    for memory in KeyMemory::all() {
        let resend = local().await;
        resend.remember_keys(memory);
        let findings = ask_all(&plan(&resend)).await.unwrap();
        assert_eq!(of(&findings, Verdict::Differs).len(), 0, "{memory:?}: {findings:#?}");
        assert_eq!(of(&findings, Verdict::NotAsked).len(), HEADERS.len(), "only the received email: {findings:#?}");
        let refusal = if memory.errors { "a refusal is remembered" } else { "a refusal is not remembered" };
        assert!(seen(&findings, "the corrected body").contains(refusal), "{memory:?}: {findings:#?}");
        let scope = if memory.per_api_key { "for each API key" } else { "for the team" };
        assert!(seen(&findings, "two API keys").contains(scope), "{memory:?}: {findings:#?}");
        let to = |email: &serde_json::Value| email["to"][0] == "delivered@resend.dev";
        assert!(resend.emails().iter().all(to) && resend.emails().len() <= 6, "{:#?}", resend.emails());
        assert_eq!(table(&findings).faults(), Vec::<String>::new());
        assert!(summary(&findings).contains("0 differ, 4 not asked"), "{}", summary(&findings));
    }
}

#[tokio::test]
async fn an_api_that_behaves_otherwise_differs() {
    let resend = local().await;
    let mut sends = 0;
    resend.plan(move |method, path| {
        sends += usize::from((method, path) == ("POST", "/emails"));
        let error = |status, name: &str| {
            Some(ResendBehaviour::Error { status, name: name.to_owned(), message: "No.".to_owned() })
        };
        match (path, sends) {
            // The same key and body again, the same key with another body, and the first email with a fault.
            ("/emails", 2) => Some(ResendBehaviour::Status(500)),
            ("/emails", 3) => error(409, "idempotency_error"),
            ("/emails", 9) => error(418, "teapot"),
            ("/domains", _) => error(403, "forbidden"),
            _ if path.starts_with("/contacts/") => error(410, "gone"),
            _ => None,
        }
    });
    let findings = ask_all(&plan(&resend)).await.unwrap();
    let differs: Vec<&str> = of(&findings, Verdict::Differs).iter().map(|finding| finding.asked).collect();
    assert_eq!(
        differs,
        [
            "the same key and body again",
            "the same key, another body",
            "`from` is no address",
            "GET /domains with a key that may only send",
            "a contact that does not exist is unsubscribed"
        ],
        "{findings:#?}"
    );
    assert_eq!(seen(&findings, "`from`"), "418 teapot");
}

#[tokio::test]
async fn without_an_accepted_email_nothing_is_asked() {
    let resend = local().await;
    let wrong = Plan { key: "re_wrong".to_owned(), ..plan(&resend) };
    let error = ask_all(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("401") && resend.calls().len() == 1, "{error}");
    let none = Plan { key: " ".to_owned(), ..plan(&resend) };
    assert!(ask_all(&none).await.unwrap_err().to_string().contains("not a key"));
}

#[tokio::test]
async fn a_received_email_shows_what_was_kept_and_signed() {
    let resend = local().await;
    let sent: String = HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=resend;\r\n\th=From:To:Subject:List-Unsubscribe:\r\n\t List-Unsubscribe-Post:In-Reply-To; bh=x; b=y\r\n";
    let ask = async |email: String| {
        let findings = ask_all(&Plan { received: Some(email), ..plan(&resend) }).await.unwrap();
        findings.into_iter().skip_while(|finding| !finding.asked.starts_with("List-Uns")).collect::<Vec<_>>()
    };
    let findings = ask(format!("{signature}{sent}\r\nbody")).await;
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Same), "{findings:#?}");
    assert_eq!(
        (seen(&findings, "In-Reply-To"), seen(&findings, "References")),
        ("kept, and signed", "kept, not signed")
    );
    let findings = ask(format!("{sent}\r\n{signature}")).await;
    assert_eq!(of(&findings, Verdict::Differs).len(), 2, "a signature in the body is none: {findings:#?}");
    let findings = ask(format!("{signature}{}\r\n", sent.replace("References", "X-References"))).await;
    assert_eq!(seen(&findings, "References"), "changed or missing");
    let findings = ask("Subject: another\r\n\r\n".to_owned()).await;
    assert_eq!(of(&findings, Verdict::NotAsked).len(), 4);
}
