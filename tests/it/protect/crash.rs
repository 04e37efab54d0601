//! Any one call of the whole flow may fail before it is applied, lose its response, or be the function's last call.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::Write;
use std::time::Duration;

use aws_local::faults::{Fault, Half, HalfResponse, Service};
use futures_util::stream::{self, StreamExt};
use rebound::aws::stream::BatchResponse;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, deliver, mail, message_of, of, receive, soon};
use crate::parts::{MAX_CONCURRENT, PARTS, in_parts};
use crate::support::secret;

const FAULTS: [Fault; 3] = [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter];

/// The first or the last item of a transaction becomes visible late, and the response is lost.
const HALVES: [Fault; 2] = [half(0), half(usize::MAX)];

const fn half(late: usize) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(40), response: HalfResponse::None })
}

/// Small limits, so that a few events reach every part of the flow.
const POLICY: &str = r#"{"alerts": {"one_by_one_in_an_hour": 1}, "soft_bounces": {"emails": 2}}"#;

/// Events that protect processes together, and the ticks after which nothing is left to do, even if one of them is
/// killed: the last one has nothing to do otherwise. A point runs its scenario alone, so each point costs the calls of
/// one scenario, and not of all.
struct Scenario {
    messages: &'static [&'static str],
    ticks: &'static [i64],
}

const SCENARIOS: [Scenario; 3] = [
    // Counted, suppressing, merged, braking, alerting, grouped, and sent to engage.
    Scenario {
        messages: &["m-delivered", "m-opened", "m-complained", "m-complained-2", "m-bounced"],
        ticks: &[5 * MINUTE, HOUR, DAY, 2 * DAY],
    },
    // Suppressing after two emails; naming nobody; failed; unreadable.
    Scenario {
        messages: &["m-soft-1", "m-soft-2", "m-ambiguous", "m-failed", "m-quarantine"],
        ticks: &[5 * MINUTE, DAY, 2 * DAY],
    },
    Scenario { messages: &["m-delayed"], ticks: &[5 * MINUTE, DAY, 2 * DAY] },
];

/// One event of each kind.
fn messages() -> Vec<SignedMessage> {
    let soft = json!({ "tags": { "campaign": "a" }, "bounce": { "type": "Transient" } });
    let hard = json!({ "tags": { "campaign": "a" }, "bounce": { "type": "Permanent" } });
    let mut several = of("b");
    several["to"] = json!(["x@example.com", "y@example.com"]);
    let delayed = json!({ "tags": { "campaign": "b" }, "created_at": after(-2 * HOUR).to_text() });
    vec![
        mail("m-delivered", "email.delivered", "e1", "ann@example.com", after(-HOUR), of("a")),
        mail("m-opened", "email.opened", "e1", "ann@example.com", after(-MINUTE), of("a")),
        mail("m-complained", "email.complained", "e1", "ann@example.com", after(-30 * MINUTE), of("a")),
        mail("m-complained-2", "email.complained", "e2", "bob@example.com", after(-29 * MINUTE), of("a")),
        mail("m-bounced", "email.bounced", "e3", "ann@example.com", after(-28 * MINUTE), hard),
        mail("m-soft-1", "email.bounced", "e4", "carl@example.com", after(-7 * MINUTE), soft.clone()),
        mail("m-soft-2", "email.bounced", "e5", "carl@example.com", after(-6 * MINUTE), soft),
        mail("m-ambiguous", "email.complained", "e6", "-", after(-25 * MINUTE), several),
        mail("m-delayed", "email.delivery_delayed", "e7", "dora@example.com", after(-24 * MINUTE), delayed),
        mail(
            "m-failed",
            "email.failed",
            "e8",
            "eva@example.com",
            after(-23 * MINUTE),
            json!({ "failed": { "reason": "reached_daily_quota" } }),
        ),
        SignedMessage::new("m-quarantine", NOW.seconds(), r#"{"hello":"world"}"#, &secret()),
    ]
}

/// The side effects of the one fault.
#[derive(Default)]
struct CrashState {
    happened: bool,
    /// The alerts that were published, but not yet marked as published, when the function crashed.
    not_noted: BTreeSet<String>,
}

/// A function's invocation. At its last call it is dropped, as if the process had crashed. There is only one crash.
async fn invoked<T>(stage: &ProtectHarness, death: &mut CrashState, invocation: impl Future<Output = T>) -> Option<T> {
    if death.happened {
        return Some(invocation.await);
    }
    tokio::select! {
        answer = invocation => return Some(answer),
        () = stage.faults.killed() => {}
    }
    // Calls in flight at the crash may still be applied.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let rows = stage.scan("EVENTS_TABLE").await;
    let noted: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.contains_key("published_at"))
        .filter_map(|row| row["event"].as_s().unwrap().strip_prefix("alert#"))
        .collect();
    let published = stage.alerts().into_iter().map(|alert| alert.id);
    *death = CrashState { happened: true, not_noted: published.filter(|id| !noted.contains(id.as_str())).collect() };
    None
}

