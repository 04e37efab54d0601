//! Tests of parsing events, with malformed and unusual ones.

use proptest::prelude::*;

use super::*;

fn event(data: &str) -> String {
    format!(r#"{{"created_at":"2026-11-20T10:00:00.000Z","data":{data},"type":"email.bounced"}}"#)
}

fn read(body: &str) -> Event<'_> {
    Event::read(body.as_bytes()).unwrap()
}

fn recipient(text: &str) -> Recipient {
    Recipient::parse(text).unwrap()
}

#[test]
fn only_type_and_data_are_needed() {
    let event = read(r#"{"data":{},"type":"email.sent"}"#);
    assert_eq!(event.event_type(), Some(EventType::EmailSent));
    assert_eq!(event.at(), None);
    assert_eq!(event.resource_id(), None);
    assert_eq!(event.recipients(), EventRecipients::None);
    assert!(event.tags().is_empty());
    assert!(event.diagnostics().is_empty());
}

#[test]
fn what_is_no_event_says_why() {
    let why = |body: &[u8]| Event::read(body).unwrap_err();
    assert_eq!(why(b"\xff\xfe"), EventError::NotUtf8);
    for body in ["", "null", "[]", "42", "{", r#"{"type":"a","data":{}} x"#] {
        assert_eq!(why(body.as_bytes()), EventError::NotAnObject, "{body}");
    }
    for body in ["{}", r#"{"type":null,"data":{}}"#, r#"{"type":7,"data":{}}"#] {
        assert_eq!(why(body.as_bytes()), EventError::NoType, "{body}");
    }
    for body in
        [r#"{"type":"a"}"#, r#"{"type":"a","data":null}"#, r#"{"type":"a","data":[]}"#, r#"{"type":"a","data":"{}"}"#]
    {
        assert_eq!(why(body.as_bytes()), EventError::NoData, "{body}");
    }
}

#[test]
fn a_field_of_another_type_counts_as_missing() {
    for odd in ["null", "7", "true", "[]", "{}", "[[]]", r#"["x",null]"#, "1e999", r#""\ud800""#] {
        let body = event(&format!(
            r#"{{"email_id":{odd},"to":{odd},"tags":{odd},"bounce":{odd},"created_at":{odd},"subject":{odd},"email":{odd}}}"#
        ));
        let event = read(&body);
        assert_eq!(event.email_id(), None, "{odd}");
        assert_eq!(event.recipients(), EventRecipients::None, "{odd}");
        assert_eq!(event.bounce(), Bounce::default(), "{odd}");
        assert_eq!(event.resource_created_at(), None, "{odd}");
        assert!(event.tags().is_empty(), "{odd}");
    }
}

#[test]
fn a_field_that_nobody_reads_may_hold_anything() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = event(&format!(r#"{{"email_id":"e1","headers":{deep},"subject":"\ud800","n":1e999}}"#));
    assert_eq!(read(&body).email_id().as_deref(), Some("e1"));
}

#[test]
fn keys_may_come_twice_or_escaped_and_the_last_one_counts() {
    let event = read(r#"{"type":"x","d\u0061ta":{"email_id":"e1","email_id":"e2"},"type":"email.sent"}"#);
    assert_eq!(event.type_text(), "email.sent");
    assert_eq!(event.email_id().as_deref(), Some("e2"));
}

#[test]
fn tags_are_read_in_both_forms() {
    let expected =
        BTreeMap::from([("campaign".to_owned(), "spring".to_owned()), ("kind".to_owned(), "news".to_owned())]);
    let object = event(r#"{"tags":{"campaign":"spring","kind":"news","odd":7}}"#);
    let array =
        event(r#"{"tags":[{"name":"campaign","value":"spring"},{"value":"news","name":"kind"},{"name":"odd"},3]}"#);
    assert_eq!(read(&object).tags(), expected);
    assert_eq!(read(&array).tags(), expected);
}

#[test]
fn diagnostics_are_read_in_both_forms() {
    let array = event(r#"{"bounce":{"diagnosticCode":["550 a","551 b",null,7]}}"#);
    let string = event(r#"{"bounce":{"diagnosticCode":"550 a"}}"#);
    let suppressed = event(r#"{"suppressed":{"diagnosticCode":["552 c"]}}"#);
    assert_eq!(read(&array).diagnostics(), ["550 a", "551 b"]);
    assert_eq!(read(&string).diagnostics(), ["550 a"]);
    assert_eq!(read(&suppressed).diagnostics(), ["552 c"]);
}

#[test]
fn the_same_address_twice_is_one_addressee() {
    let body = event(r#"{"to":["Ann <ann@example.com>","ANN@example.com"]}"#);
    assert_eq!(read(&body).recipients(), EventRecipients::One(recipient("ann@example.com")));
    let body = event(r#"{"to":"ann@example.com"}"#);
    assert_eq!(read(&body).recipients(), EventRecipients::One(recipient("ann@example.com")));
}

#[test]
fn an_invalid_address_still_counts_as_a_recipient() {
    for other in ["null", "7", r#""not an address""#] {
        let body = event(&format!(r#"{{"to":["ann@example.com",{other}]}}"#));
        assert_eq!(read(&body).recipients(), EventRecipients::Many(vec![recipient("ann@example.com")]), "{other}");
    }
}

#[test]
fn each_kind_of_resource_has_its_own_id() {
    let data = r#"{"email_id":"e","thread_id":"t","draft_id":"d","inbox_id":"i","id":"x"}"#;
    for (type_text, id) in [
        ("email.sent", "e"),
        ("email.not_known_yet", "e"),
        ("inbox.email.received", "e"),
        ("inbox.thread.created", "t"),
        ("inbox.thread.labels.updated", "t"),
        ("inbox.draft.sent", "d"),
        ("inbox.created", "i"),
    ] {
        let body = format!(r#"{{"type":"{type_text}","data":{data}}}"#);
        assert_eq!(read(&body).resource_id().as_deref(), Some(id), "{type_text}");
    }
    for type_text in ["contact.created", "domain.updated", "topic.deleted", "suppression.added", "new.kind"] {
        let body = format!(r#"{{"type":"{type_text}","data":{{"id":"x"}}}}"#);
        assert_eq!(read(&body).resource_id().as_deref(), Some("x"), "{type_text}");
    }
}

/// Reads every field of an event.
fn read_all_of(event: &Event<'_>) {
    let _ =
        (event.event_type(), event.at(), event.email_id(), event.resource_created_at(), event.subject(), event.from());
    let _ = (event.recipients(), event.tags(), event.bounce(), event.diagnostics(), event.suppression_reason());
    let _ = (event.address(), event.unsubscribed(), event.origin(), event.source_email_id(), event.resource_id());
}

/// Any JSON value, often with known names and texts in it.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let words = "(\\PC{0,12}|Permanent|ann@example\\.com|2026-11-20T10:00:00Z|bounce|\\u{0}|<a@b>|@)";
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        words.prop_map(Into::into),
    ];
    let names = prop::sample::select(vec![
        "to",
        "tags",
        "bounce",
        "type",
        "subType",
        "diagnosticCode",
        "email",
        "email_id",
        "unsubscribed",
        "name",
        "value",
        "x",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        let fields = prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner.clone(), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Into::into),
            fields.prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The body of any event: a known type, and any data.
pub(crate) fn any_body() -> impl Strategy<Value = (EventType, String)> {
    let field = "(to|tags|bounce|suppressed|email|email_id|id|unsubscribed|origin|created_at)";
    let data = prop::collection::btree_map(field, any_json(), 0..8);
    (prop::sample::select(EventType::ALL), data).prop_map(|(event_type, data)| {
        (event_type, serde_json::json!({ "type": event_type.as_str(), "data": data }).to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_reading_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(event) = Event::read(&body) {
            read_all_of(&event);
        }
    }

    #[test]
    fn any_data_object_is_an_event_and_reading_never_panics(
        (event_type, body) in any_body(),
    ) {
        let event = Event::read(body.as_bytes()).expect("type and data are there");
        prop_assert_eq!(event.event_type(), Some(event_type));
        read_all_of(&event);
    }
}
