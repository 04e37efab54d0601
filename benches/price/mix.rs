//! The everyday mix, in the shape of a campaign: 38 % sent, 37 % delivered, 20 % opens and clicks, 1 % with
//! suppressions, 4 % others.

use std::collections::BTreeMap;
use std::time::Duration;

use rebound::policy::suppression::{SuppressionEffect, suppression_effect};
use rebound::resend::campaign::Campaign;
use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use rebound_dev::simulate::scenario::{Scenario, SimulatedWebhook};
use serde_json::Value;

use crate::BoxError;

/// The campaign.
pub(crate) const CAMPAIGN: &str = "everyday";

/// Share of opens and clicks. A campaign with link scanners has slightly more.
const ENGAGED: f64 = 0.20;

/// Share of webhooks with suppressions. A scenario has slightly fewer.
const SUPPRESSING: f64 = 0.01;

/// Share of all events that the mix does not name.
const OTHER: f64 = 0.04;

/// Class of a webhook in the mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MixClass {
    Sent,
    Delivered,
    Engaged,
    Suppressing,
    Other,
}

impl MixClass {
    pub(crate) const ALL: [Self; 5] = [Self::Sent, Self::Delivered, Self::Engaged, Self::Suppressing, Self::Other];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Engaged => "opens and clicks",
            Self::Suppressing => "suppressing",
            Self::Other => "others",
        }
    }

    fn of(message: &SimulatedWebhook) -> Self {
        match message.event.split('#').next() {
            Some("email.sent") => Self::Sent,
            Some("email.delivered") => Self::Delivered,
            Some("email.opened" | "email.clicked") => Self::Engaged,
            _ if suppresses(message) => Self::Suppressing,
            _ => Self::Other,
        }
    }
}

fn suppresses(message: &SimulatedWebhook) -> bool {
    let Ok(event) = Event::read(&message.body) else { return false };
    let id = MessageId::from_verified(message.id.clone());
    matches!(suppression_effect(&event, &id, message.arrives_at), SuppressionEffect::Changes(changes) if !changes.is_empty())
}

/// The webhooks, in the order of their arrival.
pub(crate) struct Mix {
    pub(crate) messages: Vec<SimulatedWebhook>,
    pub(crate) emails: usize,
    pub(crate) counts: BTreeMap<MixClass, usize>,
}

impl Mix {
    /// Creates at least this number of webhooks.
    pub(crate) fn new(seed: u64, events: usize) -> Result<Self, BoxError> {
        let scenario = Scenario {
            seed,
            campaign: Campaign::new(CAMPAIGN).ok_or("no campaign")?,
            emails: u32::MAX,
            until: UnixMillis::now(),
            span: Duration::from_secs(3_600),
            scanners: true,
            nulls: false,
            unknown: false,
            unreadable: false,
            retold: false,
        };
        let mut mix = Self { messages: Vec::with_capacity(events), emails: 0, counts: BTreeMap::new() };
        for number in 0.. {
            let email = scenario.email(number);
            let classes: Vec<MixClass> = email.messages.iter().map(MixClass::of).collect();
            let has = |class| classes.contains(&class);
            // Skipped: an email with opens and clicks while there are too many of them; and, while too few have
            // suppressions, an email with no special event.
            let is_one_too_many = has(MixClass::Engaged) && mix.share(MixClass::Engaged) > ENGAGED;
            let is_plain = !has(MixClass::Engaged) && !has(MixClass::Suppressing);
            let waits =
                is_plain && mix.share(MixClass::Suppressing) < SUPPRESSING && mix.share(MixClass::Engaged) < ENGAGED;
            if is_one_too_many || waits {
                continue;
            }
            mix.emails += 1;
            if let Some(sent) = email.messages.iter().find(|message| MixClass::of(message) == MixClass::Sent)
                && mix.share(MixClass::Other) < OTHER
            {
                mix.add(scheduled(sent)?);
            }
            for message in email.messages {
                mix.add(message);
            }
            if mix.messages.len() >= events {
                break;
            }
        }
        mix.messages.sort_by_key(|message| message.arrives_at);
        Ok(mix)
    }

    fn add(&mut self, message: SimulatedWebhook) {
        *self.counts.entry(MixClass::of(&message)).or_default() += 1;
        self.messages.push(message);
    }

    /// Share of a class in all webhooks, from 0 to 1.
    pub(crate) fn share(&self, class: MixClass) -> f64 {
        let count = self.counts.get(&class).copied().unwrap_or(0);
        if self.messages.is_empty() { 0.0 } else { count as f64 / self.messages.len() as f64 }
    }
}

/// Creates the webhook that the email was scheduled, a minute before it was sent.
fn scheduled(sent: &SimulatedWebhook) -> Result<SimulatedWebhook, BoxError> {
    let mut body: Value = serde_json::from_slice(&sent.body)?;
    let at = sent.arrives_at.minus(Duration::from_secs(60));
    for (place, value) in [("/type", "email.scheduled".to_owned()), ("/created_at", at.to_text())] {
        *body.pointer_mut(place).ok_or("the story's webhook lacks a field")? = value.into();
    }
    let id = format!("{}s", sent.id);
    Ok(SimulatedWebhook {
        event: format!("email.scheduled#{id}"),
        id,
        partition: sent.partition.clone(),
        body: body.to_string().into_bytes(),
        stored: sent.stored,
        arrives_at: at,
    })
}
