//! Verification, ours and the official one. Each looks up the headers in the same map, parses them, reads the clock,
//! checks the age, and compares in constant time. Each keeps between two webhooks what it can keep. `svix` is not
//! measured: its verifier is identical to that of `standardwebhooks`, and it cannot be built without its HTTP client.

use divan::Bencher;
use divan::counter::BytesCount;
use rebound::resend::signature::{SignedHeaders, SigningSecrets};
use rebound::time::UnixMillis;

use crate::deliveries::{self, SignedDelivery};

/// A verifier, set up with the valid secrets.
pub(crate) trait Verifier {
    /// Its name.
    const NAME: &'static str;
    /// Creates a verifier for these secrets.
    fn new(secrets: &[&str]) -> Self;
    /// Returns true if a webhook is signed with one of the secrets, and fresh.
    fn accepts(&self, delivery: &SignedDelivery) -> bool;
}

/// Rebound's verifier.
pub(crate) struct Rebound(SigningSecrets);

impl Verifier for Rebound {
    const NAME: &'static str = "rebound";

    fn new(secrets: &[&str]) -> Self {
        Self(secrets.join(" ").parse().unwrap())
    }

    fn accepts(&self, delivery: &SignedDelivery) -> bool {
        let header = |name: &str| delivery.headers.get(name).and_then(|value| value.to_str().ok());
        let claim = SignedHeaders::from_headers(header);
        let now = UnixMillis::now().seconds();
        claim.and_then(|claim| claim.verify(&self.0, delivery.body.as_bytes(), now)).is_ok()
    }
}

/// The official verifier. It knows one secret, so during a rotation two are used.
pub(crate) struct StandardWebhooks(Vec<standardwebhooks::Webhook>);

impl Verifier for StandardWebhooks {
    const NAME: &'static str = "standardwebhooks";

    fn new(secrets: &[&str]) -> Self {
        Self(secrets.iter().map(|secret| standardwebhooks::Webhook::new(secret).unwrap()).collect())
    }

    fn accepts(&self, delivery: &SignedDelivery) -> bool {
        self.0.iter().any(|webhook| webhook.verify(delivery.body.as_bytes(), &delivery.headers).is_ok())
    }
}

#[divan::bench(types = [Rebound, StandardWebhooks], args = deliveries::all())]
fn verify<V: Verifier>(bencher: Bencher<'_, '_>, delivery: &SignedDelivery) {
    let verifier = V::new(delivery.secrets());
    assert_eq!(verifier.accepts(delivery), delivery.is_right(), "{} at {delivery}", V::NAME);
    bencher.counter(BytesCount::new(delivery.body.len())).bench_local(|| verifier.accepts(divan::black_box(delivery)));
}
