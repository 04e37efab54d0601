//! The final state: it must be the same, whatever failed.

use std::collections::{BTreeMap, BTreeSet};

use rebound::claude::price::Price;
use rebound::config::DEFAULT_MODEL;
use rebound::message::decision::{DecidedBy, DecisionResult, Receipt};
use rebound::policy::answer::{Choice, Usage};
use rebound::policy::followup::Ruling;
use rebound::policy::limits::ClaudePolicy;
use rebound::policy::verdict::Verdict;
use rebound::store::followups::FollowupRow;
use rebound::store::row::payload_text;
use rebound::store::{Item, string};
use serde_json::{Value, json};

use super::scene::{BUDGET_USD, Scene};

/// Everything that must be the same at the end.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    /// Every row's key: of events, verdicts and decisions.
    pub(super) rows: BTreeSet<String>,
    /// The verdicts, by their keys: verdict, score, reasons, and the reason why no decision is made.
    pub(super) verdicts: BTreeMap<String, String>,
    /// The decisions, by their keys.
    pub(super) decisions: BTreeMap<String, Decision>,
    /// The follow-ups that the recipients have: recipient, decision, and email.
    pub(super) places: BTreeSet<String>,
    /// The follow-ups to be sent: id, status, and the kind of the one entry.
    pub(super) scheduled: BTreeSet<String>,
    /// The published messages: ids and kinds.
    pub(super) published: BTreeSet<String>,
}

/// A decision, without the parts that depend on its time, and on which of an occurrence's messages made it.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) id: String,
    recipients: Vec<String>,
    campaign: String,
    verdict: Verdict,
    pub(super) by: DecidedBy,
    because: Option<String>,
    pub(super) refused: Option<String>,
    choice: Choice,
    /// The guards that refused it. Their texts contain times, which differ.
    pub(super) refused_by: Vec<&'static str>,
    pub(super) done: DecisionResult,
    followup: Value,
    is_published: bool,
}

impl Decision {
    fn of(row: &Item) -> Self {
        let receipt = serde_json::from_str(&payload_text(row));
        let receipt: Receipt = receipt.unwrap_or_else(|error| panic!("{error} in {row:?}"));
        let refused = receipt.guards.iter().filter(|answer| answer.ruling == Ruling::Refused);
        let refused_by: Vec<&str> = refused.map(|answer| answer.guard.as_str()).collect();
        let mut followup = serde_json::to_value(&receipt.followup).unwrap();
        if let Some(followup) = followup.as_object_mut() {
            followup.remove("not_before").unwrap();
        }
        let done = match receipt.done {
            DecisionResult::Nothing(_) if !refused_by.is_empty() => DecisionResult::Nothing("refused".to_owned()),
            done => done,
        };
        Self {
            id: receipt.id,
            recipients: receipt.recipients,
            campaign: receipt.campaign.as_str().to_owned(),
            verdict: receipt.verdict,
            by: receipt.asked.by,
            because: receipt.asked.because,
            refused: receipt.asked.refused,
            choice: receipt.choice,
            refused_by,
            done,
            followup,
            is_published: row.contains_key("published_at"),
        }
    }
}

impl End {
    pub(super) async fn of(scene: &Scene) -> Self {
        let rows = scene.stage.rows().await;
        let key = |row: &Item| format!("{} {}", row["email_id"].as_s().unwrap(), row["event"].as_s().unwrap());
        let kind = |row: &&Item, kind: &str| row["kind"].as_s().unwrap() == kind;
        let verdict = |row: &Item| {
            let reported = ["verdict", "score", "reasons", "not_decided"].map(|name| row.get(name));
            (key(row), format!("{reported:?}"))
        };
        let id = |one: &Value| format!("{} {}", one["id"].as_str().unwrap(), one["kind"].as_str().unwrap());
        Self {
            rows: rows.iter().map(key).collect(),
            verdicts: rows.iter().filter(|row| kind(row, "verdict")).map(verdict).collect(),
            decisions: rows
                .iter()
                .filter(|row| kind(row, "decision"))
                .map(|row| (key(row), Decision::of(row)))
                .collect(),
            places: scene.stage.scan("RECIPIENTS_TABLE").await.iter().flat_map(places).collect(),
            scheduled: scheduled(scene, &rows).await,
            published: scene.stage.published().iter().map(id).collect(),
        }
    }
}

