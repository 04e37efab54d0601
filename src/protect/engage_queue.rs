//! Opens and clicks, sent to the queue of `engage`.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::record::{BatchRecord, MAX_CONCURRENT, ParsedEvent, pending};
use super::run::{Activity, ProtectRun};
use crate::aws::breaker::Breaker;
use crate::aws::queue::{BATCH, EngageMessage, Queue};
use crate::policy::counting::Counter;

/// Sends opens and clicks to `engage`.
pub(super) struct EngageQueue<'a> {
    pub(super) queue: &'a Queue,
    /// The queue's breaker: after a failed call, no other call is made in this run.
    pub(super) breaker: Breaker,
    pub(super) run: ProtectRun<'a>,
}

impl EngageQueue<'_> {
    /// Sends the opens and clicks of a batch.
    pub(super) async fn enqueue(&self, batch: &[BatchRecord<'_>]) {
        let engagements: Vec<(&BatchRecord<'_>, EngageMessage)> =
            pending(batch).filter_map(|(record, event)| Some((record, engagement(event)?))).collect();
        let sends: Vec<BoxFuture<'_, ()>> = engagements.chunks(BATCH).map(|some| self.send(some).boxed()).collect();
        stream::iter(sends).buffer_unordered(MAX_CONCURRENT).collect::<Vec<()>>().await;
    }

    async fn send(&self, some: &[(&BatchRecord<'_>, EngageMessage)]) {
        let messages: Vec<EngageMessage> = some.iter().map(|(_, engagement)| engagement.clone()).collect();
        match self.breaker.call(self.queue.send(&messages, self.run.deadline)).await {
            Ok(()) => self.run.did.add(Activity::SentToEngage { number: messages.len() }),
            Err(error) => some.iter().for_each(|(record, _)| record.fail(&error)),
        }
    }
}

fn engagement(parsed: &ParsedEvent<'_>) -> Option<EngageMessage> {
    let counter = Counter::for_event(parsed.event.as_ref()?);
    let row = parsed.row;
    matches!(counter, Some(Counter::Opened | Counter::Clicked))
        .then(|| EngageMessage { email_id: row.received.partition.clone(), event: row.event.clone() })
}
