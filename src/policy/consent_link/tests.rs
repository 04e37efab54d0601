use proptest::prelude::*;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
const EMAIL_ID: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";
const TOKEN: &str = "YW5uQGV4YW1wbGUuY29t.MGI2ZjNkNTItN2ExZS00YzU1LTljMWQtMmY2ZjZmMGE3YzEx.pyDopnch-c-F9tm3lREURQ";

fn keys(text: &str) -> ConsentKeys {
    text.parse().unwrap()
}

fn link(address: &str, email_id: &str) -> ConsentLink {
    let email_id = Some(email_id.to_owned()).filter(|id| !id.is_empty());
    ConsentLink { recipient: Recipient::parse(address).unwrap(), email_id }
}

fn verify(token: &str, key: &str) -> Result<ConsentLink, InvalidToken> {
    SignedLink::read(token)?.verify(ConsentPurpose::OptOut, &keys(key))
}

fn sign(link: &ConsentLink) -> String {
    link.sign(ConsentPurpose::OptOut, &keys(KEY)).unwrap().as_str().to_owned()
}

#[test]
fn the_known_answer_is_frozen() {
    let ann = link("ann@example.com", EMAIL_ID);
    assert_eq!(sign(&ann), TOKEN);
    assert_eq!(verify(TOKEN, KEY), Ok(ann));
}

#[test]
fn a_link_without_an_email_id_holds() {
    let ann = link("ann@example.com", "");
    let token = sign(&ann);
    assert_eq!(token.split('.').nth(1), Some(""));
    assert_eq!(verify(&token, KEY), Ok(ann));
}

#[test]
fn the_first_key_signs_and_every_key_verifies() {
    let both = format!("{OTHER_KEY}  {KEY}");
    let ann = link("ann@example.com", EMAIL_ID);
    let by_first = ann.sign(ConsentPurpose::OptOut, &keys(&both)).unwrap();
    assert_eq!(verify(by_first.as_str(), OTHER_KEY), Ok(ann.clone()));
    assert_eq!(verify(by_first.as_str(), KEY), Err(InvalidToken::UnknownKey));
    assert_eq!(verify(TOKEN, &both), Ok(ann));
}

#[test]
fn keys_that_are_missing_or_short_are_refused_with_advice() {
    let error = |text: &str| text.parse::<ConsentKeys>().unwrap_err();
    assert_eq!(error(" \n"), ConsentKeyError::Empty);
    assert_eq!(error(KEY.get(1..).unwrap()), ConsentKeyError::Short(31));
    assert_eq!(error(&format!("{KEY} short")), ConsentKeyError::Short(5));
    assert!(error("short").to_string().contains("openssl rand -hex 32"));
    assert!("\u{fc}".repeat(32).parse::<ConsentKeys>().is_ok(), "characters are counted");
}

#[test]
fn nothing_secret_is_printed() {
    let token = link("ann@example.com", "").sign(ConsentPurpose::OptOut, &keys(KEY)).unwrap();
    let printed = format!("{:?} {token:?} {:?}", keys(KEY), link("ann@example.com", ""));
    assert_eq!(printed, "ConsentKeys(\u{2026}) ConsentToken(\u{2026}) ConsentLink(\u{2026})");
}

#[test]
fn a_token_for_another_purpose_does_not_hold() {
    let other = signed_token(&keys(KEY), "f", "ann@example.com", EMAIL_ID);
    assert_eq!(verify(&other, KEY), Err(InvalidToken::UnknownKey));
}

#[test]
fn an_address_that_was_signed_unspelled_still_holds() {
    let token = signed_token(&keys(KEY), "u", "Ann Lee <Ann@B\u{fc}cher.Example>", "");
    assert_eq!(verify(&token, KEY), Ok(link("ann@xn--bcher-kva.example", "")));
    for not_an_address in ["", "ann", "ann@", "a b@example.com", "#forgotten-key", "forgotten#61b5"] {
        let token = signed_token(&keys(KEY), "u", not_an_address, "");
        assert_eq!(verify(&token, KEY), Err(InvalidToken::NotAnAddress), "{not_an_address}");
    }
}

#[test]
fn a_signature_is_for_one_border_between_address_and_email_id() {
    let signed = signed_token(&keys(KEY), "u", "ann@example.com", "x@example.com\ny");
    let moved = signed_token(&keys(KEY), "u", "ann@example.com\nx@example.com", "y");
    assert_eq!(signed.rsplit('.').next(), moved.rsplit('.').next(), "the signed text is the same");
    assert!(verify(&signed, KEY).is_ok());
    assert_eq!(verify(&moved, KEY), Err(InvalidToken::Malformed));
}

#[test]
fn a_token_has_exactly_three_canonical_parts() {
    let [address, email_id, mac]: [&str; 3] = TOKEN.split('.').collect::<Vec<_>>().try_into().unwrap();
    for wrong in [
        String::new(),
        "..".to_owned(),
        format!("{address}.{email_id}"),
        format!("{TOKEN}."),
        format!(".{TOKEN}"),
        format!("{address}.{email_id}.{mac}.{mac}"),
        format!("{address}.{email_id}."),
        format!("{address}.{email_id}.{}", mac.get(..20).unwrap()),
        format!("{address}=.{email_id}.{mac}"),
        format!("{address}.{email_id}.{mac}=="),
        format!("{TOKEN}\n"),
        format!(" {TOKEN}"),
        TOKEN.replace('.', "%2E"),
        // The last character of 16 bytes has 4 bits that say nothing.
        format!("{address}.{email_id}.{}R", mac.get(..21).unwrap()),
        format!("{address}.{email_id}.{}", mac.replace('-', "+")),
        "a".repeat(MAX_TOKEN_CHARS + 1),
    ] {
        assert_eq!(verify(&wrong, KEY), Err(InvalidToken::Malformed), "{wrong}");
    }
}

