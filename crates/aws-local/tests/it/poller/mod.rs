//! A queue's messages, delivered to a function as Lambda's event source mappings do.

mod batches;
mod failures;
mod function;

use std::time::Duration;

use aws_local::poller::{Poller, PollerOptions};
use aws_local::sqs::{LocalSqs, TimeScale};
use aws_sdk_sqs::Client;

use self::function::{Function, body, idle, numbered, receives, records, reporting, send};
use crate::sqs::client;
use crate::support::any_port;

const QUEUE: &str = "work";

/// An SQS stub with short times, and a queue in it.
struct PollerQueue {
    sqs: LocalSqs,
    client: Client,
    url: String,
}

impl PollerQueue {
    /// Starts it with this visibility timeout.
    async fn start(visibility: Duration) -> Self {
        let sqs = LocalSqs::start(any_port(), Duration::ZERO).await.unwrap();
        sqs.set_time_scale(TimeScale::between(Duration::from_secs(90), Duration::ZERO).with_min_visibility(visibility));
        let (client, url) = (client(sqs.url()), sqs.queue_url(QUEUE));
        Self { sqs, client, url }
    }

    async fn send(&self, bodies: impl IntoIterator<Item = String>) {
        send(&self.client, &self.url, bodies).await;
    }

    async fn poll(&self, options: PollerOptions, function: &Function) -> Poller {
        Poller::start(self.client.clone(), &self.url, options, function.invoke()).await.unwrap()
    }
}

/// Long enough that no message becomes visible again during a test.
const NEVER: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(400);
