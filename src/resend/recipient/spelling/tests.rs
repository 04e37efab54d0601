//! The table of spellings, and properties of any text.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Spelling {
    written: serde_json::Value,
    key: Option<String>,
    why: String,
}

#[test]
fn every_spelling_of_the_table_has_its_key() {
    let table: Vec<Spelling> = serde_json::from_str(include_str!("../../../../tests/spellings.json")).unwrap();
    assert_eq!(table.len(), 143);
    for Spelling { written, key: expected, why } in table {
        let written = written.as_str().unwrap();
        assert_eq!(key(written), expected, "{written:?}: {why}");
        if let Some(expected) = expected {
            assert_eq!(key(&expected).as_ref(), Some(&expected), "the key of a key is itself: {expected:?}");
        }
    }
}

#[test]
fn spellings_beside_the_table_have_one_key_too() {
    for (written, expected) in [
        (" mailto:ann@example.com?subject=x", Some("ann@example.com")),
        ("Ann <mailto:Ann@example.com?cc=b@c.example>", Some("ann@example.com")),
        ("\u{2066}Ann@B\u{fc}cher.example\u{2069}.", Some("ann@xn--bcher-kva.example")),
        ("\"*\"@example.com", Some("\"*\"@example.com")),
        ("\"a\"b\"@example.com", Some("\"a\"b\"@example.com")),
        ("ann@b\u{fc}%.example", None),
        ("ann@example.com:25", None),
        ("\"\\\"@example.com", None),
        ("(((ann@example.com", None),
    ] {
        assert_eq!(key(written).as_deref(), expected, "{written:?}");
    }
    assert_eq!(key(&format!("{}<ann@example.com>", " ".repeat(4096))), None, "longer than the limit");
    assert_eq!(key(&format!("{}<ann@example.com>", " ".repeat(4000))).as_deref(), Some("ann@example.com"));
}

#[test]
fn a_domain_has_the_form_that_people_read() {
    assert_eq!(readable_domain("xn--bcher-kva.example").as_deref(), Some("bücher.example"));
    for other in ["example.com", "xn--a.example", "xn--0.example", "xn--.example", "[127.0.0.1]"] {
        assert_eq!(readable_domain(other), None, "{other}");
    }
}

/// Texts in which characters with special rules are as likely as all others.
fn texts() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        "[a-zA-Z0-9]{1,3}",
        "[ -~]",
        Just("@".to_owned()),
        Just(".".to_owned()),
        Just("xn--".to_owned()),
        "[\u{200b}-\u{200f}\u{ad}\u{feff}\u{85}\u{a0}\u{3000}\u{2028}\t\r\n]",
        "[ΣσςİıßẞüŸἂㅎ한ᄒ\u{301}\u{308}\u{338}。．＠（）＜＞ﬁ💩ﷺ]",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(odd, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_key_of_a_key_is_itself(local in texts(), domain in texts()) {
        if let Some(first) = key(&format!("{local}@{domain}")) {
            prop_assert!((3..=MAX_KEY).contains(&first.len()));
            prop_assert_eq!(key(&first), Some(first));
        }
    }

    #[test]
    fn a_plain_address_has_the_key_of_the_full_rule(
        text in prop_oneof![texts(), "[!-~]{0,12}@[!-~]{0,12}", "[a-zA-Z*'+.]{0,4}@[a-zA-Z0-9_.-]{0,8}"],
    ) {
        if let Some(plain) = plain_key(&text) {
            prop_assert_eq!(key_of_folded(&fold(&text)), Some(plain));
        }
    }

    #[test]
    fn case_and_what_cannot_be_seen_change_nothing(
        local in "[a-z0-9+_-]{1,8}", domain in "[a-zäöüéßø]{1,8}\\.[a-z]{2,4}", hidden in "[\u{200b}\u{ad}\u{feff}\u{2060}\u{202a}]",
    ) {
        let address = format!("{local}@{domain}");
        let expected = key(&address);
        prop_assert!(expected.is_some());
        prop_assert_eq!(&key(&address.replace('ß', "ẞ").to_uppercase()), &expected);
        prop_assert_eq!(&key(&format!(" {hidden}{local}{hidden}@{domain}.{hidden} ")), &expected);
    }

    #[test]
    fn the_readable_form_of_a_domain_gives_the_same_key(domain in texts()) {
        if let Some(first) = key(&format!("ann@{domain}")) {
            let domain = first.trim_start_matches("ann@");
            if let Some(readable) = readable_domain(domain) {
                prop_assert_eq!(key(&format!("ann@{readable}")), Some(first.clone()));
            }
        }
    }
}
