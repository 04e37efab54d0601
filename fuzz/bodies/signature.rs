//! Signature headers: `svix-id`, `svix-timestamp`, `svix-signature` and the body, each on a line of the input.
//!
//! On the third line, `{good}` is replaced by the valid signature, `{code}` by the same without its version, and
//! `{old}` by one made with the other of two secrets. So some inputs are accepted, although no fuzzer could guess a
//! signature.

use rebound::resend::signature::{SignatureError, SignedHeaders, SigningSecret, SigningSecrets, TOLERANCE_SECONDS};

use super::{NOW, SECRET, lines, text};

const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A webhook is accepted if and only if one of its signatures is exactly the valid one, and its time is recent. No
/// error contains the valid signature.
pub fn run(bytes: &[u8]) {
    let [id, timestamp, signatures, body] = lines(bytes);
    let (id, timestamp, mut signatures) = (text(id), text(timestamp), text(signatures));
    secrets_read_alike(&signatures);
    let (Ok(new), Ok(old)) = (SECRET.parse::<SigningSecret>(), OLD_SECRET.parse::<SigningSecret>()) else {
        panic!("the secrets are good");
    };
    let at: Option<i64> = timestamp.parse().ok();
    let right = new.sign(&id, at.unwrap_or(0), body);
    let right_too = old.sign(&id, at.unwrap_or(0), body);
    let code = right.trim_start_matches("v1,");
    for (place, signature) in [("{good}", right.as_str()), ("{code}", code), ("{old}", right_too.as_str())] {
        signatures = signatures.replace(place, signature);
    }

    let claim = match claim("svix", &id, &timestamp, &signatures) {
        Ok(claim) => claim,
        Err(error) => {
            assert_tells_nothing(&error, code);
            let is_v1 = |token: &str| token.starts_with("v1,");
            assert!(id.is_empty() || at.is_none() || !signatures.split(' ').any(is_v1), "refused: {error}");
            return;
        }
    };
    let at = at.expect("a claim has a time");
    let standard = self::claim("webhook", &id, &timestamp, &signatures).expect("it reads under both names");
    let is_one = |token: &str| token == right || token == right_too;
    let is_signed = signatures.split(' ').any(is_one);
    let is_signed_newly = signatures.split(' ').any(|token| token == right);
    let secrets = |text: &str| text.parse::<SigningSecrets>().expect("the secrets are good");
    let (both, newest) = (secrets(&format!("{SECRET} {OLD_SECRET}")), secrets(SECRET));

    let near = [-301, -300, -1, 0, 1, 300, 301].map(|seconds| at.saturating_add(seconds));
    for now in near.into_iter().chain([NOW / 1000, i64::MIN, 0, i64::MAX]) {
        let result = claim.verify(&both, body, now);
        let age = i128::from(now) - i128::from(at);
        let is_fresh = age.abs() <= i128::from(TOLERANCE_SECONDS);
        match &result {
            Ok(message) => assert!(is_signed && is_fresh && message.as_str() == id),
            Err(SignatureError::WrongSignature) => assert!(!is_signed, "a right signature is not accepted"),
            Err(SignatureError::TooOld { .. }) => assert!(is_signed && !is_fresh && age > 0),
            Err(SignatureError::TooNew { .. }) => assert!(is_signed && !is_fresh && age < 0),
            Err(other) => panic!("{other} is known before"),
        }
        if let Err(error) = &result {
            assert_tells_nothing(error, code);
        }
        assert_eq!(claim.has_fresh_timestamp(now), is_fresh);
        assert_eq!(standard.verify(&both, body, now), result, "the headers' names make no difference");
        assert_eq!(claim.verify(&newest, body, now).is_ok(), is_signed_newly && is_fresh, "only the secrets given");
    }
    nothing_else_is_signed(&id, at, &signatures, body, &both);
}

/// A signature is not valid for a webhook that differs in anything.
fn nothing_else_is_signed(id: &str, at: i64, signatures: &str, body: &[u8], secrets: &SigningSecrets) {
    let (more, other_id, other_at) = ([body, b" "].concat(), format!("{id}x"), at ^ 1);
    let less = body.get(1..).unwrap_or(b"was empty");
    for (id, at, body) in
        [(id, at, more.as_slice()), (id, at, less), (other_id.as_str(), at, body), (id, other_at, body)]
    {
        let timestamp = at.to_string();
        let claim = claim("svix", id, &timestamp, signatures).expect("as well-formed as before");
        assert_eq!(claim.verify(secrets, body, at), Err(SignatureError::WrongSignature));
    }
}

/// Any text is a secret or not. A secret is the same with its prefix, without it, and with space around it.
fn secrets_read_alike(text: &str) {
    let Ok(secret) = text.parse::<SigningSecret>() else {
        let _ = text.parse::<SigningSecrets>();
        return;
    };
    let trimmed = text.trim();
    let bare = trimmed.strip_prefix("whsec_").unwrap_or(trimmed);
    let again: SigningSecret = format!("\twhsec_{bare} ").parse().expect("a secret with its prefix is one");
    assert_eq!(secret.sign("msg", 1, b"{}"), again.sign("msg", 1, b"{}"));
    assert_eq!(format!("{secret:?}"), "SigningSecret(redacted)");
}

fn claim<'a>(
    prefix: &str,
    id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
) -> Result<SignedHeaders<'a>, SignatureError> {
    SignedHeaders::from_headers(|name| match name.strip_prefix(prefix)? {
        "-id" => Some(id),
        "-timestamp" => Some(timestamp),
        "-signature" => Some(signatures),
        _ => None,
    })
}

fn assert_tells_nothing(error: &SignatureError, code: &str) {
    assert!(!error.to_string().contains(code) && !format!("{error:?}").contains(code));
}
