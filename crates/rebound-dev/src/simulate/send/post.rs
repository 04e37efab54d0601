//! One request, and its answer.

use std::time::{Duration, Instant};

use rebound::time::UnixMillis;
use reqwest::Client;
use serde_json::Value;

use super::SendOptions;
use crate::simulate::chaos::{Request, signed};
use crate::simulate::scenario::SimulatedWebhook;

/// One answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) took: Duration,
}

impl Answered {
    /// Returns true if it asks to send the message again.
    pub(super) fn is_later(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Posts a message; `None`, if there is no answer.
pub(super) async fn post(
    request: &Request,
    message: &SimulatedWebhook,
    options: &SendOptions,
    client: &Client,
) -> Option<Answered> {
    // Each time it is signed afresh.
    let (signed, method) = signed(request, message, &options.chaos, &options.secret, UnixMillis::now());
    let posted = Instant::now();
    let answer = signed.request(client, method, &options.url).send().await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Answered { status, body, took: posted.elapsed() })
}
