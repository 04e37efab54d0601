//! Any one call of the whole flow may fail before it is applied, lose its answer, or be the last that the function makes.

mod end;
mod queue;
mod scene;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rebound::local::faults::{Call, Fault, Service};

use self::end::{End, Spent, difference, repeated};
use self::scene::{Death, Scene};
use super::Stage;
use crate::support::WHOLE_MACHINE;

const FAULTS: [Fault; 3] = [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter];

/// A call: which service, which operation, and how many of these were before it. Not its place among all calls: messages are looked
/// at side by side, and the place would be another call's each time.
type Which = (Service, String, usize);

fn each_by_itself(calls: &[Call]) -> Vec<Which> {
    let mut before = BTreeMap::<(Service, &str), usize>::new();
    let mut nth = |call| {
        let count = before.entry(call).or_default();
        *count += 1;
        *count - 1
    };
    calls.iter().map(|call| (call.service, call.operation.clone(), nth((call.service, &call.operation)))).collect()
}

/// What must be so without a fault, and hardly different with one.
struct Expected {
    end: End,
    questions: BTreeMap<String, usize>,
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_call_of_the_whole_flow_may_fail_lose_its_answer_or_be_the_last() {
    let _alone = WHOLE_MACHINE.lock().await;
    let mut scene = Scene::start().await;
    scene.all_of_it().await;
    let expected = Arc::new(Expected { end: End::of(&scene).await, questions: scene.questions() });
    scene::is_what_it_is_for(&expected.end, &expected.questions);
    assert_eq!(repeated(&scene), Vec::<String>::new());
    Spent::of(&scene).await.is_exactly_what_was_answered();
    let calls = each_by_itself(&scene.stage.faults.calls());
    for service in [Service::DynamoDb, Service::Sns, Service::Sqs, Service::Claude] {
        assert!(calls.iter().any(|call| call.0 == service), "{service:?} was never called");
    }

    let points: Arc<Vec<(Which, Fault)>> =
        Arc::new(calls.iter().flat_map(|which| FAULTS.map(|fault| (which.clone(), fault))).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (points, next, expected) = (Arc::clone(&points), Arc::clone(&next), Arc::clone(&expected));
        workers.spawn(async move {
            let mut tried = BTreeMap::<Service, usize>::new();
            while let Some((which, fault)) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                one_point(which, *fault, &expected).await;
                *tried.entry(which.0).or_default() += 1;
            }
            tried
        });
    }
    let mut tried = BTreeMap::<Service, usize>::new();
    while let Some(worker) = workers.join_next().await {
        for (service, count) in worker.unwrap() {
            *tried.entry(service).or_default() += count;
        }
    }
    // Not with `println!`, which the test harness keeps to itself where all is well.
    let told = format!("{} points tried, three faults at each of {} calls: {tried:?}\n", points.len(), calls.len());
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    assert_eq!(tried.values().sum::<usize>(), points.len());
}

/// The whole flow with one fault.
async fn one_point(which: &Which, fault: Fault, expected: &Expected) {
    let context = format!("{fault:?} at {which:?}");
    let mut scene = Scene::start().await;
    plan(&scene.stage, which.clone(), fault);
    scene.all_of_it().await;
    let calls = each_by_itself(&scene.stage.faults.calls());
    assert!(calls.contains(which), "{context}: it was never made");
    assert_eq!(scene.death.is_some(), fault == Fault::KillAfter, "{context}");

    let end = End::of(&scene).await;
    assert!(end == expected.end, "{context}:\n{}", difference(&end, &expected.end));
    published_again_only_where_nothing_said_that_it_was(&scene, which, fault, &context);
    asked_again_only_where_no_answer_was_stored(&scene, which, fault, &expected.questions, &context);

    let spent = Spent::of(&scene).await;
    spent.is_enough_and_not_too_much(&context);
    let (service, operation) = (which.0, which.1.as_str());
    let may_be_open = fault == Fault::KillAfter && ["messages", "UpdateItem"].contains(&operation);
    assert!(spent.open <= usize::from(may_be_open), "{context}: {spent:?}");
    if fault != Fault::KillAfter && service != Service::Claude {
        spent.is_exactly_what_was_answered();
    }
}

fn plan(stage: &Stage, which: Which, fault: Fault) {
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

fn published_again_only_where_nothing_said_that_it_was(scene: &Scene, which: &Which, fault: Fault, context: &str) {
    let lost = which.1 == "Publish" && fault == Fault::LoseAnswer;
    let not_noted = |id: &String| scene.death.as_ref().is_some_and(|death: &Death| death.not_noted.contains(id));
    let repeated = repeated(scene);
    assert!(repeated.len() <= 1, "{context}: {repeated:?} were published again");
    for id in repeated {
        assert!(lost || not_noted(&id), "{context}: {id} was published again");
    }
}

fn asked_again_only_where_no_answer_was_stored(
    scene: &Scene,
    which: &Which,
    fault: Fault,
    expected: &BTreeMap<String, usize>,
    context: &str,
) {
    let questions = scene.questions();
    assert!(questions.keys().eq(expected.keys()), "{context}: {questions:?}");
    let more: Vec<&String> =
        questions.iter().filter(|(email, count)| **count > expected[*email]).map(|e| e.0).collect();
    let lost = which.0 == Service::Claude && fault == Fault::LoseAnswer;
    let most = usize::from(lost || scene.death.is_some());
    let asked = |questions: &BTreeMap<String, usize>| questions.values().sum::<usize>();
    assert!(more.len() <= most && asked(&questions) <= asked(expected) + most, "{context}: {questions:?}");
    for (email, count) in scene.death.iter().flat_map(|death| &death.decided) {
        assert_eq!(questions.get(email), Some(count), "{context}: asked about {email}, which was decided");
    }
}
