//! Parsing: the event from its verified body, and the request from Lambda's event.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use rebound::aws::edge::Envelope;
use rebound::resend::event::Event;
use serde_json::json;

use crate::deliveries::{SIZES, event_of};

/// The samples to measure: the most frequent events, and those with the most content.
const SAMPLES: [(&str, &str); 6] = [
    ("delivered", include_str!("../../../events/email.delivered.json")),
    ("bounced", include_str!("../../../events/email.bounced.json")),
    ("clicked", include_str!("../../../events/email.clicked.json")),
    ("complained", include_str!("../../../events/email.complained.json")),
    ("delayed", include_str!("../../../events/email.delivery_delayed.json")),
    ("received", include_str!("../../../events/email.received.json")),
];

/// The body of a sample.
pub(crate) fn sample(name: &str) -> &'static str {
    SAMPLES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Parses the event without reading any field.
#[divan::bench(args = SAMPLES.map(|(name, _)| name))]
fn read(bencher: Bencher<'_, '_>, name: &str) {
    let body = sample(name).as_bytes();
    bencher.counter(BytesCount::new(body.len())).bench_local(|| Event::read(black_box(body)).is_ok());
}

/// Parses the event, and reads the fields that `receive` needs for its row.
#[divan::bench(args = SAMPLES.map(|(name, _)| name))]
fn read_and_ask(bencher: Bencher<'_, '_>, name: &str) {
    let body = sample(name).as_bytes();
    bencher.counter(BytesCount::new(body.len())).bench_local(|| {
        let event = Event::read(black_box(body)).unwrap();
        (event.event_type(), event.at(), event.resource_id(), event.recipients())
    });
}

/// Parses an event, by size.
#[divan::bench(args = SIZES)]
fn read_of_size(bencher: Bencher<'_, '_>, size: usize) {
    let body = event_of(size);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| Event::read(black_box(body.as_bytes())).is_ok());
}

/// Parses a request in Lambda's format, by the size of its body.
#[divan::bench(args = SIZES)]
fn request_of_size(bencher: Bencher<'_, '_>, size: usize) {
    let headers = json!({ "svix-id": "msg_2mXq0vJtq8zW0sJg5bq7nUe4fYH", "svix-timestamp": "1763629207",
        "svix-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "content-type": "application/json" });
    let request = json!({ "version": "2.0", "requestContext": { "http": { "method": "POST", "path": "/" } },
        "headers": headers, "body": event_of(size), "isBase64Encoded": false });
    let text = request.to_string();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| serde_json::from_str::<Envelope>(black_box(&text)).map(Envelope::into_request).is_ok());
}
