//! Webhooks with bodies of realistic sizes, signed as Resend signs, with Resend's headers.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rebound::resend::signature::SigningSecret;
use reqwest::header::HeaderMap;

/// The webhook's secret, and its secret before a rotation.
pub(crate) const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];

const ID: &str = "msg_2mXq0vJtq8zW0sJg5bq7nUe4fYH";
const EVENT: &str = include_str!("../../../events/email.bounced.json");
/// A signature of another message: the second one in a header during a rotation.
const ANOTHERS: &str = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=";

/// Form of the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// One signature, with a valid secret.
    Once,
    /// Three signatures, of which the last one is valid.
    Thrice,
    /// One signature, with the second of two valid secrets.
    WithTheSecond,
    /// One signature, with an invalid secret.
    Wrongly,
}

/// One webhook: its headers, once for each verifier, and its body.
#[derive(Debug)]
pub(crate) struct SignedDelivery {
    pub(crate) signed: Signed,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl SignedDelivery {
    fn new(signed: Signed, body: String) -> Self {
        let timestamp = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let sign = |secret: &str| secret.parse::<SigningSecret>().unwrap().sign(ID, timestamp, body.as_bytes());
        let [first, second] = SECRETS.map(sign);
        let signatures = match signed {
            Signed::Once => first,
            Signed::Thrice => format!("{ANOTHERS} {second} {first}"),
            Signed::WithTheSecond => second,
            Signed::Wrongly => ANOTHERS.to_owned(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in [("id", ID), ("timestamp", &timestamp.to_string()), ("signature", &signatures)] {
            // `standardwebhooks` reads only the names of the standard; ours reads those of Svix first.
            for prefix in ["svix", "webhook"] {
                let name: reqwest::header::HeaderName = format!("{prefix}-{name}").parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
        }
        for (name, value) in [("content-type", "application/json"), ("user-agent", "Svix-Webhooks/1.71 (sender)")] {
            headers.insert(name, value.parse().unwrap());
        }
        Self { signed, headers, body }
    }

    /// The receiver's secrets.
    pub(crate) fn secrets(&self) -> &'static [&'static str] {
        let number = if self.signed == Signed::WithTheSecond { 2 } else { 1 };
        SECRETS.get(..number).unwrap()
    }

    /// The expected result of a verification.
    pub(crate) fn is_right(&self) -> bool {
        self.signed != Signed::Wrongly
    }
}

impl fmt::Display for SignedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = match self.signed {
            Signed::Once => "one signature",
            Signed::Thrice => "three signatures",
            Signed::WithTheSecond => "the second of two secrets",
            Signed::Wrongly => "a wrong signature",
        };
        let decimals = if self.body.len() < 1_000 { 1 } else { 0 };
        write!(f, "{:.decimals$} kB, {signed}", self.body.len() as f64 / 1_000.0)
    }
}

/// An event of at least this many bytes: its subject is as long as needed.
pub(crate) fn event_of(bytes: usize) -> String {
    let subject = "Bulbs to plant before the frost";
    let long = format!("{subject}{}", " — und bevor es schneit".repeat(bytes.saturating_sub(EVENT.len()).div_ceil(25)));
    EVENT.replace(subject, if bytes > EVENT.len() { &long } else { subject })
}

/// Realistic sizes: a real event, a large one, and up to the maximum that Svix sends.
pub(crate) const SIZES: [usize; 4] = [0, 10_000, 100_000, 350_000];

/// Every webhook to measure.
pub(crate) fn all() -> Vec<SignedDelivery> {
    let of = |size: &usize| {
        let signed = [Signed::Once, Signed::Thrice, Signed::WithTheSecond, Signed::Wrongly];
        signed.map(|signed| SignedDelivery::new(signed, event_of(*size)))
    };
    SIZES.iter().flat_map(of).collect()
}
