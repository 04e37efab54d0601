//! The requests: the order of the webhooks, and the deliberate faults.

use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use strum::{IntoStaticStr, VariantArray};

use super::scenario::{Scenario, SimulatedWebhook};

/// A kind of deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum Chaos {
    /// The same webhook several times, sometimes concurrently; and two webhooks about the same complaint or bounce.
    #[strum(serialize = "duplicates")]
    Duplicates,
    /// Random order.
    #[strum(serialize = "shuffle")]
    Shuffle,
    /// Webhooks that were correctly signed long ago.
    #[strum(serialize = "stale")]
    Stale,
    /// Webhooks that were changed, or signed with another secret.
    #[strum(serialize = "tampered")]
    Tampered,
    /// Bodies of a content type that the function URL encodes as base64.
    #[strum(serialize = "base64")]
    Base64,
    /// Bodies with nulls, and odd fields.
    #[strum(serialize = "nulls")]
    Nulls,
    /// Unknown event types.
    #[strum(serialize = "unknown")]
    Unknown,
    /// Signed bodies that can't be parsed as an event.
    #[strum(serialize = "unreadable")]
    Unreadable,
    /// Other header names, several signatures.
    #[strum(serialize = "headers")]
    Headers,
    /// Link scanners, in bursts.
    #[strum(serialize = "scanners")]
    Scanners,
    /// Requests with another method than POST.
    #[strum(serialize = "methods")]
    Methods,
}

impl Chaos {
    /// Every kind.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
pub enum RequestKind {
    /// The webhook, for the first time.
    #[strum(serialize = "once")]
    Proper,
    /// The same webhook again.
    #[strum(serialize = "again")]
    Again,
    /// The webhook signed long ago, under an id of its own.
    #[strum(serialize = "stale")]
    Stale,
    /// The webhook changed after it was signed, under an id of its own.
    #[strum(serialize = "changed")]
    Tampered,
    /// The webhook signed with another secret, under an id of its own.
    #[strum(serialize = "another's secret")]
    WrongSecret,
    /// A request with another method than POST.
    #[strum(serialize = "not a POST")]
    NotPost,
}

impl RequestKind {
    /// The name in the report.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns true if the function must reject the request.
    pub const fn is_refused(self) -> bool {
        !matches!(self, Self::Proper | Self::Again)
    }
}

/// A request to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Time of arrival, in the scenario's time.
    pub arrives_at: i64,
    /// The number of the email.
    pub email: u32,
    /// The index of the webhook among the email's.
    pub message: u16,
    /// The kind of request.
    pub kind: RequestKind,
}

/// All requests, in order of arrival.
pub fn requests(scenario: &Scenario, chaos: &[Chaos]) -> Vec<Request> {
    let has = |one: Chaos| chaos.contains(&one);
    let mut rng = fastrand::Rng::with_seed(scenario.seed.wrapping_add(1));
    let mut requests = Vec::new();
    for email in 0..scenario.emails {
        for (message, index) in scenario.email(email).messages.iter().zip(0..) {
            let arrives_at = message.arrives_at.0;
            let mut add = |kind, later: i64| {
                requests.push(Request { arrives_at: arrives_at + later, email, message: index, kind });
            };
            add(RequestKind::Proper, 0);
            if has(Chaos::Duplicates) && rng.u8(..10) == 0 {
                for _ in 0..rng.u8(1..4) {
                    // Immediately, or after one of Svix's retry delays.
                    let pauses = [0, 0, 5_000, 300_000];
                    add(RequestKind::Again, pauses.get(rng.usize(..4)).copied().unwrap_or(0));
                }
            }
            if has(Chaos::Stale) && rng.u8(..100) == 0 {
                add(RequestKind::Stale, 1);
            }
            if has(Chaos::Tampered) && rng.u8(..100) == 0 {
                add(if rng.bool() { RequestKind::Tampered } else { RequestKind::WrongSecret }, 1);
            }
            if has(Chaos::Methods) && rng.u16(..500) == 0 {
                add(RequestKind::NotPost, 1);
            }
        }
    }
    if has(Chaos::Shuffle) {
        rng.shuffle(&mut requests);
    } else {
        requests.sort_unstable();
    }
    requests
}

/// The webhook of a request, signed at `now`, and the HTTP method.
pub fn signed(
    request: &Request,
    message: &SimulatedWebhook,
    chaos: &[Chaos],
    secret: &SigningSecret,
    now: UnixMillis,
) -> (SignedMessage, reqwest::Method) {
    let place = u64::from(request.email) << 16 | u64::from(request.message);
    let mut rng = fastrand::Rng::with_seed(place ^ request.arrives_at.unsigned_abs() ^ (request.kind as u64) << 60);
    let seconds = now.seconds();
    let id = if request.kind.is_refused() {
        format!("{}-refused-{}", message.id, request.kind as u8)
    } else {
        message.id.clone()
    };
    let mut signed = match request.kind {
        RequestKind::Stale => SignedMessage::new(id, seconds - rng.i64(301..100_000), message.body.clone(), secret),
        RequestKind::WrongSecret => SignedMessage::new(id, seconds, message.body.clone(), &another_secret(secret)),
        _ => SignedMessage::new(id, seconds, message.body.clone(), secret),
    };
    if request.kind == RequestKind::Tampered {
        signed.body.push(b' ');
    }
    let method = if request.kind == RequestKind::NotPost { reqwest::Method::GET } else { reqwest::Method::POST };
    if chaos.contains(&Chaos::Base64) && rng.u8(..10) == 0 {
        signed.headers.insert("content-type".to_owned(), "application/octet-stream".to_owned());
    }
    if chaos.contains(&Chaos::Headers) && rng.u8(..10) == 0 {
        other_headers(&mut signed, &mut rng);
    }
    (signed, method)
}

/// Adds signatures of other versions and of old secrets before the valid one; and, half of the time, uses the header names of Standard
/// Webhooks.
fn other_headers(signed: &mut SignedMessage, rng: &mut fastrand::Rng) {
    let signature = signed.headers.get("svix-signature").cloned().unwrap_or_default();
    let others = "v1a,AAAA v2,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    signed.headers.insert("svix-signature".to_owned(), format!("{others} {signature}"));
    if rng.bool() {
        let rename = |(name, value): (String, String)| (name.replace("svix-", "webhook-"), value);
        signed.headers = std::mem::take(&mut signed.headers).into_iter().map(rename).collect();
    }
}

/// A valid secret that differs from `secret`.
fn another_secret(secret: &SigningSecret) -> SigningSecret {
    "whsec_YW5vdGhlciBzZWNyZXQgdGhhbiB0aGUgZW5kcG9pbnQncw==".parse().unwrap_or_else(|_| secret.clone())
}
