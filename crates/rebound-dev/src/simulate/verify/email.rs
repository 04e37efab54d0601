//! Checks one email: its webhooks, alerts, verdicts and decisions.

use std::collections::{BTreeMap, BTreeSet};

use rebound::aws::CallError;
use rebound::store::timeline::Timeline;
use rebound::store::{Item, row, string, tables, text};

use super::followups::SimulatedFollowup;
use super::{Discrepancy, ScenarioVerifier, VerifyReport};
use crate::simulate::chaos::RequestKind;
use crate::simulate::scenario::{Email, SimulatedWebhook};

/// The result of the check of one email.
pub(super) struct EmailCheck {
    pub(super) email: u32,
    /// True if a result is missing that may still arrive.
    pub(super) is_missing_something: bool,
    pub(super) stored: usize,
    refused: usize,
    alerts: usize,
    verdicts: usize,
    decisions: usize,
    pub(super) followups: Vec<SimulatedFollowup>,
    faults: Vec<(Discrepancy, String)>,
}

impl EmailCheck {
    /// Adds the numbers and faults to the report. Returns the follow-ups.
    pub(super) fn add_to(self, report: &mut VerifyReport) -> Vec<SimulatedFollowup> {
        report.stored += self.stored;
        report.refused += self.refused;
        report.alerts += self.alerts;
        report.verdicts += self.verdicts;
        report.decisions += self.decisions;
        for (fault, what) in self.faults {
            report.add(fault, what);
        }
        self.followups
    }

    pub(super) fn add(&mut self, fault: Discrepancy, what: String) {
        self.faults.push((fault, what));
    }
}

pub(super) type Rows = BTreeMap<(String, String), Item>;