#[test]
fn a_token_of_700_characters_is_made_and_read_and_none_longer() {
    let longest = (0..700)
        .rev()
        .find(|length| link("ann@example.com", &"x".repeat(*length)).sign(ConsentPurpose::OptOut, &keys(KEY)).is_ok());
    let longest = link("ann@example.com", &"x".repeat(longest.unwrap()));
    let token = sign(&longest);
    assert!((698..=700).contains(&token.len()), "{}", token.len());
    assert_eq!(verify(&token, KEY), Ok(longest));
    let error = link("ann@example.com", &"x".repeat(700)).sign(ConsentPurpose::OptOut, &keys(KEY)).unwrap_err();
    assert_eq!(error, TokenTooLong(20 + 1 + 934 + 1 + 22));
    let by_others = signed_token(&keys(KEY), "u", "ann@example.com", &"x".repeat(700));
    assert_eq!(verify(&by_others, KEY), Err(InvalidToken::Malformed));
}

#[test]
fn the_headers_are_those_of_one_click_unsubscription() {
    let url: ConsentUrl = "https://mail.example.com/".parse().unwrap();
    let token = link("ann@example.com", EMAIL_ID).sign(ConsentPurpose::OptOut, &keys(KEY)).unwrap();
    let link = url.link(ConsentPurpose::OptOut, &token);
    assert_eq!(link, format!("https://mail.example.com/u/{TOKEN}"));
    let expected =
        [("List-Unsubscribe", format!("<{link}>")), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned())];
    assert_eq!(unsubscribe_headers(&link), expected);
}

#[test]
fn the_origin_of_links_is_https_without_a_path() {
    for (text, origin) in [
        ("https://mail.example.com", "https://mail.example.com"),
        (" https://Mail.Example.com// ", "https://mail.example.com"),
        ("https://abc.lambda-url.eu-west-1.on.aws/", "https://abc.lambda-url.eu-west-1.on.aws"),
        ("https://mail.example.com:8443", "https://mail.example.com:8443"),
        ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("http://localhost:9001/", "http://localhost:9001"),
        ("http://[::1]:9001", "http://[::1]:9001"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(text.parse::<ConsentUrl>().map(|url| url.to_string()), Ok(origin.to_owned()), "{text}");
    }
    for text in [
        "",
        "mail.example.com",
        "https://",
        "https:///u",
        "http://mail.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://mail.example.com",
        "https://mail.example.com/links",
        "https://mail.example.com?x=1",
        "https://mail.example.com/?x=1",
        "https://mail.example.com#x",
        "https://ann@mail.example.com",
        "https://mail.example.com:",
        "https://mail.example.com:0",
        "https://mail.example.com:99999",
        "https://mail..example.com",
        "https://b\u{fc}cher.example",
        "https://mail.example.com\nx",
        "https://[::1",
        "https://[mail]",
        "https://mail example.com",
        "https://https://mail.example.com",
    ] {
        assert_eq!(text.parse::<ConsentUrl>(), Err(ConsentUrlError), "{text}");
    }
}

/// Characters of a token, and some that a mail client or a proxy may put in.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        proptest::char::range('A', 'z'),
        proptest::char::range('0', '9'),
        Just('.'),
        Just('='),
        Just('%'),
        any::<char>()
    ]
}

proptest! {
    #[test]
    fn what_was_signed_reads_back(local in "[a-z0-9.+'_-]{1,40}", domain in "[a-z0-9-]{1,30}", email_id in "\\PC{0,60}") {
        let Some(recipient) = Recipient::parse(&format!("{local}@{domain}.example")) else { return Ok(()) };
        let signed = ConsentLink { recipient, email_id: Some(email_id).filter(|id| !id.is_empty()) };
        let token = sign(&signed);
        prop_assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')));
        prop_assert_eq!(verify(&token, KEY), Ok(signed));
        prop_assert_eq!(verify(&token, OTHER_KEY), Err(InvalidToken::UnknownKey));
    }

    #[test]
    fn no_changed_token_holds(at in 0..TOKEN.len(), put in character(), kind in 0..4) {
        let (before, after) = TOKEN.split_at(at);
        let rest = after.get(1..).unwrap();
        let changed = match kind {
            0 => format!("{before}{put}{rest}"),
            1 => format!("{before}{put}{after}"),
            2 => format!("{before}{rest}"),
            _ => before.to_owned(),
        };
        prop_assume!(changed != TOKEN);
        prop_assert!(verify(&changed, KEY).is_err());
    }

    #[test]
    fn a_part_of_another_token_does_not_hold(part in 0..3_usize, address in "[a-z]{1,8}@example\\.com", email_id in "[a-z]{0,8}") {
        let other = sign(&link(&address, &email_id));
        let swapped: Vec<&str> = TOKEN.split('.').enumerate()
            .map(|(index, own)| if index == part { other.split('.').nth(part).unwrap() } else { own })
            .collect();
        let swapped = swapped.join(".");
        prop_assume!(swapped != TOKEN);
        prop_assert_eq!(verify(&swapped, KEY), Err(InvalidToken::UnknownKey));
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,900}") {
        prop_assert!(verify(&text, KEY).is_err());
        let _ = text.parse::<ConsentUrl>();
    }
}
