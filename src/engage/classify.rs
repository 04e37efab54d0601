//! Who it was: the verdict about one open or click, from its email's own timeline, and whether anything is to be decided.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future;

use super::batch::NextStep;
use super::timeline::{Occasion, Told, bodies};
use super::{Work, facts};
use crate::aws::CallError;
use crate::aws::queue::{Delivery, Engagement};
use crate::metrics::Metric;
use crate::policy::answer::{Token, is_hidden};
use crate::policy::followup::{Answer, Decidable, may_be_decided};
use crate::policy::rules::Engaged;
use crate::policy::verdict::{Action, Judgement, Seen, Verdict, judge, verdicts};
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::store::decisions::{Decided, Happening};
use crate::store::opt_outs::{self, OptOutClick};
use crate::store::row::{self, RowKind};
use crate::store::timeline::Begun;
use crate::store::verdicts::Judged;
use crate::store::{Item, as_number, string};
use crate::time::{UnixMillis, days};

/// How long what is made of an event is kept that does not say how long it stays itself.
const KEPT_DAYS: u32 = 90;

/// The most recipients of an email that is decided about: Resend takes no more in one
/// (<https://resend.com/docs/api-reference/emails/send-email>), and each of them is read.
const MOST_RECIPIENTS: usize = 50;

/// How many opens and clicks are judged one by one, for the written rules.
const MOST_JUDGED: usize = 50;

/// A happening that qualifies, and what is known of it.
pub(super) struct Candidate {
    pub(super) happening: Happening,
    pub(super) event_type: &'static str,
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
    /// Until when it stands against follow-ups, where it is a click on an opt-out or preference link.
    pub(super) opts_out: Option<UnixMillis>,
    /// The newest such click that this email's timeline tells of.
    pub(super) opt_out_click: Option<OptOutClick>,
    pub(super) expires_at: UnixMillis,
}

