//! Unsubscribe links: an address, an email's id and a token, each on a line of the input, and the text of a
//! `CONSENT_URL`.
//!
//! On the third line, `{good}` is replaced by the valid token, and `{address}`, `{email}` and `{mac}` by its parts; `{old}`
//! by the token that another key signs. So some inputs are accepted, although no fuzzer could guess a signature.

use rebound::policy::consent_link::{
    ConsentKeys, ConsentLink, ConsentPurpose, ConsentUrl, InvalidToken, MAX_TOKEN_CHARS, SignedLink,
};
use rebound::resend::recipient::Recipient;

use super::{lines, text};

const KEY: &str = "the-key-of-the-fuzzers-0123456789ab";
const OLD_KEY: &str = "the-old-key-of-the-fuzzers-0123456";

/// A token holds if and only if one of the keys has signed exactly this text, and what is read is what was signed. No
/// error contains the valid signature. A `CONSENT_URL` that is accepted is an origin, and reads as itself.
pub fn run(bytes: &[u8]) {
    let [address, email_id, token, url] = lines(bytes);
    url_is_an_origin(&text(url));
    let (email_id, mut token) = (text(email_id), text(token));
    let (both, new) = (keys(&format!("{KEY} {OLD_KEY}")), keys(KEY));
    let signed = Recipient::parse(&text(address)).map(|recipient| {
        let email_id = Some(email_id).filter(|id| !id.is_empty());
        ConsentLink { recipient, email_id }
    });
    let token_of = |keys: &ConsentKeys| {
        let token = signed.as_ref()?.sign(ConsentPurpose::OptOut, keys).ok()?;
        Some(token.as_str().to_owned())
    };
    let (good, old) = (token_of(&new), token_of(&keys(OLD_KEY)));
    if let (Some(good), Some(old)) = (&good, &old) {
        let mut parts = good.split('.').map(str::to_owned);
        for place in ["{address}", "{email}", "{mac}"] {
            token = token.replace(place, &parts.next().expect("a token has three parts"));
        }
        token = token.replace("{good}", good).replace("{old}", old);
    }

    let read = SignedLink::read(&token);
    assert!(read.is_err() || token.len() <= MAX_TOKEN_CHARS, "a long token is read");
    let result = read.and_then(|read| read.verify(ConsentPurpose::OptOut, &both));
    let is_good = good.as_ref() == Some(&token);
    match &result {
        Ok(link) => {
            assert!(is_good || old.as_ref() == Some(&token), "a token holds that nobody signed");
            assert_eq!(Some(link), signed.as_ref(), "what is read is what was signed");
        }
        Err(InvalidToken::NotAnAddress) => panic!("nobody signed anything but an address"),
        Err(_) => assert!(!is_good && old.as_ref() != Some(&token), "a right token does not hold"),
    }
    let by_new = SignedLink::read(&token).and_then(|read| read.verify(ConsentPurpose::OptOut, &new));
    assert_eq!(by_new.is_ok(), is_good, "another key's token holds");
}

fn keys(text: &str) -> ConsentKeys {
    text.parse().expect("the keys are good")
}

fn url_is_an_origin(url: &str) {
    let Ok(read) = url.parse::<ConsentUrl>() else { return };
    let again: ConsentUrl = read.as_str().parse().expect("what is read reads");
    assert_eq!(again, read);
    let host = read.as_str().split_once("://").expect("it has a scheme").1;
    assert!(!host.is_empty() && !host.contains(['/', '?', '#', '@', '\\', ' ', '%']), "it is more than an origin");
    assert!(host.is_ascii() && !host.contains(char::is_control));
}
