//! Event bodies: the input is the body of a webhook with a valid signature.
//!
//! An input that begins with the byte FF, which is never in text, represents a large body: the next byte times 2 KiB,
//! filled with the rest of the input, or, without a rest, with incompressible bytes.

use rebound::policy::counting::{DedupKey, EventMeta, increments};
use rebound::policy::suppression::{ItemChange, SuppressionEffect, suppression_effect};
use rebound::resend::campaign::CampaignTags;
use rebound::resend::event::Event;
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::store::Item;
use rebound::store::row::{Row, RowMeta, item_size, payload};
use rebound::store::suppressions::SuppressionItem;
use rebound::time::UnixMillis;

use super::{NOW, string, text};

/// DynamoDB's limits (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
const MAX_ITEM: usize = 400 * 1024;
const MAX_PARTITION_KEY: usize = 2048;
const MAX_SORT_KEY: usize = 1024;

const STAMP: RowMeta = RowMeta { received_at: UnixMillis(NOW), retention_days: 90 };

/// Every body has a row that DynamoDB can hold, with the body byte for byte (or, if that is impossible, its head and
/// hash), and always the same row. Its suppressions and counts can be stored too.
pub fn run(bytes: &[u8]) {
    let short = MessageId::from_verified("msg_2Lh9KRb0pzN4LePd3XiA4v12Axj");
    if let [0xFF, pages, rest @ ..] = bytes {
        stored(&repeated(usize::from(*pages) * 2048, rest), &short);
        return;
    }
    let long = MessageId::from_verified(text(bytes.get(..2_000).unwrap_or(bytes)) + "x");
    for message in [short, long] {
        assert_eq!(stored(bytes, &message), stored(bytes, &message), "the same message is the same row");
    }
}

/// The row of a body, as `receive` chooses it.
fn stored(body: &[u8], message: &MessageId) -> Row {
    let event = match Event::read(body) {
        Ok(event) => event,
        Err(unreadable) => return quarantined(body, message, &unreadable.to_string()),
    };
    assert!(std::str::from_utf8(body).is_ok_and(|text| text.trim_start().starts_with('{')));
    everything_reads(&event);
    what_follows_can_be_stored(&event, message);
    match Row::event(&event, message, body, STAMP) {
        Ok(row) => {
            let (partition, sort) = keys(row.item());
            assert!(sort.starts_with(&format!("{}#", event.type_text())));
            assert!(event.resource_id().is_some_and(|id| id == partition) || partition.starts_with("message#"));
            assert_eq!(string(row.item(), "kind"), "event");
            assert_eq!(payload(row.item()).as_deref(), Some(body), "to the byte");
            row
        }
        Err(unstorable) => {
            let is_large = body.len() > MAX_ITEM / 2 || event.type_text().len() > MAX_SORT_KEY / 2;
            assert!(is_large, "{unstorable}");
            quarantined(body, message, &unstorable.to_string())
        }
    }
}

fn quarantined(body: &[u8], message: &MessageId, problem: &str) -> Row {
    let row = Row::quarantine(message, body, problem, STAMP);
    let item = row.item();
    let (partition, sort) = keys(item);
    assert!(partition.starts_with("message#") && sort.starts_with("quarantine#"));
    assert_eq!((string(item, "kind"), string(item, "problem")), ("quarantine", problem));
    let kept = payload(item).expect("the body is kept");
    match item.get("payload_bytes") {
        None => assert_eq!(kept, body, "to the byte"),
        Some(length) => {
            assert!(body.len() > MAX_ITEM / 2, "it would have fitted");
            assert!(body.starts_with(&kept) && kept.len() >= 4096, "its head");
            assert_eq!(length.as_n().map(String::as_str), Ok(body.len().to_string().as_str()), "its length");
            assert_eq!(string(item, "payload_sha256").len(), 64, "its hash");
        }
    }
    row
}

/// The keys of an item, which DynamoDB accepts, as it accepts the item.
fn keys(item: &Item) -> (&str, &str) {
    let (partition, sort) = (string(item, "email_id"), string(item, "event"));
    assert!((1..=MAX_PARTITION_KEY).contains(&partition.len()), "a partition key of {}", partition.len());
    assert!((1..=MAX_SORT_KEY).contains(&sort.len()), "a sort key of {}", sort.len());
    assert!(item_size(item) <= MAX_ITEM, "an item of {}", item_size(item));
    (partition, sort)
}

/// Each field can be read, or is missing.
fn everything_reads(event: &Event<'_>) {
    let times = [event.at(), event.resource_created_at(), event.open_or_click().at];
    // For a year before 0, which no email has, the text has a sign that cannot be parsed.
    let is_read_again = |at: UnixMillis| at.0 < 0 || UnixMillis::parse(&at.to_text()) == Some(at);
    assert!(times.into_iter().flatten().all(is_read_again));
    let texts = [
        event.email_id(),
        event.subject(),
        event.from_text(),
        event.failure_reason(),
        event.broadcast_id(),
        event.template_id(),
        event.resource_name(),
        event.resource_status(),
        event.origin(),
        event.source_email_id(),
        event.resource_id(),
        event.bounce().message,
        event.suppression_reason(),
    ];
    assert!(texts.into_iter().flatten().all(|text| !text.is_empty()), "what is empty is not there");
    let _ = (event.tags(), event.diagnostics(), event.unsubscribed(), event.recipients());
}

/// Suppressions and counts keep DynamoDB's limits too: they are stored in one transaction with the row.
fn what_follows_can_be_stored(event: &Event<'_>, message: &MessageId) {
    let protection = suppression_effect(event, message, STAMP.received_at);
    if let SuppressionEffect::Changes(changes) = &protection {
        for (recipient, changes) in changes {
            suppression_can_be_stored(recipient, changes);
        }
    }
    let partition = event.resource_id().filter(|id| id.len() <= 256).unwrap_or_else(|| "message#m".to_owned());
    let received =
        EventMeta { message: message.clone(), partition, at: STAMP.received_at, expires_at: UnixMillis(NOW) };
    for count in increments(event, &received, &protection, &CampaignTags::new(None)) {
        assert!((1..=256).contains(&count.campaign.as_str().len()));
        assert!(count.cohort.start() <= received.at);
        if let DedupKey::Occurrence { key, .. } = count.dedup_key {
            assert!(key.len() <= MAX_SORT_KEY, "a key of {}", key.len());
        }
    }
}

fn suppression_can_be_stored(recipient: &Recipient, changes: &[ItemChange]) {
    assert!(!changes.is_empty());
    let Some(stored) = SuppressionItem::default().merged(changes) else { panic!("what is new changes something") };
    let size = item_size(&stored.to_item(recipient));
    // A hundred of them, each this large, are one transaction of at most 4 MB; and they are read before every email.
    let most = changes.iter().map(|change| match change {
        ItemChange::Reason(change) => change.message.as_str().len(),
        // A recipient has at most 500 topics, and an event of topics is about one recipient.
        ItemChange::Topic(change) => change.topic.len() + change.message.as_str().len() + 64,
    });
    let most = 2048 + most.sum::<usize>();
    assert!(size <= most, "a suppression of {size} bytes");
    assert!(stored.merged(changes).is_none(), "the same again changes nothing");
}

/// Repeats these bytes to the given length.
fn repeated(length: usize, bytes: &[u8]) -> Vec<u8> {
    if !bytes.is_empty() {
        return bytes.iter().copied().cycle().take(length).collect();
    }
    // Marsaglia's xorshift: zlib must not be able to compress it.
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}