impl Work<'_> {
    /// Judges an open or a click, stores the verdict, and finds out what is to be done.
    pub(super) async fn classify(&self, delivery: &Delivery) -> Result<NextStep, CallError> {
        let engagement: Engagement = serde_json::from_str(&delivery.body)
            .map_err(|_| CallError::Permanent("the message is not one that protect sends".to_owned()))?;
        let Engagement { email_id, event: key } = &engagement;
        // It has settled for long, and every write that follows from it has a condition of its own.
        let Begun { mut rows, is_whole } = self.timeline.begin(email_id, key).await?;
        // Of what was about somebody who was forgotten, only the key is left.
        let is_it = |row: &&Item| string(row, "event") == key && string(row, "kind") == RowKind::Event.as_str();
        if !is_whole && let Some(row) = rows.iter().find(is_it) {
            let made = self.made_of(email_id, key, row).await?;
            if made.len() == 2 && made.iter().filter_map(Decided::from_item).any(|decided| decided.is_settled) {
                return Ok(NextStep::DONE);
            }
            rows.extend(made);
            rows.extend(self.timeline.near(email_id, key).await?);
            let by_key: BTreeMap<String, Item> =
                rows.into_iter().map(|row| (string(&row, "event").to_owned(), row)).collect();
            rows = by_key.into_values().collect();
        }
        let Some(row) = rows.iter().find(is_it) else {
            tracing::warn!(queue_message = delivery.message_id, "the event is not there any more");
            return Ok(NextStep::DONE);
        };
        let bodies = bodies(&rows);
        let all: Vec<Told<'_>> = bodies.iter().filter_map(|(row, body)| Told::read(row, body)).collect();
        let occasion =
            Occasion::of(&all, key, &self.config.campaign_tags).map_err(|why| CallError::Permanent(why.to_owned()))?;
        let expires_at = self.expires_at(row);
        if let Some(received_at) = row.get("received_at").and_then(as_number) {
            self.tally.peak(Metric::EngageLag, self.now.seconds_since(UnixMillis(received_at)));
        }

        // A verdict is never changed: one that was stored by an earlier delivery counts.
        let stored = Judged::among(&rows, key);
        let was_stored = stored.is_some();
        let judged = match stored {
            Some(judged) => judged,
            None => {
                let judged = self.verdicts.put(email_id, key, self.judge(&occasion), self.now, expires_at).await?;
                self.tally.one(Metric::of_verdict(judged.judgement.verdict));
                judged
            }
        };
        // Each time, also where it is decided already: the newest click counts.
        let opts_out = self.remember_opt_out(&occasion, &judged.judgement).await?;
        let Some(happening) = occasion.told.occurrence(email_id) else { return Ok(NextStep::DONE) };
        let sort_key = happening.sort_key();
        let decision = rows.iter().find(|row| string(row, "event") == sort_key);
        match decision.and_then(Decided::from_item) {
            Some(decided) if decided.is_settled => return Ok(NextStep::DONE),
            Some(_) => return Ok(NextStep::PublishPending(happening)),
            None => {}
        }
        // A scan may have come to light since the verdict was given. It is not changed, but nothing more follows from it.
        let is_a_machines = was_stored
            && judge(&occasion.seen, &occasion.history, &self.config.policy.verdict).verdict == Verdict::Machine;
        if judged.not_decided.is_some() || is_a_machines {
            return Ok(NextStep::DONE);
        }
        // Asked again: since the verdict it may have become too old.
        let passed = self.gates(&judged.judgement, &occasion);
        let (Ok(passed), Some(campaign)) = (passed, occasion.campaign.clone()) else { return Ok(NextStep::DONE) };
        let judgement = judged.judgement;
        Ok(NextStep::Decide(Box::new(Candidate {
            facts: facts::of(&occasion, &judgement, &campaign, self.now),
            hosts: facts::hosts(&occasion.timeline),
            from: occasion.told.event.from_text().filter(|from| !from.chars().any(|c| c.is_control() || is_hidden(c))),
            engaged: self.engaged(&occasion, &judgement),
            opts_out,
            opt_out_click: self.opt_out_click(&occasion),
            event_type: occasion.event_type,
            message: occasion.told.message.clone(),
            at: occasion.told.at,
            happening,
            tokens: (0..occasion.recipients.len()).map(Token::nth).collect(),
            recipients: occasion.recipients,
            campaign,
            judgement,
            passed,
            expires_at,
        })))
    }

    /// The rows that were made of an open or click, its decision and its verdict, as they are now: of an email that has too many rows to
    /// look for them among all.
    async fn made_of(&self, email_id: &str, key: &str, row: &Item) -> Result<Vec<Item>, CallError> {
        let body = row::payload(row);
        let occurrence = body.as_deref().and_then(|body| Told::read(row, body)?.occurrence(email_id));
        let Some(occurrence) = occurrence else { return Ok(Vec::new()) };
        let (decision, verdict) = (occurrence.sort_key(), Judged::sort_key(key));
        let rows =
            future::try_join(self.timeline.row(email_id, &decision), self.timeline.row(email_id, &verdict)).await?;
        Ok([rows.0, rows.1].into_iter().flatten().collect())
    }

    /// Remembers a click on an opt-out or preference link of each recipient, unless a machine did it. Answers until when it stands against
    /// follow-ups, if it is such a click.
    async fn remember_opt_out(
        &self,
        occasion: &Occasion<'_>,
        judgement: &Judgement,
    ) -> Result<Option<UnixMillis>, CallError> {
        if judgement.verdict == Verdict::Machine || !occasion.told.is_opt_out_click() {
            return Ok(None);
        }
        let click = self.standing_until(occasion.told.at);
        if click.until > self.now {
            for recipient in occasion.recipients.iter().take(MOST_RECIPIENTS) {
                opt_outs::remember(&self.calls, &self.config.recipients_table, recipient, click).await?;
            }
        }
        Ok(Some(click.until))
    }

    /// The newest click on an opt-out or preference link that the email's timeline tells of and no machine did.
    fn opt_out_click(&self, occasion: &Occasion<'_>) -> Option<OptOutClick> {
        let mut clicks = occasion.opt_out_clicks();
        clicks.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        clicks.truncate(MOST_JUDGED);
        let verdicts = verdicts(clicks.iter().copied(), &occasion.history, &self.config.policy.verdict);
        let (newest, _) = clicks.into_iter().zip(verdicts).find(|(_, verdict)| *verdict != Verdict::Machine)?;
        Some(self.standing_until(newest.at))
    }

    fn standing_until(&self, at: UnixMillis) -> OptOutClick {
        OptOutClick { at, until: at.plus(days(self.config.policy.followups.opt_out_days)) }
    }

    /// How long what is made of an event stays: as long as the event.
    fn expires_at(&self, row: &Item) -> UnixMillis {
        match row.get("expires_at").and_then(as_number) {
            Some(seconds) => UnixMillis(seconds.saturating_mul(1_000)),
            None => self.now.plus(days(KEPT_DAYS)),
        }
    }

    fn judge(&self, occasion: &Occasion<'_>) -> Judged {
        let judgement = judge(&occasion.seen, &occasion.history, &self.config.policy.verdict);
        let not_decided = self.gates(&judgement, occasion).err();
        Judged { judgement, not_decided }
    }

    /// Whether anything is to be decided: what was passed, or why not.
    fn gates(&self, judgement: &Judgement, occasion: &Occasion<'_>) -> Result<Vec<Answer>, String> {
        match (judgement.verdict, occasion.action) {
            (Verdict::Machine, _) => return Err("a machine did it".to_owned()),
            (Verdict::Unsure, Action::Opened) => return Err("an open by who knows whom is no signal".to_owned()),
            (Verdict::Human, _) | (Verdict::Unsure, Action::Clicked) => {}
        }
        if occasion.recipients.is_empty() {
            return Err("the event names nobody".to_owned());
        }
        if occasion.recipients.len() > MOST_RECIPIENTS {
            return Err(format!("the event names more than {MOST_RECIPIENTS} recipients"));
        }
        let decidable = Decidable {
            event_at: occasion.told.at,
            email_sent_at: occasion.sent_at,
            email_created_at: occasion.told.event.resource_created_at(),
            is_followup: occasion.is_followup,
            campaign: occasion.campaign.as_ref(),
            allowed: &self.config.campaigns,
            now: self.now,
        };
        may_be_decided(&decidable, &self.config.policy.followups).map_err(|never| never.as_str().to_owned())
    }

    /// What the written rules go by.
    fn engaged(&self, occasion: &Occasion<'_>, judgement: &Judgement) -> Engaged {
        let no_interest: BTreeSet<&MessageId> = occasion.opt_out_clicks().iter().map(|seen| &seen.message).collect();
        let seen = occasion.history.seen.iter().rev().filter(|seen| !no_interest.contains(&seen.message));
        let clicks = seen.filter(|seen| seen.action == Action::Clicked);
        let clicks: Vec<&Seen> = clicks.take(MOST_JUDGED).collect();
        let verdicts = verdicts(clicks.iter().copied(), &occasion.history, &self.config.policy.verdict);
        let of_people = clicks.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Human);
        let clicks: Vec<&Seen> = of_people.map(|(click, _)| click).collect();
        let links: BTreeSet<&str> = clicks.iter().filter_map(|seen| seen.link.as_deref()).collect();
        let days: BTreeSet<i64> = clicks.iter().map(|seen| seen.at.0.div_euclid(24 * 60 * 60 * 1_000)).collect();
        Engaged {
            clicked: occasion.action == Action::Clicked,
            human: judgement.verdict == Verdict::Human,
            distinct_links: links.len(),
            days_active: days.len(),
        }
    }
}