/// Delivers a batch until all of it is done, as Lambda does: after a failure from the first failed record on, after a
/// crash the whole batch.
async fn deliver_all(stage: &ProtectHarness, records: &[Value], death: &mut CrashState) {
    let mut left = records;
    for _ in 0..10 {
        match invoked(stage, death, deliver(&stage.protector, left, NOW)).await {
            None => {}
            Some(answer) if answer == BatchResponse::default() => return,
            Some(answer) => {
                let failed: BTreeSet<&str> = super::again(&answer).into_iter().collect();
                let is_failed =
                    |record: &Value| failed.contains(record["dynamodb"]["SequenceNumber"].as_str().unwrap());
                left = &left[left.iter().position(is_failed).unwrap()..];
            }
        }
    }
    panic!("a batch is never done");
}

/// Runs a scenario from its first webhook to its last tick.
async fn all_of_it(stage: &ProtectHarness, scenario: &Scenario) -> CrashState {
    let mut death = CrashState::default();
    for message in messages().iter().filter(|message| scenario.messages.contains(&message.id.as_str())) {
        let mut done = false;
        for _ in 0..5 {
            if invoked(stage, &mut death, receive(&stage.receiver, message, NOW)).await == Some(200) {
                done = true;
                break;
            }
        }
        assert!(done, "Resend gives up on {}", message.id);
    }
    let mut records = stage.records().await;
    records.sort_by_key(message_of);
    let bulk = |record: &Value| ["m-delivered", "m-opened"].contains(&message_of(record).as_str());
    let (bulk, urgent): (Vec<Value>, Vec<Value>) = records.into_iter().partition(bulk);
    let (first, second) = urgent.split_at(urgent.len() / 2);
    for batch in [first, &bulk, second] {
        deliver_all(stage, batch, &mut death).await;
    }
    // Until nothing is left to do: the digests of the hour, the delay, the brakes.
    for later in scenario.ticks {
        invoked(stage, &mut death, stage.protector.tick(after(*later), soon())).await;
    }
    death
}

/// Everything that must be the same at the end.
#[derive(Debug, PartialEq)]
struct End {
    rows: BTreeSet<String>,
    counters: BTreeMap<String, i64>,
    brakes: BTreeMap<String, Vec<String>>,
    suppressions: BTreeMap<String, Item>,
    engagements: BTreeSet<String>,
    alerts: BTreeSet<String>,
    folded: i64,
    agenda: Vec<String>,
}

async fn end(stage: &ProtectHarness) -> End {
    let agenda = stage.scan("AGENDA_TABLE").await;
    let waiting = |item: &&Item| !item["kind"].as_s().unwrap().starts_with("told#") && !item.contains_key("sent");
    let folded = |alert: rebound::message::alert::Alert| Some((alert.id, alert.figures.get("folded")?.as_i64()?));
    let folded: BTreeMap<String, i64> = stage.alerts().into_iter().filter_map(folded).collect();
    End {
        rows: stage.records().await.iter().map(Value::to_string).collect(),
        counters: stage.counters().await,
        brakes: stage.brakes().await,
        suppressions: stage.suppressions().await,
        engagements: stage.engagements().into_iter().collect(),
        alerts: stage.alerts().into_iter().map(|alert| alert_key(&alert)).collect(),
        folded: folded.values().sum(),
        agenda: agenda.iter().filter(waiting).map(|item| item["due"].as_s().unwrap().clone()).collect(),
    }
}

/// The identity of an alert, without the parts that depend on the order: the first complaint of its hour, and the
/// number of a brake's changes.
fn alert_key(alert: &rebound::message::alert::Alert) -> String {
    match alert.kind.as_str() {
        "complaint" | "digest" => alert.kind.as_str().to_owned(),
        "brake" => alert.title.clone(),
        _ => alert.id.clone(),
    }
}

