//! Properties of an event's row.

use super::*;

const META: RowMeta = RowMeta { received_at: UnixMillis(1_795_390_873_456), retention_days: 90 };

fn message(id: &str) -> MessageId {
    MessageId::from_verified(id)
}

fn row_of(id: &str, body: &str) -> Result<Row, RowError> {
    let event = Event::read(body.as_bytes()).unwrap();
    Row::event(&event, &message(id), body.as_bytes(), META)
}

fn key(row: &Row) -> (String, String) {
    let part = |name: &str| row.0[name].as_s().unwrap().clone();
    (part("email_id"), part("event"))
}

/// Frozen. A webhook is retried for a day and replayed for a month. If a later version made its key in another way, it
/// would be stored, counted and processed twice. Never change an expectation here; add cases.
#[test]
fn the_key_of_a_message_never_changes() {
    let id = "msg_2xKbqF0Zr8dGm5uQWcVYhT3nLpA";
    let long = "m".repeat(257);
    let golden: &[(&str, &str, &str, &str)] = &[
        (
            id,
            r#"{"type":"email.sent","data":{"email_id":"e-1","id":"x"}}"#,
            "e-1",
            "email.sent#msg_2xKbqF0Zr8dGm5uQWcVYhT3nLpA",
        ),
        (
            id,
            r#"{"type":"email.bounced","data":{"email_id":" E 1 "}}"#,
            " E 1 ",
            "email.bounced#msg_2xKbqF0Zr8dGm5uQWcVYhT3nLpA",
        ),
        ("m", r#"{"type":"email.sent","data":{"email_id":""}}"#, "message#m", "email.sent#m"),
        ("m", r#"{"type":"email.sent","data":{"email_id":7}}"#, "message#m", "email.sent#m"),
        ("m", r#"{"type":"email.sent","data":{"email_id":null,"id":"x"}}"#, "message#m", "email.sent#m"),
        ("m", r#"{"type":"email.brand_new","data":{"email_id":"e"}}"#, "e", "email.brand_new#m"),
        ("m", r#"{"type":"contact.updated","data":{"id":"c"}}"#, "c", "contact.updated#m"),
        (
            "m",
            r#"{"type":"contact.topics.updated","data":{"email":"a@x.io"}}"#,
            "message#m",
            "contact.topics.updated#m",
        ),
        ("m", r#"{"type":"domain.updated","data":{"id":"d"}}"#, "d", "domain.updated#m"),
        ("m", r#"{"type":"suppression.added","data":{"id":"s","source_id":"e"}}"#, "s", "suppression.added#m"),
        ("m", r#"{"type":"inbox.created","data":{"inbox_id":"i","inbox":{"id":"j"}}}"#, "i", "inbox.created#m"),
        (
            "m",
            r#"{"type":"inbox.thread.created","data":{"email_id":"e","thread_id":"t","inbox_id":"i"}}"#,
            "t",
            "inbox.thread.created#m",
        ),
        ("m", r#"{"type":"inbox.email.sent","data":{"email_id":"e","thread_id":"t"}}"#, "e", "inbox.email.sent#m"),
        ("m", r#"{"type":"inbox.draft.sent","data":{"draft_id":"d","thread_id":"t"}}"#, "d", "inbox.draft.sent#m"),
        ("m", r#"{"type":"brand.new","data":{"id":"n"}}"#, "n", "brand.new#m"),
        ("m", r#"{"type":"","data":{}}"#, "message#m", "#m"),
    ];
    for (id, body, partition, sort) in golden {
        assert_eq!(key(&row_of(id, body).unwrap()), ((*partition).to_owned(), (*sort).to_owned()), "{body}");
    }
    let hashed = "message#sha256-b5dfbe8fdc77374db6516c5c76eefcffe9c84199306e4b95dca628db02fdc7e0";
    let (partition, sort) = key(&row_of(&long, r#"{"type":"email.sent","data":{}}"#).unwrap());
    assert_eq!(partition, hashed);
    assert_eq!(sort, hashed.replace("message#", "email.sent#"));
    let quarantined = Row::quarantine(&message("m"), b"", "why", META);
    assert_eq!(key(&quarantined), ("message#m".to_owned(), "quarantine#m".to_owned()));
}

#[test]
fn a_resource_id_too_long_for_a_key_is_not_used() {
    let body = format!(r#"{{"type":"email.sent","data":{{"email_id":"{}"}}}}"#, "e".repeat(257));
    assert_eq!(key(&row_of("m", &body).unwrap()).0, "message#m");
}

#[test]
fn a_type_too_long_for_a_key_cannot_be_stored_as_an_event() {
    let body = |length: usize| format!(r#"{{"type":"{}","data":{{}}}}"#, "t".repeat(length));
    assert_eq!(row_of("m", &body(1023)), Err(RowError::TypeTooLong));
    assert!(row_of("m", &body(1022)).is_ok());
}

#[test]
fn every_sample_fits_one_write_unit_and_keeps_every_byte() {
    let mut samples = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/events")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = std::fs::read(&path).unwrap();
        let event = Event::read(&body).unwrap();
        let row = Row::event(&event, &message("msg_2xKbqF0Zr8dGm5uQWcVYhT3nLpA"), &body, META).unwrap();
        println!("{:4} of {WRITE_UNIT} bytes: {}", row.size(), event.type_text());
        assert!(row.size() <= WRITE_UNIT, "{} takes {} bytes", path.display(), row.size());
        assert_eq!(payload(row.item()).unwrap().as_ref(), body, "{}", path.display());
        samples += 1;
    }
    assert_eq!(samples, 37);
}

/// Random letters and digits of a given length: zlib shrinks them by a quarter.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.alphanumeric() as u8).collect()
}

fn quarantined(body: &[u8]) -> Row {
    Row::quarantine(&message("m"), body, "why", META)
}

#[test]
fn a_payload_is_text_while_that_costs_no_more() {
    for (length, is_text) in [(0, true), (500, true), (800, true), (1_800, true), (2_000, false)] {
        let row = quarantined(&noise(length));
        assert_eq!(row.item()["payload"].is_s(), is_text, "{length} bytes that shrink by a quarter");
    }
    assert!(quarantined(&[b'a'; 2_000]).item()["payload"].is_b(), "compressing this saves a unit");
    assert!(quarantined(b"\xff\xfe").item()["payload"].is_b(), "this is not text");
}

#[test]
fn every_body_comes_back_byte_for_byte() {
    for body in [&b""[..], b"{}", b"\xff\x00\xfe", "\u{feff} ü \r\n\t".as_bytes(), &[b'a'; 100_000], &noise(300_000)] {
        assert_eq!(payload(quarantined(body).item()).unwrap().as_ref(), body);
    }
}

#[test]
fn a_body_too_large_for_an_item_leaves_its_head_and_its_hash() {
    let body = noise(1024 * 1024);
    let row = quarantined(&body);
    assert!(row.size() <= MAX_ITEM);
    assert_eq!(payload(row.item()).unwrap().as_ref(), &body[..HEAD_BYTES]);
    assert_eq!(row.item()["payload_bytes"].as_n().unwrap(), "1048576");
    assert_eq!(*row.item()["payload_sha256"].as_s().unwrap(), hex::encode(Sha256::digest(&body)));
    let text = String::from_utf8(body).unwrap();
    assert_eq!(row_of("m", &format!(r#"{{"type":"email.sent","data":{{"x":"{text}"}}}}"#)), Err(RowError::TooLarge));
}