/// The follow-ups to be sent. Each row has exactly one entry, at its own time, and each entry a row.
async fn scheduled(scene: &Scene, rows: &[Item]) -> BTreeSet<String> {
    let agenda = scene.stage.scan("AGENDA_TABLE").await;
    let entries = agenda.iter().filter(|item| string(item, "kind").starts_with("followup"));
    let entries: BTreeSet<String> =
        entries.map(|item| format!("{} {}", string(item, "kind"), string(item, "due"))).collect();
    let rows: Vec<FollowupRow> = rows.iter().filter_map(FollowupRow::from_item).collect();
    let of_row = |row: &FollowupRow| {
        let entry = row.entry();
        format!("{} {}#{}", entry.kind.as_str(), entry.due.to_text(), entry.key)
    };
    assert_eq!(entries, rows.iter().map(of_row).collect::<BTreeSet<String>>());
    rows.iter().map(|row| format!("{} {} {}", row.email_id, row.id, row.state.status.as_str())).collect()
}

fn places(item: &Item) -> Vec<String> {
    let recipient = item["recipient"].as_s().unwrap();
    let taken = item["taken"].as_ss().unwrap().iter();
    taken.map(|entry| format!("{recipient} {}", entry.split_once('#').unwrap().1)).collect()
}

/// The id under which a decision is published.
pub(super) fn published_id(row: &Item) -> Option<String> {
    let receipt: Receipt = serde_json::from_str(&payload_text(row)).ok()?;
    Some(receipt.id.replacen("decision", receipt.done.kind()?, 1))
}

/// Messages that were published more than once; each time with the same text.
pub(super) fn repeated(scene: &Scene) -> Vec<String> {
    let mut seen = BTreeMap::<String, Vec<Value>>::new();
    let messages = scene.stage.aws.sns.as_ref().unwrap().messages();
    for message in messages {
        let machines = message.for_protocol("lambda");
        let id = serde_json::from_str::<Value>(&machines).unwrap()["id"].as_str().unwrap().to_owned();
        let all = ["email", "sms"].map(|protocol| message.for_protocol(protocol));
        let all = json!([machines, all, format!("{:?}", message.subject), format!("{:?}", message.attributes)]);
        seen.entry(id).or_default().push(all);
    }
    for said in seen.values() {
        assert!(said.iter().all(|one| *one == said[0]), "a repeat says the same: {said:?}");
    }
    seen.into_iter().filter(|(_, said)| said.len() > 1).map(|(id, _)| id).collect()
}

/// The differences, line by line: the whole state is too long to read.
pub(super) fn difference(end: &End, expected: &End) -> String {
    let lines = |end: &End| format!("{end:#?}").lines().map(str::to_owned).collect::<BTreeSet<String>>();
    let (end, expected) = (lines(end), lines(expected));
    format!("too much: {:#?}\nmissing: {:#?}", &end - &expected, &expected - &end)
}

/// The day's recorded cost, in billionths of a US dollar.
#[derive(Debug)]
pub(super) struct RecordedCost {
    nanos: i64,
    /// Number of reservations that are not settled.
    pub(super) open: usize,
    /// Cost of Claude's answers, including the lost ones.
    answered: i64,
    answers: i64,
}

impl RecordedCost {
    pub(super) async fn of(scene: &Scene) -> Self {
        let agenda = scene.stage.scan("AGENDA_TABLE").await;
        let days: Vec<&Item> = agenda.iter().filter(|item| item["kind"].as_s().unwrap() == "spent").collect();
        assert_eq!(days.len(), 1, "all of it is in one day");
        let tokens = scene.stage.claude.answered_tokens();
        let usage = Usage {
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
        };
        Self {
            nanos: days[0]["nanos"].as_n().unwrap().parse().unwrap(),
            open: days[0].get("open").map_or(0, |open| open.as_ss().unwrap().len()),
            answered: Price::for_model(DEFAULT_MODEL, &ClaudePolicy::default()).cost(&usage).0,
            answers: tokens.answers.try_into().unwrap(),
        }
    }

    /// Each answer is rounded separately, so the sum may differ by that much.
    pub(super) fn is_enough_and_not_too_much(&self, context: &str) {
        let limit = (BUDGET_USD * 1e9) as i64;
        assert!(self.nanos + self.answers >= self.answered && self.nanos <= limit, "{context}: {self:?}");
    }

    pub(super) fn is_exactly_what_was_answered(&self) {
        assert!(self.open == 0 && self.nanos.abs_diff(self.answered) <= self.answers.unsigned_abs(), "{self:?}");
    }
}