/// The alerts that were published more than once.
fn repeated(stage: &ProtectHarness) -> Vec<String> {
    let mut seen = BTreeMap::<String, Vec<rebound::message::alert::Alert>>::new();
    for alert in stage.alerts() {
        seen.entry(alert.id.clone()).or_default().push(alert);
    }
    for alerts in seen.values() {
        assert!(alerts.iter().all(|alert| *alert == alerts[0]), "a repeat says the same: {alerts:?}");
    }
    seen.into_iter().filter(|(_, alerts)| alerts.len() > 1).map(|(id, _)| id).collect()
}

/// A fault at a call of a scenario.
struct Point {
    scenario: usize,
    index: usize,
    fault: Fault,
}

/// The expected state of each scenario, and every fault at every call.
struct Expected {
    ends: Vec<End>,
    points: Vec<Point>,
}

/// Computed once, by the first part.
static EXPECTED: OnceCell<Expected> = OnceCell::const_new();

async fn expected() -> Expected {
    let (mut ends, mut points, mut calls, mut kinds) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        let stage = ProtectHarness::with_policy(POLICY).await;
        all_of_it(&stage, scenario).await;
        let end = end(&stage).await;
        assert_eq!(repeated(&stage), Vec::<String>::new());
        assert_eq!(end.agenda, Vec::<String>::new(), "nothing is left to do");
        kinds.extend(stage.kinds());
        for (index, call) in stage.faults.calls().into_iter().enumerate() {
            let halves = HALVES.into_iter().filter(|_| call.operation == "TransactWriteItems");
            points.extend(FAULTS.into_iter().chain(halves).map(|fault| Point { scenario: number, index, fault }));
            calls.push(call);
        }
        ends.push(end);
    }
    for kind in ["complaint", "ambiguous_bounce", "failed", "quarantine", "delay"] {
        assert_eq!(kinds[kind], 1, "{kind}");
    }
    assert_eq!(ends[0].folded, 1);
    let used: usize = SCENARIOS.iter().map(|scenario| scenario.messages.len()).sum();
    assert_eq!(used, messages().len(), "each message is in a scenario");
    for service in [Service::DynamoDb, Service::Sns, Service::Sqs] {
        assert!(calls.iter().any(|call| call.service == service), "{service:?} was never called");
    }
    // Not with `println!`, which the test harness hides if the test passes.
    let reported = format!(
        "protect: {} points to try, three faults at each of {} calls, two more at each transaction\n",
        points.len(),
        calls.len()
    );
    std::io::stderr().write_all(reported.as_bytes()).unwrap();
    Expected { ends, points }
}

/// Tries the points of one part.
async fn any_one_call_may_fail_lose_its_answer_or_be_the_last(part: usize) {
    let expected = EXPECTED.get_or_init(expected).await;
    let ours = expected.points.iter().skip(part).step_by(PARTS);
    let tried = stream::iter(ours).map(|point| one_point(point, &expected.ends[point.scenario]));
    tried.for_each_concurrent(MAX_CONCURRENT, |point| point).await;
}

in_parts!(any_one_call_may_fail_lose_its_answer_or_be_the_last);

/// Runs a scenario with one fault.
async fn one_point(point: &Point, expected: &End) {
    let Point { scenario, index, fault } = *point;
    let stage = ProtectHarness::with_policy(POLICY).await;
    stage.faults.plan(move |call| (call.index == index).then_some(fault));
    let death = all_of_it(&stage, &SCENARIOS[scenario]).await;
    let calls = stage.faults.calls();
    let hit = calls.get(index).unwrap_or_else(|| panic!("call {index} was never made")).clone();
    let context = format!("{fault:?} at call {index} of scenario {scenario}, {hit:?}");
    let end = end(&stage).await;
    assert!(end == *expected, "{context}:\n{}", difference(&end, expected));
    let lost = hit.operation == "Publish" && fault == Fault::LoseAnswer;
    for id in repeated(&stage) {
        assert!(lost || death.not_noted.contains(&id), "{context}: {id} was published again");
    }
}

/// The differences, line by line: the whole state is too long to read.
fn difference(end: &End, expected: &End) -> String {
    let (end, expected) = (format!("{end:#?}"), format!("{expected:#?}"));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
    let (end, expected) = (lines(&end), lines(&expected));
    format!("too much: {:#?}\nmissing: {:#?}", end.difference(&expected), expected.difference(&end))
}
