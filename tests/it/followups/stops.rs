//! Any stop, in any order with everything else: after its write no request begins; and whatever the answers, Resend accepts
//! a follow-up at most once.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;
use futures_util::stream::{self, StreamExt};
use rebound::policy::followup::sending::{AnswerMeaning, DropReason, FollowupStatus};
use rebound::resend::campaign::Campaign;
use rebound::store::followups::{Switch, SwitchOf, TryResult};
use rebound::store::forgotten::ErasureKey;
use rebound::store::{number, text};
use rebound::time::{UnixMillis, days, hours, minutes};

use super::{ANN, EMAIL, FollowupHarness, HOLDER, NOW, ann, answer};

/// Number of sequences, each on an AWS of its own.
const SEQUENCES: u64 = 120;

const STOPS: [&str; 11] = [
    "complaint",
    "expiring",
    "opt_out_click",
    "reply",
    "brake",
    "domain_brake",
    "reject",
    "stop",
    "forget",
    "pause",
    "pause_campaign",
];

/// Resend, with its memory of keys: 24 hours from the first request that it accepted. Errors are not remembered.
#[derive(Default)]
struct Resend {
    accepted: BTreeMap<String, (String, UnixMillis)>,
    ids: BTreeSet<String>,
}

impl Resend {
    /// Returns the answer to a request. `None`: the answer is lost, whatever was done.
    fn ask(&mut self, key: &str, at: UnixMillis, rng: &mut Rng) -> Option<Result<String, AnswerMeaning>> {
        let known = self.accepted.get(key).filter(|(_, since)| since.plus(hours(24)) > at);
        if let Some((id, _)) = known {
            return rng.bool().then(|| Ok(id.clone()));
        }
        match rng.u8(..6) {
            0 | 1 => {
                let id = format!("r{}", self.ids.len());
                self.ids.insert(id.clone());
                self.accepted.insert(key.to_owned(), (id.clone(), at));
                rng.bool().then_some(Ok(id))
            }
            2 => None,
            3 => Some(Err(AnswerMeaning::Unclear)),
            4 => Some(Err(AnswerMeaning::Quota)),
            _ => Some(Err(AnswerMeaning::Otherwise { name: "http_403".to_owned() })),
        }
    }
}

/// A sequence: the follow-up, Resend, and what was stopped.
struct Sequence {
    stage: FollowupHarness,
    resend: Resend,
    rng: Rng,
    at: UnixMillis,
    /// Stops that hold for good.
    stopped: Vec<&'static str>,
    paused: BTreeSet<&'static str>,
}

fn of(pause: &str) -> SwitchOf {
    if pause == "pause" { SwitchOf::All } else { SwitchOf::Campaign(Campaign::new("spring").unwrap()) }
}

impl Sequence {
    async fn stop(&mut self, what: &'static str) {
        let (stage, at) = (&self.stage, self.at);
        let row = stage.row().await;
        match what {
            "complaint" | "expiring" => {
                let reasons = AttributeValue::Ss(vec!["complaint".to_owned()]);
                let mut item = vec![("recipient", text(ANN)), ("reasons", reasons)];
                item.extend((what == "expiring").then(|| ("until", number(at.plus(days(30)).0))));
                stage.put("SUPPRESSIONS_TABLE", &item).await;
            }
            "opt_out_click" => {
                let until = number(at.plus(days(30)).0);
                let item = [("recipient", text(ANN)), ("fact", text(what)), ("at", number(at.0)), ("until", until)];
                stage.put("RECIPIENTS_TABLE", &item).await;
            }
            "reply" => {
                let item = [("recipient", text(ANN)), ("fact", text(what)), ("at", number(at.0))];
                stage.put("RECIPIENTS_TABLE", &item).await;
            }
            "brake" | "domain_brake" => {
                let of = if what == "brake" { "spring" } else { "domain#shop.example" };
                let item = [("campaign", text(of)), ("cohort", text("state")), ("status", text("paused"))];
                stage.put("CAMPAIGNS_TABLE", &item).await;
            }
            "reject" | "stop" => {
                let reason = if what == "stop" { DropReason::Stopped } else { DropReason::Rejected };
                stage.store().drop_followup(&row, reason, "eva", "", Vec::new(), at).await.unwrap();
            }
            "forget" => {
                let key = ErasureKey::new([7; 32]).unwrap();
                let item = [("recipient", text("#forgotten-key")), ("key", AttributeValue::B(Blob::new([7; 32])))];
                stage.put("SUPPRESSIONS_TABLE", &item).await;
                let reasons = AttributeValue::Ss(vec!["forgotten".to_owned()]);
                let item = [("recipient", text(key.name_of(&ann()))), ("reasons", reasons)];
                stage.put("SUPPRESSIONS_TABLE", &item).await;
                // Interrupted here now and then: the hash alone must hold it.
                if self.rng.bool() {
                    stage.store().forget(&row, "eva", at).await.unwrap();
                }
            }
            pause => {
                let switch = Switch { of: of(pause), at, by: "eva".to_owned(), reason: String::new() };
                stage.store().pause(&switch).await.unwrap();
                self.paused.insert(pause);
                return;
            }
        }
        self.stopped.push(what);
    }

