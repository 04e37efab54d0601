//! The part about `consent`: a recipient stops email with one click, and a password reset may still be sent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rebound::policy::consent_link::{ConsentLink, ConsentPurpose};
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::{EmailKind, SendCheck, SuppressionItem};
use rebound::time::UnixMillis;
use reqwest::Method;
use serde::Serialize;

use super::environment::{DemoEnvironment, string};
use crate::LOCAL_CONSENT_KEY;
use crate::commands::CommandError;
use crate::commands::sample::title;
use crate::runner::{Clock, serve_consent};

/// Who opts out, and another address for a forgery.
const RECIPIENT: &str = "nora@readers.example";
const OTHER: &str = "omar@readers.example";

/// Body of a one-click unsubscription (<https://www.rfc-editor.org/rfc/rfc8058#section-3.2>).
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// A request to `consent`, with the response and the recipient's reasons after it.
#[derive(Debug, Serialize)]
pub(super) struct LinkUse {
    pub(super) what: &'static str,
    pub(super) status: u16,
    /// The title of the page.
    pub(super) title: String,
    pub(super) ms: f64,
    pub(super) reasons: Vec<String>,
}

/// An email, and the reasons against sending it.
#[derive(Debug, Serialize)]
pub(super) struct EmailCheck {
    pub(super) email: &'static str,
    pub(super) may_send: bool,
    pub(super) because: Vec<String>,
}

/// The result of the whole part.
#[derive(Debug, Serialize)]
pub(super) struct ConsentReport {
    pub(super) recipient: &'static str,
    pub(super) requests: Vec<LinkUse>,
    pub(super) emails: Vec<EmailCheck>,
    /// Number of audit rows, and of contacts to be unsubscribed at Resend.
    pub(super) audit_rows: usize,
    pub(super) pushes: usize,
}

/// Uses one link in every way, and reads the tables back.
pub(super) async fn show(env: &mut DemoEnvironment) -> Result<ConsentReport, CommandError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = serve_consent(any, env.aws.consent().await?, Clock::new(1.0)).await?;
    let keys = LOCAL_CONSENT_KEY.parse()?;
    let token = |address: &str| -> Result<String, CommandError> {
        let recipient = Recipient::parse(address).ok_or("the address is invalid")?;
        let link = ConsentLink { recipient, email_id: Some("spring-bulbs-0001".to_owned()) };
        Ok(link.sign(ConsentPurpose::OptOut, &keys)?.as_str().to_owned())
    };
    let (own, other) = (token(RECIPIENT)?, token(OTHER)?);
    let forged =
        own.split_once('.').zip(other.split_once('.')).map(|((_, rest), (address, _))| format!("{address}.{rest}"));
    let forged = forged.ok_or("the token has no parts")?;
    let steps = [
        ("a scanner fetches the link", Method::GET, &own, 200, false),
        ("one click in the mail program", Method::POST, &own, 200, true),
        ("the same click again", Method::POST, &own, 200, true),
        ("the person opens the link", Method::GET, &own, 200, true),
        ("the signature with another address", Method::POST, &forged, 404, true),
    ];
    let client = rebound::web::client();
    let mut requests = Vec::new();
    for (what, method, token, expected, is_out) in steps {
        let request = client.request(method, format!("{}/u/{token}", server.url()));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(ONE_CLICK);
        let started = Instant::now();
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let page = answer.text().await?;
        let ms = milliseconds(started.elapsed());
        let reasons = reasons(env, EmailKind::default()).await?;
        let well = status == expected && reasons == expected_reasons(is_out);
        env.check(well, format!("{what}: the response is {status}, not {expected}, and the reasons are {reasons:?}"));
        requests.push(LinkUse { what, status, title: title(&page).to_owned(), ms, reasons });
    }

    let mut emails = Vec::new();
    for (email, kind, expected) in [
        ("a newsletter", EmailKind::default(), false),
        ("a password reset", EmailKind { transactional: true, ..EmailKind::default() }, true),
    ] {
        let because = reasons(env, kind).await?;
        let may_send = because.is_empty();
        env.check(may_send == expected, format!("{email} to {RECIPIENT}: may it be sent? {may_send}, not {expected}"));
        emails.push(EmailCheck { email, may_send, because });
    }
    let rows = env.scan("EVENTS_TABLE").await?;
    let audit_rows = rows.iter().filter(|row| string(row, "email_id") == format!("audit#{RECIPIENT}")).count();
    let agenda = env.scan("AGENDA_TABLE").await?;
    let pushes = agenda.iter().filter(|entry| string(entry, "kind") == "push").count();
    env.check((audit_rows, pushes) == (1, 1), format!("{audit_rows} audit rows and {pushes} pushes, not one of each"));
    let others = env.scan("SUPPRESSIONS_TABLE").await?;
    let well = others.iter().all(|item| string(item, "recipient") != OTHER);
    env.check(well, format!("{OTHER} was opted out with a signature of another address"));
    Ok(ConsentReport { recipient: RECIPIENT, requests, emails, audit_rows, pushes })
}

fn expected_reasons(is_out: bool) -> Vec<String> {
    if is_out { vec!["opted_out".to_owned()] } else { Vec::new() }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The reasons against sending such an email to the recipient, by the reader's rule.
async fn reasons(env: &DemoEnvironment, email: EmailKind<'_>) -> Result<Vec<String>, CommandError> {
    let items = env.scan("SUPPRESSIONS_TABLE").await?;
    let own = items.into_iter().find(|item| string(item, "recipient") == RECIPIENT).map(SuppressionItem::from_item);
    let check = SendCheck::of(own.as_ref(), false, email, UnixMillis::now());
    Ok(check.reasons().into_iter().map(str::to_owned).collect())
}
