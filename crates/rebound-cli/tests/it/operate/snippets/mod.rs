//! The code that README and docs/reading-the-list.md give to other programs, in each language, unchanged, run on the service of
//! `make dev`, with the variables of its file and no others.

mod cases;
mod links;
mod programs;
mod spelling;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use rebound::store::Item;
use rebound::time::UnixMillis;
use serde_json::{Value, json};
use sha2::Sha256;

use self::programs::{Code, Program};
use super::Dev;

/// Which of the languages have to be there, by their names: `python ts go`. The others are skipped, and that is said.
const REQUIRED: &str = "REQUIRE_SNIPPETS";

const KEY: [u8; 32] = [7; 32];

/// A recipient for each thing that a reader has to check, and the answer: before anybody is erased, and after.
fn everybody() -> Vec<(&'static str, Option<Item>, [bool; 2])> {
    let later = |ms: i64| AttributeValue::N((UnixMillis::now().0 + ms).to_string());
    let with = |reasons: &[&str], until: Option<AttributeValue>| {
        let mut item = Item::from([("version".to_owned(), AttributeValue::N("1".to_owned()))]);
        if let Some(until) = &until {
            let map =
                |reason: &&str| ((*reason).to_owned(), AttributeValue::M([("until".to_owned(), until.clone())].into()));
            item.extend(reasons.iter().map(map));
        }
        if !reasons.is_empty() {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        item.extend(until.map(|until| ("until".to_owned(), until)));
        Some(item)
    };
    vec![
        ("nobody@example.com", None, [true, true]),
        ("complained@example.com", with(&["complaint"], None), [false, false]),
        (" Complained@Example.COM\n", None, [false, false]),
        ("both@example.com", with(&["hard_bounce", "unsubscribed"], None), [false, false]),
        ("expired@example.com", with(&["soft_bounce"], Some(later(-1_000))), [true, true]),
        ("expiring@example.com", with(&["soft_bounce"], Some(later(3_600_000))), [false, false]),
        ("lifted@example.com", with(&[], None), [true, true]),
        ("forgotten@example.com", None, [true, false]),
        ("Forgotten@example.com", None, [true, false]),
        ("ann@xn--bcher-kva.example", with(&["complaint"], None), [false, false]),
        ("complained@example.com.", None, [false, false]),
        ("\u{feff}complained@example.com", None, [false, false]),
        ("Ann <ann@bücher.example>", None, [false, false]),
        ("ann@bu\u{308}cher.example", None, [false, false]),
        ("nobody at example.com", None, [false, false]),
        ("*@example.com", None, [false, false]),
    ]
}

/// Recipients in spellings that only the whole rule reads, and the answers.
const WHOLE: [(&str, [bool; 2]); 4] = [
    ("bob@bücher.example", [true, true]),
    ("nobody@example.com.", [true, true]),
    ("\u{feff}Nobody <nobody@example.com>", [true, true]),
    ("Forgotten@example.com.", [true, false]),
];

async fn put(dev: &Dev, recipient: &str, item: Item) {
    let place = dev.place().await;
    let put = place.aws().dynamodb().put_item().table_name("rebound-suppressions").set_item(Some(item));
    put.item("recipient", AttributeValue::S(recipient.to_owned())).send().await.unwrap();
}

/// The variables that a program gets: `env $(grep ^AWS_ .local/dev.env) python3 program.py`.
fn of_aws(dev: &Dev) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = dev.variables().into_iter().collect();
    variables.retain(|(name, _)| name.starts_with("AWS_"));
    // The shell takes the words apart.
    assert!(variables.iter().all(|(_, value)| !value.contains(char::is_whitespace)), "{variables:?}");
    variables
}

/// The programs of the languages whose runtime and packages are here. The others are skipped, and that is said.
///
/// # Panics
/// One of the others is required.
async fn programs(code: Code) -> Vec<(&'static str, Program)> {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    let all = [
        ("python", programs::python(code).await),
        ("ts", programs::typescript(code).await),
        ("go", programs::go(code).await),
    ];
    let mut here = Vec::new();
    for (language, program) in all {
        match program {
            Some(program) => here.push((language, program)),
            None => {
                let is_required = required.split_whitespace().any(|name| name == language);
                assert!(!is_required, "{REQUIRED} names {language}, and its runtime or a package is not here");
                eprintln!(
                    "skipped: {code:?} in {language}, whose runtime or packages are not here; `make lint` installs most"
                );
            }
        }
    }
    here
}

