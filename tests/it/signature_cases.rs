//! The cases of the official test suites of Svix and Standard Webhooks, one each, by name: a long file, because it is a
//! list.

use std::collections::BTreeMap;

use rebound::resend::signature::{
    MessageId, SignatureError, SignedHeaders, SigningSecret, SigningSecretError, SigningSecrets,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const NOW: i64 = 1_614_265_330;

/// The headers of a webhook, to be changed.
struct Case {
    secrets: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    now: i64,
}

fn valid() -> Case {
    signed(ID, NOW, BODY)
}

fn signed(id: &str, timestamp: i64, body: &[u8]) -> Case {
    let signature = SECRET.parse::<SigningSecret>().unwrap().sign(id, timestamp, body);
    let headers = [("svix-id", id), ("svix-timestamp", &timestamp.to_string()), ("svix-signature", &signature)];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Case { secrets: SECRET.to_owned(), headers, body: body.to_vec(), now: NOW }
}

impl Case {
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn with_secrets(mut self, secrets: &str) -> Self {
        self.secrets = secrets.to_owned();
        self
    }

    fn signature(&self) -> String {
        self.headers["svix-signature"].clone()
    }

    /// Renames `svix-…` to `webhook-…`.
    fn unbranded(mut self) -> Self {
        self.headers =
            self.headers.into_iter().map(|(name, value)| (name.replace("svix-", "webhook-"), value)).collect();
        self
    }

    fn verify(&self) -> Result<MessageId, SignatureError> {
        let secrets: SigningSecrets = self.secrets.parse().unwrap();
        SignedHeaders::from_headers(|name| self.headers.get(name).map(String::as_str))?
            .verify(&secrets, &self.body, self.now)
    }

    fn accepts(&self) {
        assert_eq!(self.verify(), Ok(MessageId::from_verified(self.headers.values().next().unwrap().clone())));
    }

    fn refuses(&self, why: SignatureError) {
        assert_eq!(self.verify(), Err(why));
    }
}

#[test]
fn the_first_known_vector_verifies() {
    assert_eq!(valid().signature(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    valid().accepts();
}

#[test]
fn the_second_known_vector_verifies() {
    let (id, at) = ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553);
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let mut case = signed(id, at, body).with_secrets(OTHER_SECRET);
    case = case.with("svix-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    case.now = at;
    case.accepts();
}

#[test]
fn valid_signature_is_valid() {
    signed("msg_1", NOW, b"{}").accepts();
}

#[test]
fn valid_unbranded_signature_is_valid() {
    valid().unbranded().accepts();
}

#[test]
fn svix_headers_come_before_the_unbranded_ones() {
    let both = valid().with("webhook-id", "x").with("webhook-timestamp", "1").with("webhook-signature", "v1,AAAA");
    assert!(both.verify().is_ok());
    let wrong = valid().unbranded().with("svix-signature", "v1,AAAA");
    wrong.refuses(SignatureError::WrongSignature);
}

#[test]
fn missing_id() {
    valid().without("svix-id").refuses(SignatureError::MissingHeader("svix-id"));
}

#[test]
fn missing_timestamp() {
    valid().without("svix-timestamp").refuses(SignatureError::MissingHeader("svix-timestamp"));
}

#[test]
fn missing_signature() {
    valid().without("svix-signature").refuses(SignatureError::MissingHeader("svix-signature"));
}

#[test]
fn missing_headers() {
    Case { headers: BTreeMap::new(), ..valid() }.refuses(SignatureError::MissingHeader("svix-id"));
}

#[test]
fn empty_id() {
    valid().with("svix-id", "").refuses(SignatureError::MalformedId);
}

#[test]
fn timestamp_hello() {
    valid().with("svix-timestamp", "hello").refuses(SignatureError::MalformedTimestamp);
}

#[test]
fn timestamp_float() {
    valid().with("svix-timestamp", "1614265330.5").refuses(SignatureError::MalformedTimestamp);
}

#[test]
fn timestamp_empty_blank_or_enormous() {
    for timestamp in ["", " ", " 1614265330", "1e9", "99999999999999999999", "0x60", "\u{661}"] {
        valid().with("svix-timestamp", timestamp).refuses(SignatureError::MalformedTimestamp);
    }
}

#[test]
fn timestamp_negative() {
    valid().with("svix-timestamp", "-1614265330").refuses(SignatureError::WrongSignature);
    signed(ID, -5, BODY).refuses(SignatureError::TooOld { age_seconds: NOW + 5 });
}

#[test]
fn timestamps_at_both_ends_of_the_range_do_not_overflow() {
    signed(ID, i64::MIN, BODY).refuses(SignatureError::TooOld { age_seconds: i64::MAX });
    signed(ID, i64::MAX, BODY).refuses(SignatureError::TooNew { ahead_seconds: i64::MAX - NOW });
}

#[test]
fn timestamp_too_old() {
    signed(ID, NOW - 301, BODY).refuses(SignatureError::TooOld { age_seconds: 301 });
}

#[test]
fn timestamp_too_new() {
    signed(ID, NOW + 301, BODY).refuses(SignatureError::TooNew { ahead_seconds: 301 });
}

#[test]
fn the_tolerance_is_inclusive_on_both_sides() {
    signed(ID, NOW - 300, BODY).accepts();
    signed(ID, NOW + 300, BODY).accepts();
}

#[test]
fn timestamp_tampered_with() {
    valid().with("svix-timestamp", (NOW + 1).to_string()).refuses(SignatureError::WrongSignature);
}

#[test]
fn the_signature_is_checked_before_the_age() {
    let forged_and_old = signed(ID, NOW - 10_000, BODY).with("svix-signature", "v1,AAAA");
    forged_and_old.refuses(SignatureError::WrongSignature);
}

#[test]
fn id_tampered_with() {
    valid().with("svix-id", "msg_another").refuses(SignatureError::WrongSignature);
}

#[test]
fn body_tampered_with() {
    Case { body: br#"{"test": 2432232315}"#.to_vec(), ..valid() }.refuses(SignatureError::WrongSignature);
}

#[test]
fn partial_signature() {
    let whole = valid().signature();
    for length in [3, 11, whole.len() - 4, whole.len() - 1] {
        assert_eq!(
            valid().with("svix-signature", &whole[..length]).verify(),
            Err(SignatureError::WrongSignature),
            "{length}"
        );
    }
}

#[test]
fn forged_signature() {
    let forged = signed(ID, NOW, b"another body").signature();
    valid().with("svix-signature", forged).refuses(SignatureError::WrongSignature);
}

#[test]
fn wrong_version() {
    for version in ["v0", "v2", "v11", "V1", "v1a", ""] {
        let signature = valid().signature().replace("v1,", &format!("{version},"));
        valid().with("svix-signature", signature).refuses(SignatureError::MalformedSignature);
    }
}

#[test]
fn bad_base64() {
    valid().with("svix-signature", "v1,%%%not base64%%%").refuses(SignatureError::WrongSignature);
}

#[test]
fn unpadded_signature() {
    let unpadded = valid().signature().trim_end_matches('=').to_owned();
    valid().with("svix-signature", unpadded).refuses(SignatureError::WrongSignature);
}

#[test]
fn a_token_without_a_comma() {
    let signature = valid().signature();
    valid().with("svix-signature", "v1").refuses(SignatureError::MalformedSignature);
    valid().with("svix-signature", format!("v1 {signature}")).accepts();
}

#[test]
fn empty_signature() {
    valid().with("svix-signature", "").refuses(SignatureError::MalformedSignature);
    valid().with("svix-signature", "v1,").refuses(SignatureError::WrongSignature);
}

#[test]
fn multi_signature_with_the_right_one_last() {
    let last = format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,zzzz v1a,xyz  junk {}", valid().signature());
    valid().with("svix-signature", last).accepts();
}

#[test]
fn a_secret_with_and_without_the_prefix() {
    valid().with_secrets(SECRET.trim_start_matches("whsec_")).accepts();
    valid().with_secrets(SECRET).accepts();
}

#[test]
fn a_secret_with_white_space_around_it() {
    valid().with_secrets(&format!(" \t{SECRET}\r\n")).accepts();
}

#[test]
fn a_secret_that_is_empty() {
    for empty in ["", " ", "\n\t", "whsec_", " whsec_ "] {
        assert_eq!(empty.parse::<SigningSecrets>().unwrap_err(), SigningSecretError::Empty, "{empty:?}");
    }
}

#[test]
fn a_secret_that_is_unpadded() {
    let padded = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";
    let sign = |secret: &str| secret.parse::<SigningSecret>().unwrap().sign(ID, NOW, BODY);
    assert_eq!(sign(padded), sign(padded.trim_end_matches('=')));
}

#[test]
fn a_secret_that_is_not_base64() {
    for bad in ["whsec_%%%", "hello!", "whsec_ü", "whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert_eq!(bad.parse::<SigningSecrets>().unwrap_err(), SigningSecretError::NotBase64, "{bad}");
    }
}

#[test]
fn one_bad_secret_among_several_is_an_error() {
    assert_eq!(format!("{SECRET} %%").parse::<SigningSecrets>().unwrap_err(), SigningSecretError::NotBase64);
}

#[test]
fn while_a_secret_rotates_either_one_verifies() {
    for secrets in [format!("{OTHER_SECRET} {SECRET}"), format!("{SECRET}\n{OTHER_SECRET}")] {
        valid().with_secrets(&secrets).accepts();
    }
    valid().with_secrets(OTHER_SECRET).refuses(SignatureError::WrongSignature);
}

#[test]
fn empty_body() {
    signed(ID, NOW, b"").accepts();
}

#[test]
fn a_body_that_is_not_utf8() {
    signed(ID, NOW, b"\xff\xfe\x00\x80").accepts();
}

#[test]
fn a_large_body() {
    signed(ID, NOW, &vec![b'a'; 1024 * 1024]).accepts();
}

#[test]
fn headers_may_hold_anything_without_a_panic() {
    let long = "ü,v1 ".repeat(2_000);
    for odd in ["", " ", ",", "v1,", "\u{0}", "\u{ffff}", "v1,\u{1f600}", &long] {
        for name in ["svix-id", "svix-timestamp", "svix-signature"] {
            assert!(valid().with(name, odd).verify().is_err(), "{name}: {odd:.20}");
        }
    }
    signed(&"m".repeat(10_000), NOW, BODY).accepts();
    signed("msg_ü", NOW, BODY).accepts();
}

#[test]
fn what_is_wrong_never_says_what_would_be_right() {
    let right = valid().signature();
    for case in
        [valid().with("svix-signature", "v1,AAAA"), signed(ID, NOW - 999, BODY), valid().without("svix-signature")]
    {
        let said = case.verify().unwrap_err().to_string();
        assert!(!said.contains(right.trim_start_matches("v1,")) && !said.contains("MfKQ9r8GKY"), "{said}");
    }
    let secrets: SigningSecrets = SECRET.parse().unwrap();
    assert_eq!(format!("{secrets:?}"), "SigningSecrets([SigningSecret(redacted)])");
}
