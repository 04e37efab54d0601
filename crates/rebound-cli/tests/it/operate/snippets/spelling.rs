//! One spelling of an address in four languages: docs/spelling gives the key that Rust gives, and the page's short form gives it or none.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rebound::resend::recipient::Recipient;
use serde_json::{Value, json};

use super::programs;
use super::programs::Code;

const TABLE: &str = include_str!("../../../../../../tests/spellings.json");

/// No variables: they are for AWS, which is not asked.
const NOTHING: &[(&str, String)] = &[];

/// Texts for each language, in number.
const GENERATED: usize = 6_000;

fn table() -> Vec<(String, Value)> {
    let table: Vec<Value> = serde_json::from_str(TABLE).unwrap();
    table.iter().map(|row| (row["written"].as_str().unwrap().to_owned(), row["key"].clone())).collect()
}

fn key(text: &str) -> Value {
    json!(Recipient::parse(text).as_ref().map(Recipient::as_str))
}

/// Addresses, and what is nearly one. Characters are those that Unicode 13 has, as runtimes differ in what is newer.
fn texts() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        4 => "[a-zA-Z0-9]{1,3}",
        2 => "[ -~]",
        1 => "[@.]",
        1 => prop::sample::select(vec!["xn--", "mailto:", "MAILTO:", "*", "\"", "(", ")", "<", ">", "\\", "?", "…", "。", "一", "ㅤ"]).prop_map(String::from),
        1 => "[\u{200b}-\u{200f}\u{ad}\u{feff}\u{85}\u{a0}\u{1680}\u{3000}\u{2028}\u{2029}\t-\r\u{1c}-\u{1f}\0\u{7f}]",
        1 => "[ΣσςİIıßẞüŸἂὈᾳㅎ한ᄒ\u{301}\u{308}\u{338}\u{345}．＠（）＜＞ﬁKÅǅ💩👩ﷺ¨´\u{fffd}]",
        1 => "[\u{80}-\u{24f}\u{370}-\u{52f}\u{5d0}-\u{5ea}\u{620}-\u{64a}\u{1f00}-\u{206f}\u{2100}-\u{214f}\u{ac00}-\u{d7a3}\u{ff00}-\u{ffef}\u{1d400}-\u{1d7ff}]",
    ];
    let part = prop::collection::vec(odd, 0..9).prop_map(|parts| parts.concat());
    prop_oneof![
        6 => (part.clone(), part.clone()).prop_map(|(local, domain)| format!("{local}@{domain}")),
        1 => (part.clone(), part.clone()).prop_map(|(name, local)| format!("{name} <{local}@example.com>")),
        1 => (part.clone(), part).prop_map(|(local, end)| format!("\"{local}\"@bücher.example{end}")),
        2 => "[a-zA-Z*'+.!?`/^|-]{0,5}@[a-zA-Z0-9_.-]{0,8}",
        1 => "[ \t\u{b}\r\n\u{1f}\u{a0}\u{feff}]{0,2}[A-Za-z]{1,3}@[A-Z]{1,3}\\.com[ \t\u{c}\r\n\u{1c}\u{85}\u{2028}.]{0,2}",
        1 => "[!-~]{0,9}@[!-~]{0,9}",
    ]
}

/// Both ends of each range of what can't be seen, and their neighbours, in both parts of an address.
fn around_the_invisible() -> Vec<String> {
    let ranges: Vec<_> = CodePointSetData::new::<DefaultIgnorableCodePoint>().iter_ranges().collect();
    let ends = ranges.iter().flat_map(|range| [range.start() - 1, *range.start(), *range.end(), range.end() + 1]);
    let ends: Vec<char> = ends.filter_map(char::from_u32).collect();
    ends.iter().flat_map(|c| [format!("a{c}b@example.com"), format!("ann@é{c}ó.example")]).collect()
}

