//! Who it was: the verdict about one open or click, from its email's own timeline, and whether anything is to be decided.

use std::collections::BTreeSet;

use super::{Work, facts};
use crate::campaign::Campaign;
use crate::decision::FOLLOWUP_TAG;
use crate::event::{Addressees, Event, EventType};
use crate::policy::answer::Token;
use crate::policy::followup::{Answer, Decidable, may_be_decided};
use crate::policy::rules::Engaged;
use crate::policy::verdict::{Action, History, Judgement, Seen, Verdict, judge};
use crate::queue::{Delivery, Engagement};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::store::calls::Trouble;
use crate::store::decisions::{Decided, Happening, verdict_key};
use crate::store::{Item, as_number, row, string};
use crate::time::{UnixMillis, days, hours};

/// How long what is made of an event is kept that does not say how long it stays itself.
const KEPT_DAYS: u32 = 90;

/// How many opens and clicks of one email are weighed, the latest. More than a few hundred are machines'.
const MOST_SEEN: usize = 300;

/// How many of them are judged one by one, for the written rules.
const MOST_JUDGED: usize = 50;

/// What is to be done about a message.
pub(super) enum Look {
    /// Nothing more: a machine, never decided, or decided and published.
    Nothing,
    /// It is decided, and that is still to be published.
    Publish(Happening),
    /// It qualifies.
    Decide(Box<Happened>),
}

/// A happening that qualifies, and what is known of it.
pub(super) struct Happened {
    pub(super) happening: Happening,
    pub(super) message: MessageId,
    pub(super) at: UnixMillis,
    pub(super) recipients: Vec<Recipient>,
    pub(super) tokens: Vec<Token>,
    pub(super) campaign: Campaign,
    pub(super) judgement: Judgement,
    /// What the gates said that it has passed.
    pub(super) passed: Vec<Answer>,
    /// The facts, but for what has to be read elsewhere.
    pub(super) facts: serde_json::Value,
    /// The hosts of the mail's own links.
    pub(super) hosts: BTreeSet<String>,
    pub(super) from: Option<String>,
    pub(super) engaged: Engaged,
    pub(super) expires_at: UnixMillis,
}

/// An event of the timeline, read.
pub(super) struct Told<'a> {
    pub(super) event: Event<'a>,
    pub(super) message: MessageId,
    pub(super) at: UnixMillis,
}

