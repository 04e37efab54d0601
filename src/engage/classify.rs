//! Classification: the verdict on one open or click, from its email's own rows, and its next step.

use std::collections::BTreeSet;

use futures_util::future;

use super::MAX_CLASSIFIED;
use super::candidate::{Candidate, EventDetails};
use super::eligibility::Eligibility;
use super::opt_out::OptOuts;
use super::run::{EngageActivity, EngageRun};
use super::step::{NextStep, Retry};
use super::timeline::{EmailRows, OpenOrClickContext, TimelineEvent};
use crate::aws::CallError;
use crate::aws::queue::{EngageMessage, QueueMessage};
use crate::config::EngageConfig;
use crate::policy::answer::is_invisible;
use crate::policy::limits::VerdictPolicy;
use crate::policy::rules::EngagementSummary;
use crate::policy::verdict::{Action, OpenOrClick, ScoredVerdict, Verdict, classify, verdicts};
use crate::resend::campaign::CampaignTags;
use crate::resend::signature::MessageId;
use crate::store::client::RetryClient;
use crate::store::decisions::StoredDecision;
use crate::store::timeline::{FirstRows, Timeline};
use crate::store::verdicts::{StoredVerdict, Verdicts};
use crate::store::{Item, as_number, row};
use crate::time::UnixMillis;

/// Classifies opens and clicks.
pub(super) struct Classifier<'a> {
    timeline: Timeline,
    verdicts: Verdicts,
    opt_outs: OptOuts<'a>,
    eligibility: Eligibility<'a>,
    tags: &'a CampaignTags,
    policy: &'a VerdictPolicy,
    run: EngageRun<'a>,
}

impl<'a> Classifier<'a> {
    /// Creates a classifier of the opens and clicks in the events table.
    pub(super) fn new(calls: &RetryClient, config: &'a EngageConfig, run: EngageRun<'a>) -> Self {
        Self {
            timeline: Timeline::new(calls.clone(), &config.tables.events),
            verdicts: Verdicts::new(calls.clone(), &config.tables.events),
            opt_outs: OptOuts::new(calls, config, run),
            eligibility: Eligibility::new(config, run.now),
            tags: &config.campaign_tags,
            policy: &config.policy.verdict,
            run,
        }
    }

    /// Classifies an open or a click, stores the verdict, and returns the next step.
    pub(super) async fn classify(&self, delivery: &QueueMessage) -> Result<NextStep, Retry> {
        let engagement: EngageMessage = serde_json::from_str(&delivery.body)
            .map_err(|_| CallError::Permanent("the message does not have the form that protect sends".to_owned()))?;
        let EngageMessage { email_id, event: key } = &engagement;
        let Some(email) = self.read(email_id, key).await? else { return Ok(NextStep::DONE) };
        let Some(row) = email.row() else {
            tracing::warn!(queue_message = delivery.message_id, "the event's row no longer exists");
            return Ok(NextStep::DONE);
        };
        let bodies = email.bodies();
        let events = TimelineEvent::read_all(&bodies);
        let context = email.context(&events)?;
        if let Some(received_at) = row.get("received_at").and_then(as_number) {
            self.run.record(EngageActivity::Read(UnixMillis(received_at)));
        }

        let campaign = context.campaign(self.tags);
        let gates = |scored: &ScoredVerdict| self.eligibility.check(scored.verdict, &context, campaign.as_ref());
        // A verdict never changes: the stored one of an earlier delivery counts.
        let stored = email.verdict();
        let was_stored = stored.is_some();
        let verdict = match stored {
            Some(verdict) => verdict,
            None => {
                let scored = classify(&context.seen, &context.history, self.policy);
                let verdict = StoredVerdict { not_decided: gates(&scored).err(), scored };
                let expires_at = email.expires_at(self.run.now);
                let verdict = self.verdicts.put(email_id, key, verdict, self.run.now, expires_at).await?;
                self.run.record(EngageActivity::Classified(verdict.scored.verdict));
                verdict
            }
        };
        // On each delivery, even if a decision exists: the newest click counts.
        let opts_out = self.opt_outs.store(&context, &verdict.scored).await?;
        let Some(occurrence) = context.this.occurrence(email_id) else { return Ok(NextStep::DONE) };
        match email.decision(&occurrence) {
            Some(decided) if decided.is_settled => return Ok(NextStep::DONE),
            Some(_) => return Ok(NextStep::PublishPending(occurrence)),
            None => {}
        }
        // A scan may have been found since the verdict. The verdict does not change, but no decision follows from it.
        let is_a_machines =
            was_stored && classify(&context.seen, &context.history, self.policy).verdict == Verdict::Machine;
        if verdict.not_decided.is_some() || is_a_machines {
            return Ok(NextStep::DONE);
        }
        // Checked again: since the verdict the event may have become too old.
        let passed = gates(&verdict.scored);
        let (Ok(passed), Some(campaign)) = (passed, campaign) else { return Ok(NextStep::DONE) };
        let from = context.this.event.from_text();
        let event = EventDetails {
            event_type: context.event_type,
            message: context.this.message.clone(),
            at: context.this.at,
            from: from.filter(|from| !from.chars().any(|c| c.is_control() || is_invisible(c))),
        };
        Ok(NextStep::Decide(Box::new(Candidate {
            occurrence,
            event,
            engaged: self.engaged(&context, &verdict.scored),
            opted_out_until: self.opt_outs.newest(&context),
            recipients: context.recipients,
            campaign,
            scored: verdict.scored,
            passed,
            opts_out,
            email,
        })))
    }

