//! One queue, in memory: what is visible, in flight, delayed, or dead.

use std::time::Duration;

use tokio::time::Instant;

use crate::local::uuid;
use crate::time::UnixMillis;

/// How many messages of a queue are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting to be received.
    pub visible: usize,
    /// Received, and neither deleted nor back.
    pub not_visible: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) redrive: Option<Redrive>,
    /// Every body ever sent to it.
    pub(super) sent: Vec<String>,
    messages: Vec<Message>,
}

/// Where messages go that were received so often, and came back each time.
#[derive(Clone, Debug)]
pub(super) struct Redrive {
    pub(super) dead_letters: String,
    pub(super) max_receive_count: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) sent_at: UnixMillis,
    pub(super) first_received_at: UnixMillis,
    pub(super) receives: usize,
    visible_at: Instant,
}

/// What a receipt handle stands for: one receive of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt<'a> {
    id: &'a str,
    receive: usize,
}

impl<'a> Receipt<'a> {
    pub(super) fn parse(handle: &'a str) -> Option<Self> {
        let (id, receive) = handle.split_once('.')?;
        Some(Self { id, receive: receive.parse().ok()? })
    }

    fn is_of(self, message: &Message) -> bool {
        self.id == message.id && self.receive == message.receives
    }
}

/// Why a message's visibility can't be changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotChanged {
    Gone,
    NotInFlight,
}

impl Message {
    pub(super) fn receipt_handle(&self) -> String {
        format!("{}.{}", self.id, self.receives)
    }
}

impl Queue {
    /// Puts a message in, and answers its id.
    pub(super) fn send(&mut self, body: String, delay: Duration) -> String {
        let (id, now) = (uuid(), UnixMillis::now());
        self.sent.push(body.clone());
        self.messages.push(Message {
            id: id.clone(),
            body,
            sent_at: now,
            first_received_at: now,
            receives: 0,
            visible_at: Instant::now() + delay,
        });
        id
    }

    /// Puts a dead letter in, which stays the message that it was.
    pub(super) fn take_in(&mut self, message: Message) {
        self.sent.push(message.body.clone());
        self.messages.push(message);
    }

    /// Takes out what was received as often as it may be, and is back.
    pub(super) fn dead_letters(&mut self) -> Vec<Message> {
        let Some(redrive) = &self.redrive else { return Vec::new() };
        let now = Instant::now();
        let is_dead =
            |message: &mut Message| message.visible_at <= now && message.receives >= redrive.max_receive_count;
        self.messages.extract_if(.., is_dead).collect()
    }

    /// The oldest that are visible; for so long nobody else gets them.
    pub(super) fn receive(&mut self, at_most: usize, timeout: Duration) -> Vec<Message> {
        let now = Instant::now();
        let visible = self.messages.iter_mut().filter(|message| message.visible_at <= now).take(at_most);
        let received = visible.map(|message| {
            if message.receives == 0 {
                message.first_received_at = UnixMillis::now();
            }
            message.receives += 1;
            message.visible_at = now + timeout;
            message.clone()
        });
        received.collect()
    }

    /// Deletes a message. One that is gone, or was received again since, is left as it is:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>.
    pub(super) fn delete(&mut self, receipt: Receipt<'_>) {
        self.messages.retain(|message| !receipt.is_of(message));
    }

    /// Lets a message in flight be back so much after now.
    pub(super) fn change_visibility(&mut self, receipt: Receipt<'_>, timeout: Duration) -> Result<(), NotChanged> {
        let now = Instant::now();
        let message = self.messages.iter_mut().find(|message| receipt.is_of(message)).ok_or(NotChanged::Gone)?;
        if message.visible_at <= now {
            return Err(NotChanged::NotInFlight);
        }
        message.visible_at = now + timeout;
        Ok(())
    }

    pub(super) fn counts(&self) -> Counts {
        let now = Instant::now();
        let mut counts = Counts::default();
        for message in &self.messages {
            match message {
                message if message.visible_at <= now => counts.visible += 1,
                Message { receives: 0, .. } => counts.delayed += 1,
                Message { .. } => counts.not_visible += 1,
            }
        }
        counts
    }
}