impl Work<'_> {
    /// Judges an open or a click, and stores the verdict.
    pub(super) async fn look(&self, delivery: &Delivery) -> Result<Look, Trouble> {
        let engagement: Engagement = serde_json::from_str(&delivery.body)
            .map_err(|_| Trouble::Never("the message is not one that protect sends".to_owned()))?;
        let Engagement { email_id, event: key } = &engagement;
        let rows = self.timeline.all(email_id).await?;
        let Some(own) = rows.iter().find(|row| string(row, "event") == key) else {
            tracing::warn!(message = delivery.message_id, "the event is not there any more");
            return Ok(Look::Nothing);
        };
        let bodies: Vec<(&Item, std::borrow::Cow<'_, [u8]>)> = rows
            .iter()
            .filter(|row| string(row, "kind") == row::RowKind::Event.as_str())
            .filter_map(|row| Some((row, row::payload(row)?)))
            .collect();
        let timeline: Vec<(&Item, Told<'_>)> =
            bodies.iter().filter_map(|(row, body)| Some((*row, Told::read(row, body)?))).collect();
        let own_told = timeline.iter().find(|(row, _)| std::ptr::eq(*row, own)).map(|(_, told)| told);
        let told = own_told.ok_or_else(|| Trouble::Never("the event can't be read".to_owned()))?;
        let (action, event_type) = told.action().ok_or_else(|| Trouble::Never("no open or click".to_owned()))?;
        let recipients = told.recipients();
        let timeline: Vec<&Told<'_>> =
            timeline.iter().map(|(_, told)| told).filter(|other| other.concerns(&recipients)).collect();
        let history = history(&timeline);
        let seen = told.seen(action);

        let happening = Happening::new(email_id, event_type, &recipients);
        let stored = |key: &str| rows.iter().find(|row| string(row, "event") == key);
        let decided = stored(&happening.sort_key()).and_then(Decided::from_item);
        let expires_at = own.get("expires_at").and_then(as_number);
        let expires_at = expires_at
            .map_or_else(|| self.now.plus(days(KEPT_DAYS)), |seconds| UnixMillis(seconds.saturating_mul(1_000)));
        let campaign = timeline.iter().find_map(|told| self.config.campaign_tags.tagged(&told.event));
        let (judgement, passed) = match stored(&verdict_key(key)).and_then(judgement) {
            // Judged before, by a delivery that got no further: a verdict is never changed.
            Some((judgement, Some(why))) => (judgement, Err(why)),
            Some((judgement, None)) => {
                let passed = self.gates(&judgement, action, told, &recipients, campaign.as_ref());
                (judgement, passed)
            }
            None => {
                let judgement = judge(&seen, &history, &self.config.policy.verdict);
                let passed = self.gates(&judgement, action, told, &recipients, campaign.as_ref());
                let why = passed.as_ref().err().map(String::as_str);
                self.decisions.put_verdict(email_id, key, &judgement, why, self.now, expires_at).await?;
                (judgement, passed)
            }
        };
        let (passed, campaign) = match (decided, passed, campaign) {
            (Some(decided), ..) if decided.is_settled => return Ok(Look::Nothing),
            (Some(_), ..) => return Ok(Look::Publish(happening)),
            (None, Ok(passed), Some(campaign)) => (passed, campaign),
            (None, ..) => return Ok(Look::Nothing),
        };
        let tokens: Vec<Token> = (0..recipients.len()).map(Token::nth).collect();
        Ok(Look::Decide(Box::new(Happened {
            facts: facts::of(told, &judgement, &timeline, &campaign, &recipients, self.now),
            hosts: facts::hosts(&timeline),
            from: told.event.from_text(),
            engaged: self.engaged(action, &judgement, &history),
            message: told.message.clone(),
            at: told.at,
            happening,
            recipients,
            tokens,
            campaign,
            judgement,
            passed,
            expires_at,
        })))
    }

    /// Whether anything is to be decided: what was passed, or why not.
    fn gates(
        &self,
        judgement: &Judgement,
        action: Action,
        told: &Told<'_>,
        recipients: &[Recipient],
        campaign: Option<&Campaign>,
    ) -> Result<Vec<Answer>, String> {
        match (judgement.verdict, action) {
            (Verdict::Machine, _) => return Err("a machine did it".to_owned()),
            (Verdict::Unsure, Action::Opened) => return Err("an open by who knows whom is no signal".to_owned()),
            (Verdict::Human, _) | (Verdict::Unsure, Action::Clicked) => {}
        }
        if recipients.is_empty() {
            return Err("the event names nobody".to_owned());
        }
        let decidable = Decidable {
            event_at: told.at,
            email_created_at: told.event.resource_created_at(),
            is_followup: told.event.tags().contains_key(FOLLOWUP_TAG),
            campaign,
            allowed: &self.config.campaigns,
            now: self.now,
        };
        may_be_decided(&decidable, &self.config.policy.followups).map_err(|never| never.as_str().to_owned())
    }

    /// What the written rules go by.
    fn engaged(&self, action: Action, judgement: &Judgement, history: &History) -> Engaged {
        let of_people = |seen: &&Seen| {
            judge(seen, history, &self.config.policy.verdict).verdict == Verdict::Human
                && seen.action == Action::Clicked
        };
        let clicks: Vec<&Seen> = history.seen.iter().rev().take(MOST_JUDGED).filter(of_people).collect();
        let links: BTreeSet<&str> = clicks.iter().filter_map(|seen| seen.link.as_deref()).collect();
        let days: BTreeSet<i64> = clicks.iter().map(|seen| seen.at.0.div_euclid(24 * 60 * 60 * 1_000)).collect();
        Engaged {
            clicked: action == Action::Clicked,
            human: judgement.verdict == Verdict::Human,
            distinct_links: links.len(),
            days_active: days.len(),
        }
    }
}

impl<'a> Told<'a> {
    /// Reads an event's row.
    fn read(row: &Item, body: &'a [u8]) -> Option<Self> {
        let event = Event::read(body).ok()?;
        let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
        let (_, message) = string(row, "event").split_once('#')?;
        // Nothing happens later than it was received.
        let told_at = event.at().unwrap_or(received_at).min(received_at);
        // A click says itself when it was, to the millisecond; where that is far from what the event says, one of them is wrong.
        let exact = event.interaction().at.filter(|exact| {
            *exact <= received_at && exact.plus(hours(1)) >= told_at && *exact <= told_at.plus(hours(1))
        });
        Some(Self { at: exact.unwrap_or(told_at), message: MessageId::already_verified(message), event })
    }

    pub(super) fn action(&self) -> Option<(Action, &'static str)> {
        match self.event.event_type()? {
            EventType::EmailOpened => Some((Action::Opened, EventType::EmailOpened.as_str())),
            EventType::EmailClicked => Some((Action::Clicked, EventType::EmailClicked.as_str())),
            _ => None,
        }
    }

    pub(super) fn recipients(&self) -> Vec<Recipient> {
        match self.event.addressees() {
            Addressees::Nobody => Vec::new(),
            Addressees::One(one) => vec![one],
            Addressees::Several(several) => several,
        }
    }

    /// Whether it is about one of these, or about who knows whom.
    fn concerns(&self, recipients: &[Recipient]) -> bool {
        let own = self.recipients();
        own.is_empty() || recipients.is_empty() || own.iter().any(|recipient| recipients.contains(recipient))
    }

    pub(super) fn seen(&self, action: Action) -> Seen {
        let said = self.event.interaction();
        Seen { message: self.message.clone(), action, at: self.at, link: said.link, agent: said.agent, ip: said.ip }
    }
}

fn history(timeline: &[&Told<'_>]) -> History {
    let delivered = |told: &&&Told<'_>| told.event.event_type() == Some(EventType::EmailDelivered);
    let mut seen: Vec<Seen> =
        timeline.iter().filter_map(|told| told.action().map(|(action, _)| told.seen(action))).collect();
    seen.sort_by_key(|seen| seen.at);
    let skip = seen.len().saturating_sub(MOST_SEEN);
    History {
        delivered_at: timeline.iter().filter(delivered).map(|told| told.at).min(),
        seen: seen.into_iter().skip(skip).collect(),
    }
}

/// A stored verdict, and why nothing was decided.
fn judgement(row: &Item) -> Option<(Judgement, Option<String>)> {
    let words = |value: &aws_sdk_dynamodb::types::AttributeValue| value.as_s().ok().cloned();
    let reasons = row.get("reasons").and_then(|list| list.as_l().ok());
    let judgement = Judgement {
        verdict: Verdict::from_text(string(row, "verdict"))?,
        score: row.get("score").and_then(as_number).and_then(|score| u8::try_from(score).ok())?,
        reasons: reasons.into_iter().flatten().filter_map(words).collect(),
    };
    Some((judgement, row.get("not_decided").and_then(words)))
}
