//! Any one call of an opt-out may fail before it is applied, lose its response, be shown half, or be the last one: an
//! opt-out that was answered 200 is there, with its audit row and its push, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use aws_local::faults::{Call, Fault, Half, HalfResponse};
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::{Item, number, text};

use super::{ANN, ConsentHarness, ConsentRequest, ConsentResponse, link_of};

const FAULTS: [Fault; 6] =
    [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter, Fault::Conflict, Fault::Throttle, Fault::ServerError];

const fn half(late: usize, response: HalfResponse) -> Fault {
    Fault::ShowHalf(Half { late, span: Duration::from_millis(40), response })
}

/// Each item of the transaction becomes visible late, with the response lost or not.
const HALVES: [Fault; 8] = [
    half(0, HalfResponse::None),
    half(1, HalfResponse::None),
    half(2, HalfResponse::None),
    half(3, HalfResponse::None),
    half(0, HalfResponse::AfterCommit),
    half(1, HalfResponse::AfterCommit),
    half(2, HalfResponse::AfterCommit),
    half(3, HalfResponse::AfterCommit),
];

/// State of the tables before the opt-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// The recipient was opted out, and that was lifted; somebody else was forgotten.
    Known,
}

impl Before {
    async fn stage(self) -> ConsentHarness {
        let stage = ConsentHarness::start().await;
        if self == Self::Known {
            let record = [("at", number(1)), ("message_id", text("msg_1")), ("lifted_at", number(2))];
            let record = record.into_iter().chain([("lifted_by", text("msg_2"))]);
            let record: Item = record.map(|(name, value)| (name.to_owned(), value)).collect();
            let item = [("recipient", text(ANN)), ("opted_out", AttributeValue::M(record)), ("version", number(3))];
            stage.put("SUPPRESSIONS_TABLE", item.map(|(name, value)| (name.to_owned(), value)).into()).await;
            let key = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([9; 32]));
            let item = [("recipient", text("#forgotten-key")), ("key", key)];
            stage.put("SUPPRESSIONS_TABLE", item.map(|(name, value)| (name.to_owned(), value)).into()).await;
        }
        stage
    }
}

/// Everything that is stored, without what is random: the ids, and the first version of an item.
async fn stored(stage: &ConsentHarness) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for mut item in stage.everything().await {
        if let Some(AttributeValue::M(reason)) = item.get_mut("opted_out") {
            let id = reason.insert("message_id".to_owned(), text("id")).unwrap();
            assert!(id.as_s().unwrap().starts_with("consent-") || id == text("msg_1"), "{id:?}");
        }
        if item.get("version").is_some_and(|version| *version != number(4)) {
            item.insert("version".to_owned(), text("random"));
        }
        for name in ["event", "noted"] {
            if let Some(AttributeValue::S(event)) = item.get_mut(name) {
                event.truncate(event.rfind('#').unwrap());
            }
        }
        let sorted = |item: Item| item.into_iter().collect::<BTreeMap<_, _>>();
        let reason = item.remove("opted_out").map(|reason| sorted(reason.as_m().unwrap().clone()));
        let line = format!("{:?} {reason:?}", sorted(item));
        assert!(all.insert(line.clone()), "twice: {line}");
    }
    all
}

/// The request, made again until it is answered 200, as a person or a mail provider may. At a crash it ends.
async fn until_done(stage: &ConsentHarness) -> usize {
    let link = link_of(ANN);
    for tries in 1..=5 {
        let answer: Option<ConsentResponse> = tokio::select! {
            answer = stage.ask(ConsentRequest::one_click(&link)) => Some(answer),
            () = stage.faults.killed(), if tries == 1 => None,
        };
        match answer {
            Some(answer) if answer.status == 200 => return tries,
            Some(answer) => assert_eq!(answer.status, 503),
            // A call in flight at the crash may still be applied.
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("never answered 200");
}

#[tokio::test]
async fn any_one_call_may_fail_lose_its_answer_be_shown_half_or_be_the_last() {
    let mut points = 0;
    for before in [Before::Nothing, Before::Known] {
        let stage = before.stage().await;
        assert_eq!(until_done(&stage).await, 1);
        let (expected, calls) = (stored(&stage).await, stage.faults.calls());
        let transactions = |calls: &[Call]| calls.iter().filter(|call| call.operation == "TransactWriteItems").count();
        assert_eq!((calls.len(), transactions(&calls)), (3, 1), "{calls:?}");
        for (index, call) in calls.iter().enumerate() {
            let halves: &[Fault] = if call.operation == "TransactWriteItems" { &HALVES } else { &[] };
            for fault in FAULTS.iter().chain(halves) {
                let (fault, stage) = (*fault, before.stage().await);
                stage.proxy.plan(move |call| (call.index == index).then_some(fault));
                until_done(&stage).await;
                // As it is at this very moment, and when it is asked again.
                let why = format!("{before:?}, {fault:?} at {call:?}");
                assert_eq!(stored(&stage).await, expected, "{why}");
                stage.proxy.plan(|_| None);
                assert_eq!(stage.ask(ConsentRequest::button(&link_of(ANN))).await.status, 200);
                assert_eq!(stored(&stage).await, expected, "{why}, and again");
                points += 1;
            }
        }
    }
    std::io::stderr().write_all(format!("consent: {points} points\n").as_bytes()).unwrap();
}

#[tokio::test]
async fn what_is_never_answered_200_is_not_claimed_to_be_stored() {
    for fault in [Fault::RefuseBefore, Fault::LoseAnswer, Fault::ServerError] {
        let stage = Before::Nothing.stage().await;
        stage.proxy.plan(move |call| (call.operation == "TransactWriteItems").then_some(fault));
        assert_eq!(stage.ask(ConsentRequest::one_click(&link_of(ANN))).await.status, 503, "{fault:?}");
        stage.proxy.plan(|_| None);
        assert_eq!(stage.ask(ConsentRequest::one_click(&link_of(ANN))).await.status, 200, "{fault:?}");
        assert_eq!(stage.everything().await.len(), 3, "{fault:?}");
    }
}