    /// Steps of act with a follow-up that it looks at.
    async fn look(&mut self) {
        let (store, at) = (self.stage.store(), self.at);
        let row = self.stage.row().await;
        if row.recipient.is_none() || row.state.status.is_settled() {
            return;
        }
        let why = format!("{:?} and {:?} at {}", self.stopped, self.paused, at.to_text());
        match self.stage.look(at).await {
            TryResult::Begun { row, begun, .. } => {
                assert!(self.stopped.is_empty() && self.paused.is_empty(), "a request begins after {why}");
                let key = row.idempotency_key().unwrap();
                let Some(said) = self.resend.ask(&key, at, &mut self.rng) else { return };
                match said {
                    Ok(id) => drop(store.record_accepted(EMAIL, &row.id, &id, "act", at).await.unwrap()),
                    Err(meaning) => {
                        let refused = answer(meaning, 400, "a_name");
                        store.record_answer(&row, begun, &refused, 0, at).await.unwrap();
                    }
                }
            }
            TryResult::NotNow(not_now, guards) if !not_now.ends_run() => {
                store.postpone(&row, not_now.until(at), not_now.why(), guards, at).await.unwrap();
            }
            TryResult::No(reason, guards) => {
                store.drop_followup(&row, reason, "act", "", guards, at).await.unwrap();
            }
            TryResult::Over(settlement) => drop(store.settle(&row, settlement, at).await.unwrap()),
            TryResult::NotNow(..) | TryResult::LockLost | TryResult::Changed => {}
        }
    }

    async fn step(&mut self) {
        match self.rng.u8(..10) {
            0 => {
                let what = STOPS[self.rng.usize(..STOPS.len())];
                self.stop(what).await;
            }
            1 => {
                if let Some(pause) = self.paused.pop_first() {
                    self.stage.store().resume(&of(pause)).await.unwrap();
                }
            }
            2 => self.at = self.at.plus(hours(self.rng.u32(1..12))),
            3 => {
                // A webhook of what was accepted comes, late.
                if let Some((id, _)) = self.resend.accepted.values().next().cloned() {
                    let row = self.stage.row().await;
                    self.stage.store().record_accepted(EMAIL, &row.id, &id, "protect", self.at).await.unwrap();
                }
            }
            _ => {
                self.at = self.at.plus(minutes(self.rng.u32(1..90)));
                self.look().await;
            }
        }
    }
}

async fn sequence(seed: u64) {
    let stage = FollowupHarness::with_a_due_one().await;
    stage.lock(HOLDER).await;
    let rng = Rng::with_seed(seed);
    let (resend, stopped, paused) = (Resend::default(), Vec::new(), BTreeSet::new());
    let mut all = Sequence { stage, resend, rng, at: NOW, stopped, paused };
    for _ in 0..all.rng.u8(4..40) {
        all.step().await;
        all.stage.agrees(&format!("seed {seed}")).await;
    }
    // Time goes on, past everything.
    for days_later in 1..6 {
        all.at = NOW.plus(days(30 + days_later));
        all.look().await;
    }
    let row = all.stage.row().await;
    let (status, reason) = (row.state.status, row.state.reason);
    assert!(all.resend.ids.len() <= 1, "seed {seed}: accepted twice, {:?}", all.resend.ids);
    assert!(status.is_settled(), "seed {seed}: {status:?}");
    let alerts = all.stage.waiting_alerts().await;
    match status {
        FollowupStatus::Unknown => assert!(alerts.contains(&"send_unknown".to_owned()), "seed {seed}: {alerts:?}"),
        FollowupStatus::Dropped if reason == Some(DropReason::TooLate) => {
            assert!(alerts.contains(&"send_failed".to_owned()), "seed {seed}: {alerts:?}");
        }
        _ => {}
    }
    let was_accepted = !all.resend.ids.is_empty();
    let says_never = status == FollowupStatus::Dropped && row.state.open_since.is_none();
    assert!(!(was_accepted && says_never), "seed {seed}: it was accepted, and the row says that it never was");
}

#[tokio::test]
async fn no_request_begins_after_a_stop_and_none_is_accepted_twice() {
    stream::iter(0..SEQUENCES).for_each_concurrent(4, sequence).await;
}