impl ScenarioVerifier<'_> {
    pub(super) async fn email(&self, number: u32) -> Result<EmailCheck, CallError> {
        let email = self.scenario.email(number);
        let mut check = EmailCheck {
            email: number,
            is_missing_something: false,
            stored: 0,
            refused: 0,
            alerts: 0,
            verdicts: 0,
            decisions: 0,
            followups: Vec::new(),
            faults: Vec::new(),
        };
        let rows = self.rows(number, &email).await?;
        self.messages(number, &email, &rows, &mut check);
        self.alerts(&email, &rows, &mut check);
        self.verdicts(&email, &rows, &mut check);
        self.followups(&email, &rows, &mut check);
        Ok(check)
    }

    /// All rows of the email's partition, and the rows of its webhooks in other partitions.
    async fn rows(&self, number: u32, email: &Email) -> Result<Rows, CallError> {
        let table = self.table(tables::EVENTS);
        let mut rows = Timeline::new(self.calls.clone(), table).all(&email.id).await?;
        let others = email.messages.iter().zip(0..).filter(|(message, _)| message.partition != email.id);
        let mut keys: BTreeSet<(String, String)> = BTreeSet::new();
        for (message, index) in others {
            keys.insert((message.partition.clone(), message.event.clone()));
            keys.extend(self.refused_keys(number, index, message));
        }
        let keys: Vec<Item> = keys
            .into_iter()
            .map(|(partition, event)| {
                Item::from([("email_id".to_owned(), text(partition)), ("event".to_owned(), text(event))])
            })
            .collect();
        for some in keys.chunks(100) {
            rows.extend(self.calls.batch_get(table, some.to_vec()).await?);
        }
        let key = |row: &Item| (string(row, "email_id").to_owned(), string(row, "event").to_owned());
        Ok(rows.into_iter().map(|row| (key(&row), row)).collect())
    }

    /// The keys under which the rejected requests of a webhook would have been stored.
    fn refused_keys(&self, number: u32, index: u16, message: &SimulatedWebhook) -> Vec<(String, String)> {
        let kinds = [RequestKind::Stale, RequestKind::Tampered, RequestKind::WrongSecret];
        let refused = kinds.into_iter().filter(|kind| self.refused.contains(&(number, index, *kind)));
        let key = |kind: RequestKind| {
            let id = format!("{}-refused-{}", message.id, kind as u8);
            let renamed = |text: &str| text.replace(&message.id, &id);
            (renamed(&message.partition), renamed(&message.event))
        };
        refused.map(key).collect()
    }

    fn messages(&self, number: u32, email: &Email, rows: &Rows, check: &mut EmailCheck) {
        let mut expected = BTreeSet::new();
        for (message, index) in email.messages.iter().zip(0..) {
            let key = (message.partition.clone(), message.event.clone());
            match rows.get(&key) {
                None => check.add(Discrepancy::Lost, format!("{} is not stored: {} {}", message.id, key.0, key.1)),
                Some(row) if row::payload(row).as_deref() != Some(message.body.as_slice()) => {
                    check.add(Discrepancy::Wrong, format!("{} is not stored byte for byte", message.id));
                }
                Some(_) => check.stored += 1,
            }
            expected.insert(key);
            for key in self.refused_keys(number, index, message) {
                check.refused += 1;
                if rows.contains_key(&key) {
                    check.add(Discrepancy::Wrong, format!("{} was rejected, but is stored", message.id));
                }
            }
        }
        let is_message = |row: &Item| matches!(string(row, "kind"), "event" | "quarantine");
        for (key, _) in rows.iter().filter(|(key, row)| is_message(row) && !expected.contains(*key)) {
            check.add(Discrepancy::Doubled, format!("{} {} is stored, but was not sent", key.0, key.1));
        }
    }

    /// Checks that each complaint has exactly one alert.
    fn alerts(&self, email: &Email, rows: &Rows, check: &mut EmailCheck) {
        let of_complaints = |event: &str| event.starts_with("alert#complaint-");
        let alerts: Vec<&Item> = rows.iter().filter(|(key, _)| of_complaints(&key.1)).map(|(_, row)| row).collect();
        let settled = |row: &&&Item| row.contains_key("published_at") || row.contains_key("folded_into");
        let expected = email.expected.complaints.len();
        check.alerts = alerts.iter().filter(settled).count();
        if check.alerts < expected {
            check.is_missing_something = true;
            check.add(Discrepancy::Lost, format!("no alert was sent about a complaint of {}", email.id));
        }
        if alerts.len() > expected {
            check.add(Discrepancy::Doubled, format!("{} alerts about one complaint of {}", alerts.len(), email.id));
        }
    }

    /// Checks that each open and click has its verdict, and that each decision is complete.
    fn verdicts(&self, email: &Email, rows: &Rows, check: &mut EmailCheck) {
        for (event, expected) in &email.expected.verdicts {
            let Some(row) = rows.get(&(email.id.clone(), format!("verdict#{event}"))) else {
                check.is_missing_something = true;
                check.add(Discrepancy::Lost, format!("{event} of {} has no verdict", email.id));
                continue;
            };
            check.verdicts += 1;
            let verdict = string(row, "verdict");
            let expected = expected.filter(|_| self.options.knows_verdicts);
            if let Some(expected) = expected.filter(|expected| expected.as_str() != verdict) {
                let expected = expected.as_str();
                check.add(
                    Discrepancy::Wrong,
                    format!("{event} of {} has the verdict {verdict}, expected {expected}", email.id),
                );
            }
        }
        for (key, row) in rows {
            if string(row, "kind") == "verdict" && !email.expected.verdicts.keys().any(|event| key.1.ends_with(event)) {
                check.add(Discrepancy::Doubled, format!("{} is a verdict about an event that was not sent", key.1));
            }
            if string(row, "kind") == "decision" {
                check.decisions += 1;
                if !row.contains_key("decided_at") {
                    check.is_missing_something = true;
                    check.add(Discrepancy::Lost, format!("{} of {} has no decision", key.1, email.id));
                }
            }
        }
    }
}
