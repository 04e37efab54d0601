//! In which order the webhooks come, and what comes besides.

use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use strum::{IntoStaticStr, VariantArray};

use super::scenario::{Scenario, SimulatedWebhook};

/// What may go wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum Chaos {
    /// The same message several times, some of them at once; and the same complaint or bounce told by two messages.
    #[strum(serialize = "duplicates")]
    Duplicates,
    /// Any order.
    #[strum(serialize = "shuffle")]
    Shuffle,
    /// Messages that were correctly signed long ago.
    #[strum(serialize = "stale")]
    Stale,
    /// Messages that were changed, or signed with another secret.
    #[strum(serialize = "tampered")]
    Tampered,
    /// Bodies of a content type that the function URL hands over as base64.
    #[strum(serialize = "base64")]
    Base64,
    /// Bodies with nulls, and odd fields.
    #[strum(serialize = "nulls")]
    Nulls,
    /// Types that nobody knows.
    #[strum(serialize = "unknown")]
    Unknown,
    /// What is signed and can't be read as an event.
    #[strum(serialize = "unreadable")]
    Unreadable,
    /// Other names of the headers, several signatures.
    #[strum(serialize = "headers")]
    Headers,
    /// Link scanners, in bursts.
    #[strum(serialize = "scanners")]
    Scanners,
    /// Requests that are no POST.
    #[strum(serialize = "methods")]
    Methods,
}

impl Chaos {
    /// Everything.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
pub enum RequestKind {
    /// The message.
    #[strum(serialize = "once")]
    Proper,
    /// The message once more.
    #[strum(serialize = "again")]
    Again,
    /// It, signed long ago, under an id of its own.
    #[strum(serialize = "stale")]
    Stale,
    /// It, changed after it was signed, under an id of its own.
    #[strum(serialize = "changed")]
    Tampered,
    /// It, signed with another secret, under an id of its own.
    #[strum(serialize = "another's secret")]
    WrongSecret,
    /// A request that is no POST.
    #[strum(serialize = "not a POST")]
    NotPost,
}

impl RequestKind {
    /// In words.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it must be refused.
    pub const fn is_refused(self) -> bool {
        !matches!(self, Self::Proper | Self::Again)
    }
}

/// A request to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// When it comes, in the story's time.
    pub arrives_at: i64,
    /// Of which email.
    pub email: u32,
    /// Which of its messages.
    pub message: u16,
    /// What kind.
    pub kind: RequestKind,
}

/// Every request, in the order in which they come.
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
                    // At once, or after one of the pauses that Svix makes.
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

/// The message of a request, signed at `now`, and its method.
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

/// The names of Standard Webhooks; or signatures of other versions and of old secrets before the right one.
fn other_headers(signed: &mut SignedMessage, rng: &mut fastrand::Rng) {
    let signature = signed.headers.get("svix-signature").cloned().unwrap_or_default();
    let others = "v1a,AAAA v2,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    signed.headers.insert("svix-signature".to_owned(), format!("{others} {signature}"));
    if rng.bool() {
        let rename = |(name, value): (String, String)| (name.replace("svix-", "webhook-"), value);
        signed.headers = std::mem::take(&mut signed.headers).into_iter().map(rename).collect();
    }
}

/// A secret that is not this one: what it signs, it signs as the right one signs something else.
fn another_secret(secret: &SigningSecret) -> SigningSecret {
    "whsec_YW5vdGhlciBzZWNyZXQgdGhhbiB0aGUgZW5kcG9pbnQncw==".parse().unwrap_or_else(|_| secret.clone())
}
