//! Any one call of a follow-up's transitions may fail before it is applied, lose its response, be shown half, or be the last
//! one before a crash: the row, its entry, its place and its alerts always agree, and the transition made again ends it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use aws_local::faults::{Call, Fault, Half, HalfResponse};
use futures_util::stream::{self, StreamExt};
use rebound::policy::followup::sending::{AnswerMeaning, BegunTry, DropReason, FollowupStatus, Settlement};
use rebound::store::agenda::AgendaKind;
use rebound::store::followups::{FollowupRow, TryResult};
use rebound::store::string;
use rebound::time::{hours, minutes};

use crate::parts::{MAX_CONCURRENT, PARTS, in_parts};

use super::{ANN, EMAIL, FollowupHarness, HOLDER, NOW, answer, everything};

const FAULTS: [Fault; 6] =
    [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter, Fault::Conflict, Fault::Throttle, Fault::ServerError];

const fn half(late: usize, response: HalfResponse) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(40), response })
}

/// The first, the second or the last item of a transaction becomes visible late, with the response lost or not.
const HALVES: [Fault; 6] = [
    half(0, HalfResponse::None),
    half(1, HalfResponse::None),
    half(usize::MAX, HalfResponse::None),
    half(0, HalfResponse::AfterCommit),
    half(1, HalfResponse::AfterCommit),
    half(usize::MAX, HalfResponse::AfterCommit),
];

/// A transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Decide,
    Begin,
    Accepted,
    AcceptedTwice,
    Refused,
    Unclear,
    Postpone,
    TooLate,
    Unknown,
    Reject,
    Forget,
}

const STEPS: [Step; 11] = [
    Step::Decide,
    Step::Begin,
    Step::Accepted,
    Step::AcceptedTwice,
    Step::Refused,
    Step::Unclear,
    Step::Postpone,
    Step::TooLate,
    Step::Unknown,
    Step::Reject,
    Step::Forget,
];

/// Items that are stored before a step.
struct Before {
    stage: FollowupHarness,
    /// The row as the step's caller knows it.
    known: Option<(FollowupRow, BegunTry)>,
}

impl Step {
    async fn before(self) -> Before {
        let stage = FollowupHarness::start().await;
        stage.lock(HOLDER).await;
        if self == Self::Decide {
            return Before { stage, known: None };
        }
        stage.decide(EMAIL, ANN, NOW).await;
        let is_open =
            matches!(self, Self::Accepted | Self::AcceptedTwice | Self::Refused | Self::Unclear | Self::Unknown);
        let known = if is_open { stage.begin(NOW).await } else { (stage.row().await, BegunTry::Opening) };
        if self == Self::AcceptedTwice {
            stage.store().record_accepted(EMAIL, &known.0.id, "r1", "act", NOW).await.unwrap();
        }
        Before { stage, known: Some(known) }
    }

    /// Makes the step once. Its result does not matter: the caller may be dead.
    async fn make(self, before: &Before) {
        let (stage, store) = (&before.stage, before.stage.store());
        let Some((row, begun)) = &before.known else {
            let decided = stage.try_to_decide(EMAIL, ANN, NOW).await;
            return drop(decided);
        };
        let id = row.id.as_str();
        match self {
            Self::Decide => {}
            Self::Begin => {
                if let Ok(TryResult::Begun { row, .. }) = stage.look_with(NOW, |_| {}).await {
                    assert_eq!(row.state.status, FollowupStatus::Sending);
                }
            }
            Self::Accepted => drop(store.record_accepted(EMAIL, id, "r1", "act", NOW).await),
            Self::AcceptedTwice => drop(store.record_accepted(EMAIL, id, "r2", "act", NOW).await),
            Self::Refused => {
                let name = "validation_error".to_owned();
                let refused = answer(AnswerMeaning::AboutThisEmail { name }, 422, "validation_error");
                drop(store.record_answer(row, *begun, &refused, 0, NOW).await);
            }
            Self::Unclear => {
                let unclear = answer(AnswerMeaning::Unclear, 500, "http_500");
                drop(store.record_answer(row, *begun, &unclear, 0, NOW).await);
            }
            Self::Postpone => drop(store.postpone(row, NOW.plus(minutes(15)), "why", Vec::new(), NOW).await),
            Self::TooLate => drop(store.settle(row, Settlement::TooLate, NOW.plus(hours(72))).await),
            Self::Unknown => drop(store.settle(row, Settlement::OpenTooLong, NOW.plus(hours(23))).await),
            Self::Reject => {
                drop(store.drop_followup(row, DropReason::Rejected, "eva", "why", Vec::new(), NOW).await);
            }
            Self::Forget => drop(store.forget(row, "eva", NOW).await),
        }
    }
}

