//! Topics that a recipient opted out of: for each topic, the newest opt-out and the newest opt-in.

use std::collections::BTreeMap;

use super::{ChangeStamp, move_forward};
use crate::resend::event::Subscription;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// Maximum length of a topic's id, in bytes; Resend's ids have 36. A topic with a longer id is left out.
pub const MAX_TOPIC_ID: usize = 64;

/// Maximum number of topics of one recipient. With ids of webhooks of up to 256 bytes, they are at most 310 KB of the 400
/// KB that an item may have
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>). Of more topics, those whose
/// ids come first in byte order are kept: a choice by time would depend on the order of the webhooks.
pub const MAX_TOPICS: usize = 500;

/// A change of a recipient's subscription to a topic, by one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChange {
    /// Id of the topic at Resend.
    pub topic: String,
    /// Time of the change: the event's own time, but never later than its receipt.
    pub at: UnixMillis,
    /// Id of the webhook; it orders changes of equal time.
    pub message: MessageId,
    /// The subscription after the change.
    pub subscription: Subscription,
}

/// State of one topic of a recipient: the newest opt-out and the newest opt-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// The newest opt-out.
    pub opted_out: Option<ChangeStamp>,
    /// The newest opt-in.
    pub opted_in: Option<ChangeStamp>,
}

impl TopicState {
    /// Returns true if the recipient opted out of the topic. At equal times, the opt-out wins.
    pub fn is_out(&self) -> bool {
        match (&self.opted_out, &self.opted_in) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(opted_out), Some(opted_in)) => opted_out.at >= opted_in.at,
        }
    }
}

/// Merges a change into the topics of a recipient. Merging in any order, or twice, gives the same result.
pub(super) fn merge(topics: &mut BTreeMap<String, TopicState>, change: &TopicChange) {
    let stamp = ChangeStamp { at: change.at, message: change.message.clone() };
    let state = topics.entry(change.topic.clone()).or_default();
    match change.subscription {
        Subscription::OptOut => move_forward(&mut state.opted_out, stamp),
        Subscription::OptIn => move_forward(&mut state.opted_in, stamp),
    }
    while topics.len() > MAX_TOPICS {
        topics.pop_last();
    }
}