    /// Reads an email's rows for the open or click with this key. Returns `None` if its verdict and decision already
    /// exist.
    async fn read(&self, email_id: &str, key: &str) -> Result<Option<EmailRows>, CallError> {
        // The row was stored at least 90 s ago, and every later write has its own condition.
        let FirstRows { rows, is_whole } = self.timeline.read_first(email_id, key).await?;
        let email = EmailRows::new(rows, key.to_owned());
        let Some(row) = email.row().filter(|_| !is_whole) else { return Ok(Some(email)) };
        let made = self.made_of(email_id, key, row).await?;
        if made.len() == 2 && made.iter().filter_map(StoredDecision::from_item).any(|decided| decided.is_settled) {
            return Ok(None);
        }
        let near = self.timeline.near(email_id, key).await?;
        Ok(Some(email.with(made.into_iter().chain(near))))
    }

    /// Reads the decision and the verdict of an open or click, strongly consistent. Used for an email with too many
    /// rows to read them all.
    async fn made_of(&self, email_id: &str, key: &str, row: &Item) -> Result<Vec<Item>, CallError> {
        let body = row::payload(row);
        let occurrence = body.as_deref().and_then(|body| TimelineEvent::read(row, body)?.occurrence(email_id));
        let Some(occurrence) = occurrence else { return Ok(Vec::new()) };
        let (decision, verdict) = (occurrence.sort_key(), StoredVerdict::sort_key(key));
        let rows =
            future::try_join(self.timeline.row(email_id, &decision), self.timeline.row(email_id, &verdict)).await?;
        Ok([rows.0, rows.1].into_iter().flatten().collect())
    }

    /// The input of the built-in rules.
    fn engaged(&self, context: &OpenOrClickContext<'_>, scored: &ScoredVerdict) -> EngagementSummary {
        let no_interest: BTreeSet<&MessageId> = context.opt_out_clicks().iter().map(|seen| &seen.message).collect();
        let seen = context.history.seen.iter().rev().filter(|seen| !no_interest.contains(&seen.message));
        let clicks = seen.filter(|seen| seen.action == Action::Clicked);
        let clicks: Vec<&OpenOrClick> = clicks.take(MAX_CLASSIFIED).collect();
        let verdicts = verdicts(clicks.iter().copied(), &context.history, self.policy);
        let of_people = clicks.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Human);
        let clicks: Vec<&OpenOrClick> = of_people.map(|(click, _)| click).collect();
        let links: BTreeSet<&str> = clicks.iter().filter_map(|seen| seen.link.as_deref()).collect();
        let days: BTreeSet<i64> = clicks.iter().map(|seen| seen.at.0.div_euclid(24 * 60 * 60 * 1_000)).collect();
        EngagementSummary {
            clicked: context.action == Action::Clicked,
            human: scored.verdict == Verdict::Human,
            distinct_links: links.len(),
            days_active: days.len(),
        }
    }
}
