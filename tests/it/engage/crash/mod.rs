//! Any one call of the whole flow may fail before it is applied, lose its response, or be the function's last call.

mod end;
mod queue;
mod scene;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use aws_local::faults::{Call, Fault, Half, HalfResponse, Service};
use futures_util::stream::{self, StreamExt};
use tokio::sync::OnceCell;

use self::end::{End, RecordedCost, difference, repeated};
use self::scene::{CrashState, Scenario, Scene};
use super::EngageHarness;
use crate::parts::{MAX_CONCURRENT, PARTS, in_parts};

const FAULTS: [Fault; 3] = [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter];

/// The first or the last item of a transaction becomes visible late, and the response is lost.
const HALVES: [Fault; 2] = [half(0), half(usize::MAX)];

const fn half(late: usize) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(40), response: HalfResponse::None })
}

/// A call: its service, its operation, and the number of such calls before it. Not its position among all calls:
/// messages are classified concurrently, so the position varies.
type CallId = (Service, String, usize);

fn each_by_itself(calls: &[Call]) -> Vec<CallId> {
    let mut before = BTreeMap::<(Service, &str), usize>::new();
    let mut nth = |call| {
        let count = before.entry(call).or_default();
        *count += 1;
        *count - 1
    };
    calls.iter().map(|call| (call.service, call.operation.clone(), nth((call.service, &call.operation)))).collect()
}

/// The expected state of a scenario without a fault, and every fault at every call.
struct Expected {
    scenario: Scenario,
    end: End,
    questions: BTreeMap<String, usize>,
    points: Vec<(CallId, Fault)>,
}

/// Computed once, by the first part.
static EXPECTED: OnceCell<Vec<Expected>> = OnceCell::const_new();

async fn expected(scenarios: &[Scenario]) -> Vec<Expected> {
    let (mut all, mut called) = (Vec::new(), BTreeSet::new());
    for scenario in scenarios {
        let mut scene = Scene::start(*scenario).await;
        scene.all_of_it().await;
        let (end, questions) = (End::of(&scene).await, scene.questions());
        scene::is_what_it_is_for(*scenario, &end, &questions);
        assert_eq!(repeated(&scene), Vec::<String>::new());
        RecordedCost::of(&scene).await.is_exactly_what_was_answered();
        let calls = each_by_itself(&scene.stage.faults.calls());
        called.extend(calls.iter().map(|call| call.0));
        let points: Vec<_> = calls.iter().flat_map(|which| faults(which).map(|fault| (which.clone(), fault))).collect();
        // Not with `println!`, which the test harness hides if the test passes.
        let reported = format!(
            "engage, {scenario:?}: {} points to try, three faults at each of {} calls, two more at each transaction\n",
            points.len(),
            calls.len()
        );
        std::io::stderr().write_all(reported.as_bytes()).unwrap();
        all.push(Expected { scenario: *scenario, end, questions, points });
    }
    assert_eq!(called, BTreeSet::from([Service::DynamoDb, Service::Sns, Service::Sqs, Service::Http]));
    all
}

fn faults(which: &CallId) -> impl Iterator<Item = Fault> {
    let halves = if which.1 == "TransactWriteItems" { &HALVES[..] } else { &[] };
    FAULTS.into_iter().chain(halves.iter().copied())
}

/// Tries the points of one part.
async fn any_one_call_may_fail_lose_its_answer_or_be_the_last(part: usize) {
    const SCENARIOS: [Scenario; 3] = [Scenario::Proposed, Scenario::Nothing, Scenario::Refused];
    any_point_of(EXPECTED.get_or_init(|| expected(&SCENARIOS)).await, part).await;
}

async fn any_point_of(all: &[Expected], part: usize) {
    let points = all.iter().flat_map(|expected| expected.points.iter().map(move |point| (expected, point)));
    stream::iter(points.skip(part).step_by(PARTS))
        .for_each_concurrent(MAX_CONCURRENT, |(expected, (which, fault))| one_point(which, *fault, expected))
        .await;
}

in_parts!(any_one_call_may_fail_lose_its_answer_or_be_the_last);

/// Runs a scenario with one fault.
async fn one_point(which: &CallId, fault: Fault, expected: &Expected) {
    let context = format!("{fault:?} at {which:?} of {:?}", expected.scenario);
    let mut scene = Scene::start(expected.scenario).await;
    plan(&scene.stage, which.clone(), fault);
    scene.all_of_it().await;
    let calls = each_by_itself(&scene.stage.faults.calls());
    assert!(calls.contains(which), "{context}: it was never made");
    assert_eq!(scene.death.is_some(), fault == Fault::KillAfter, "{context}");

    let end = End::of(&scene).await;
    assert!(end == expected.end, "{context}:\n{}", difference(&end, &expected.end));
    published_again_only_where_nothing_said_that_it_was(&scene, which, fault, &context);
    asked_again_only_where_no_answer_was_stored(&scene, which, fault, &expected.questions, &context);

    let spent = RecordedCost::of(&scene).await;
    spent.is_enough_and_not_too_much(&context);
    let (service, operation) = (which.0, which.1.as_str());
    let may_be_open = fault == Fault::KillAfter && ["messages", "UpdateItem"].contains(&operation);
    assert!(spent.open <= usize::from(may_be_open), "{context}: {spent:?}");
    if fault != Fault::KillAfter && service != Service::Http {
        spent.is_exactly_what_was_answered();
    }
}

fn plan(stage: &EngageHarness, which: CallId, fault: Fault) {
    let (service, operation, nth) = which;
    let mut before = 0;
    stage.faults.plan(move |call| {
        if call.service != service || call.operation != operation {
            return None;
        }
        before += 1;
        (before == nth + 1).then_some(fault)
    });
}

fn published_again_only_where_nothing_said_that_it_was(scene: &Scene, which: &CallId, fault: Fault, context: &str) {
    let lost = which.1 == "Publish" && fault == Fault::LoseAnswer;
    let not_noted = |id: &String| scene.death.as_ref().is_some_and(|death: &CrashState| death.not_noted.contains(id));
    let repeated = repeated(scene);
    assert!(repeated.len() <= 1, "{context}: {repeated:?} were published again");
    for id in repeated {
        assert!(lost || not_noted(&id), "{context}: {id} was published again");
    }
}

fn asked_again_only_where_no_answer_was_stored(
    scene: &Scene,
    which: &CallId,
    fault: Fault,
    expected: &BTreeMap<String, usize>,
    context: &str,
) {
    let questions = scene.questions();
    assert!(questions.keys().eq(expected.keys()), "{context}: {questions:?}");
    let more: Vec<&String> =
        questions.iter().filter(|(email, count)| **count > expected[*email]).map(|e| e.0).collect();
    let lost = which.0 == Service::Http && fault == Fault::LoseAnswer;
    let most = usize::from(lost || scene.death.is_some());
    let asked = |questions: &BTreeMap<String, usize>| questions.values().sum::<usize>();
    assert!(more.len() <= most && asked(&questions) <= asked(expected) + most, "{context}: {questions:?}");
    for (email, count) in scene.death.iter().flat_map(|death| &death.decided) {
        assert_eq!(questions.get(email), Some(count), "{context}: asked about {email}, which was decided");
    }
}