/// Where lengths are bounded, on both sides of the bound; and depth, which costs time.
fn bounds() -> Vec<String> {
    let around = |n: usize, make: &dyn Fn(usize) -> String| [make(n - 1), make(n), make(n + 1)];
    [
        around(4096 - 17, &|n| format!("{}<ann@example.com>", " ".repeat(n))),
        around((4096 - 14) / 2, &|n| format!("{}ann@example.com", "ü".repeat(n))),
        around(320 - 12, &|n| format!("{}@example.com", "a".repeat(n))),
        around(320 - 4, &|n| format!("ann@{}", "a".repeat(n))),
        around((320 - 12) / 2, &|n| format!("{}@example.com", "é".repeat(n))),
        around(1_500, &|n| format!("ann@{}", "한".repeat(n / 3))),
        around(2_000, &|n| format!("{}{}ann@example.com", "(".repeat(n), ")".repeat(2_000))),
    ]
    .concat()
}

fn all_texts() -> Vec<(String, Value)> {
    let mut runner = TestRunner::deterministic();
    let texts = texts();
    let generated = (0..GENERATED).map(|_| texts.new_tree(&mut runner).unwrap().current());
    let made = generated.chain(around_the_invisible()).chain(bounds());
    table().into_iter().chain(made.map(|text| (text.clone(), key(&text)))).collect()
}

/// A JSON array of the texts, before which are two that Rust can't hold: half an emoji in an address, and in a name.
fn question(texts: &[(String, Value)]) -> String {
    let texts = serde_json::to_string(&texts.iter().map(|(text, _)| text).collect::<Vec<_>>()).unwrap();
    texts.replacen('[', r#"["ann\ud83d@example.com","\ud83d <ann@example.com>","#, 1)
}

#[tokio::test]
async fn the_files_to_copy_spell_every_text_as_rust_does() {
    let texts = all_texts();
    let keys = texts.iter().filter(|(_, key)| key.is_string()).count();
    assert!(keys > GENERATED / 5 && keys < GENERATED * 4 / 5, "both kinds, in number: {keys}");
    for (language, program) in super::programs(Code::File).await {
        let answers = program.answers("spell", NOTHING, &question(&texts)).await;
        assert_eq!(answers.len(), texts.len() + 2, "{language}");
        assert_eq!(answers[..2], [Value::Null, json!("ann@example.com")], "{language}: half an emoji");
        for ((text, key), answer) in texts.iter().zip(&answers[2..]) {
            assert_eq!(answer, key, "{language}: {text:?}");
        }
    }
}

#[tokio::test]
async fn the_short_form_spells_as_the_whole_rule_or_refuses() {
    let mut texts = all_texts();
    texts
        .push(("Ann.O'Neill+x/y=z@my_host.Example.com\r\n".to_owned(), json!("ann.o'neill+x/y=z@my_host.example.com")));
    for (language, program) in super::programs(Code::Page).await {
        let region = [("AWS_DEFAULT_REGION", "eu-west-1".to_owned())];
        let answers = program.answers("spell", &region, &question(&texts)).await;
        assert_eq!(answers.len(), texts.len() + 2, "{language}");
        assert_eq!(answers[..2], [Value::Null, Value::Null], "{language}: half an emoji");
        for ((text, key), answer) in texts.iter().zip(&answers[2..]) {
            assert!(answer == key || answer.is_null(), "{language}: {text:?} is {key}, and not {answer}");
        }
        assert_eq!(answers.last(), texts.last().map(|(_, key)| key), "{language}");
        assert!(answers.iter().filter(|answer| answer.is_string()).count() > GENERATED / 50, "{language}");
    }
}

#[tokio::test]
async fn a_letter_with_more_than_thirty_accents_is_a_no_in_go() {
    let written = format!("a{}@example.com", "\u{301}".repeat(40));
    let in_domain = format!("ann@a{}.example", "\u{301}".repeat(40));
    if let Some(program) = programs::go(Code::File).await {
        let answers = program.answers("spell", NOTHING, &json!([written, in_domain]).to_string()).await;
        assert_eq!(answers, [Value::Null, Value::Null]);
    }
}