/// A program's answer about each address.
async fn may_send_to(dev: &Dev, program: &Program, addresses: &[&str]) -> Vec<bool> {
    let questions: Vec<Value> = addresses.iter().map(|address| json!({ "address": address })).collect();
    ask_may(dev, program, &questions).await
}

/// A program's answer to each question: `address`, and, where it is not as usual, `transactional`, `topic` and `now`.
async fn ask_may(dev: &Dev, program: &Program, questions: &[Value]) -> Vec<bool> {
    let answers = program.answers("may", &of_aws(dev), &json!(questions).to_string()).await;
    answers.iter().map(|answer| answer.as_bool().unwrap()).collect()
}

#[tokio::test]
async fn readmes_code_reads_the_brake() {
    let dev = Dev::start().await;
    let place = dev.place().await;
    for (campaign, volume) in [("spring", "0.25"), ("paused", "0")] {
        let put = place.aws().dynamodb().put_item().table_name("rebound-campaigns");
        let put = put.item("campaign", AttributeValue::S(campaign.to_owned()));
        let put = put.item("cohort", AttributeValue::S("state".to_owned()));
        put.item("volume", AttributeValue::N(volume.to_owned())).send().await.unwrap();
    }
    let Some(program) = programs::brake_in_python().await else {
        assert!(!std::env::var(REQUIRED).unwrap_or_default().contains("python"), "boto3 is not here");
        return eprintln!("skipped: there is no Python with boto3; `make lint` installs it");
    };
    let variables = of_aws(&dev);
    let volumes = program.answers("volume", &variables, r#"["spring", "paused", "unknown"]"#).await;
    assert_eq!(volumes, [0.25, 0.0, 1.0]);
    let may = program.answers("send", &variables, r#"["paused", "unknown"]"#).await;
    assert_eq!(may, [false, true]);
}

#[tokio::test]
async fn the_pages_code_answers_as_the_list_says() {
    let dev = Dev::start().await;
    for (recipient, item, _) in everybody() {
        if let Some(item) = item {
            put(&dev, recipient, item).await;
        }
    }
    let (short, whole) = (programs(Code::Page).await, programs(Code::PageWithFile).await);
    for (forgotten, when) in ["before anybody was forgotten", "after somebody was forgotten"].into_iter().enumerate() {
        if forgotten == 1 {
            forget(&dev).await;
        }
        let everybody = everybody();
        let addresses: Vec<&str> =
            everybody.iter().map(|(address, ..)| *address).chain(WHOLE.map(|(address, _)| address)).collect();
        let known: Vec<bool> = everybody.iter().map(|(.., may)| may[forgotten]).collect();
        for (language, program) in &short {
            let expected = [&known[..], &WHOLE.map(|_| false)].concat();
            assert_eq!(may_send_to(&dev, program, &addresses).await, expected, "{language}, {when}");
        }
        for (language, program) in &whole {
            let expected = [&known[..], &WHOLE.map(|(_, may)| may[forgotten])].concat();
            assert_eq!(may_send_to(&dev, program, &addresses).await, expected, "{language} with the file, {when}");
        }
    }
}

#[test]
fn readme_has_the_pages_python() {
    let [readme, page] = programs::pythons_of_both_pages();
    assert_eq!(readme, page);
}

/// As `rebound forget` leaves it.
async fn forget(dev: &Dev) {
    put(dev, "#forgotten-key", Item::from([("key".to_owned(), AttributeValue::B(Blob::new(KEY)))])).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(b"forgotten@example.com");
    let hash = hex::encode(mac.finalize().into_bytes());
    let reasons = AttributeValue::Ss(vec!["opted_out".to_owned()]);
    // Nothing that the item holds besides can end it.
    let until = AttributeValue::N("1".to_owned());
    let item = Item::from([("reasons".to_owned(), reasons), ("until".to_owned(), until)]);
    put(dev, &format!("forgotten#{hash}"), item).await;
}