impl FollowupHarness {
    /// The row, its one entry, its place and its alerts agree.
    pub(super) async fn agrees(&self, why: &str) {
        let rows = self.rows().await;
        let agenda = self.scan("AGENDA_TABLE").await;
        let kinds = [AgendaKind::Followup, AgendaKind::FollowupDone].map(AgendaKind::as_str);
        let entries: Vec<String> = agenda
            .iter()
            .filter(|item| kinds.contains(&string(item, "kind")))
            .map(|item| format!("{} {} {}", string(item, "kind"), string(item, "due"), string(item, "status")))
            .collect();
        let expected: Vec<String> = rows
            .iter()
            .map(|row| {
                let entry = row.entry();
                let due = format!("{}#{}", entry.due.to_text(), entry.key);
                format!("{} {due} {}", entry.kind.as_str(), row.state.status.as_str())
            })
            .collect();
        assert_eq!(entries, expected, "{why}");
        // `forget` erases the places of all follow-ups by themselves.
        if rows.iter().all(|row| row.recipient.is_some()) {
            let places = rows.iter().filter(|row| row.state.keeps_place()).count();
            assert_eq!(self.places().await, places, "{why}");
        }
        self.waiting_alerts().await;
    }
}

/// Everything but what a repeated look changes: its number of tries and its times.
async fn outcome(stage: &FollowupHarness, step: Step) -> BTreeSet<String> {
    if step == Step::Begin {
        let row = stage.row().await;
        let state = row.state;
        let open = (state.status, state.open_since, state.asked_with, row.request, stage.handed_over().await);
        return [format!("{open:?}")].into();
    }
    everything(stage).await.into_iter().map(|item| format!("{item:?}")).collect()
}

/// Makes a step with a fault at its call `index`, and then again without one.
async fn one_point(step: Step, index: usize, fault: Fault, expected: &BTreeSet<String>) {
    let before = step.before().await;
    let skipped = before.stage.faults.calls().len();
    before.stage.proxy.plan(move |call| (call.index == skipped + index).then_some(fault));
    tokio::select! {
        () = step.make(&before) => {}
        () = before.stage.faults.killed() => {}
    }
    // A call in flight at the crash may still be applied; half of a transaction becomes whole.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let why = format!("{step:?}, {fault:?} at call {index}");
    before.stage.proxy.plan(|_| None);
    before.stage.agrees(&why).await;
    step.make(&before).await;
    before.stage.agrees(&why).await;
    assert_eq!(outcome(&before.stage, step).await, *expected, "{why}");
}

/// Tries the points of every eighth step.
async fn any_one_call_of_a_transition_may_fail_or_be_the_last(part: usize) {
    for step in STEPS.into_iter().skip(part).step_by(PARTS) {
        let before = step.before().await;
        let first = before.stage.faults.calls().len();
        step.make(&before).await;
        let expected = &outcome(&before.stage, step).await;
        before.stage.agrees(&format!("{step:?}")).await;
        let calls: Vec<Call> = before.stage.faults.calls().into_iter().skip(first).collect();
        let is_transaction = |call: &Call| call.operation == "TransactWriteItems";
        assert!(calls.iter().any(is_transaction), "{step:?}: {calls:?}");
        let points: Vec<(usize, Fault)> = calls
            .iter()
            .enumerate()
            .flat_map(|(index, call)| {
                let halves: &[Fault] = if is_transaction(call) { &HALVES } else { &[] };
                FAULTS.iter().chain(halves).map(move |fault| (index, *fault))
            })
            .collect();
        std::io::stderr().write_all(format!("{step:?}: {} points\n", points.len()).as_bytes()).unwrap();
        let all = stream::iter(points);
        all.for_each_concurrent(MAX_CONCURRENT, |(index, fault)| one_point(step, index, fault, expected)).await;
    }
}

in_parts!(any_one_call_of_a_transition_may_fail_or_be_the_last);
