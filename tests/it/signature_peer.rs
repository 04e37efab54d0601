//! Our verifier and the official one, with the same valid and mangled inputs.

use hyper::HeaderMap;
use proptest::prelude::*;
use rebound::resend::signature::{SignedHeaders, SigningSecret, SigningSecrets};
use standardwebhooks::Webhook;

use crate::support::now;

const KEYS: [&str; 3] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==",
];

/// A change of a header or of the body between signing and verifying.
#[derive(Clone, Debug)]
enum Mangling {
    Nothing,
    Replace(usize, String),
    Cut(usize, usize),
    Insert(usize, usize, char),
    Prepend(String),
    Append(String),
    Body(String),
}

fn mangling() -> impl Strategy<Value = Mangling> {
    prop_oneof![
        3 => Just(Mangling::Nothing),
        1 => (0..3_usize, "[ -~]{0,40}").prop_map(|(header, text)| Mangling::Replace(header, text)),
        1 => (0..3_usize, 0..60_usize).prop_map(|(header, at)| Mangling::Cut(header, at)),
        2 => (0..3_usize, 0..60_usize, "[ -~]").prop_map(|(header, at, c)| Mangling::Insert(header, at, c.chars().next().unwrap())),
        1 => "(v[0-2],[A-Za-z0-9+/=]{0,44} ){0,3}".prop_map(Mangling::Prepend),
        1 => "( v[0-2]?,?[A-Za-z0-9+/=]{0,44}){0,3}".prop_map(Mangling::Append),
        1 => "\\PC{0,60}".prop_map(Mangling::Body),
    ]
}

fn mangle(headers: &mut [String; 3], body: &mut String, mangling: Mangling) {
    let at_most = |text: &str, at: usize| at.min(text.len());
    match mangling {
        Mangling::Nothing => {}
        Mangling::Replace(header, text) => headers[header] = text,
        Mangling::Cut(header, at) => {
            let at = at_most(&headers[header], at);
            headers[header].truncate(at);
        }
        Mangling::Insert(header, at, c) => {
            let at = at_most(&headers[header], at);
            headers[header].insert(at, c);
        }
        Mangling::Prepend(text) => headers[2].insert_str(0, &text),
        Mangling::Append(text) => headers[2].push_str(&text),
        Mangling::Body(text) => *body = text,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn ours_and_the_official_verifier_agree(
        id in "[!-~]{1,40}",
        body in "\\PC{0,200}",
        // Not at the limits of the tolerance, because the official verifier reads the clock itself.
        age in prop::sample::select(vec![0_i64, 0, 0, 290, -290, 310, -310, 100_000]),
        signer in 0..3_usize,
        verifier in prop::sample::select(vec![0_usize, 0, 1, 2]),
        manglings in prop::collection::vec(mangling(), 0..3),
    ) {
        let now = now();
        let timestamp = now - age;
        let mut body = body;
        let signature = KEYS[signer].parse::<SigningSecret>().unwrap().sign(&id, timestamp, body.as_bytes());
        let official = Webhook::new(KEYS[signer]).unwrap().sign(&id, timestamp, body.as_bytes()).unwrap();
        prop_assert_eq!(&signature, &official);

        let mut headers = [id, timestamp.to_string(), signature];
        for mangling in manglings {
            mangle(&mut headers, &mut body, mangling);
        }
        // The official verifier accepts an empty id, which no webhook has; ours rejects it as malformed.
        prop_assume!(!headers[0].is_empty());

        let mut map = HeaderMap::new();
        for (name, value) in ["webhook-id", "webhook-timestamp", "webhook-signature"].into_iter().zip(&headers) {
            map.insert(name, value.parse().unwrap());
        }
        let theirs = Webhook::new(KEYS[verifier]).unwrap().verify(body.as_bytes(), &map).is_ok();

        let secrets: SigningSecrets = KEYS[verifier].parse().unwrap();
        let ours = SignedHeaders::from_headers(|name| map.get(name).and_then(|value| value.to_str().ok()))
            .and_then(|claim| claim.verify(&secrets, body.as_bytes(), now))
            .is_ok();
        prop_assert_eq!(ours, theirs);
        if headers[1] == timestamp.to_string() && theirs {
            prop_assert!(age.abs() <= 300);
        }
    }
}
