//! Failed records are delivered again, records that are done may be, and none is lost.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder::{Feeder, FeederOptions, Invoke, RedeliveryOptions};
use aws_local::sam::Mapping;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{FeederEngine, Recorder, bulk, one_shard, sequence_of};
use crate::support::{EVENTS, any_port, eventually};

#[tokio::test]
async fn from_the_lowest_failure_on_everything_is_delivered_again() {
    let stage = FeederEngine::new().await;
    stage.deliveries("an-email", 0..10).await;
    let failed_once = Mutex::new(false);
    let recorder = Recorder::new(move |invocation| {
        let mut failed_once = failed_once.lock().unwrap();
        if invocation.rows.len() < 8 || std::mem::replace(&mut *failed_once, true) {
            return Ok(json!({ "batchItemFailures": [] }));
        }
        let failures = [7, 4].map(|index| json!({ "itemIdentifier": sequence_of(invocation, index) }));
        Ok(json!({ "batchItemFailures": failures }))
    });
    let feeder = stage.feed(bulk(10), one_shard(), &recorder).await;
    feeder.idle().await;
    let events: Vec<String> = recorder.rows().into_iter().map(|(_, event)| event).collect();
    let expected: Vec<String> = (0..10).chain(4..10).map(|number| format!("email.delivered#{number:05}")).collect();
    assert_eq!(events, expected);
    let figures = feeder.stats();
    assert_eq!((figures.invocations, figures.failures, figures.redelivered), (2, 1, 6));
}

#[tokio::test]
async fn an_unknown_failure_repeats_the_whole_batch_with_pauses() {
    let stage = FeederEngine::new().await;
    stage.deliveries("an-email", 0..3).await;
    let tries = Mutex::new(0);
    let recorder = Recorder::new(move |_| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        let failures = if *tries < 4 { json!([{ "itemIdentifier": "" }]) } else { json!([]) };
        Ok(json!({ "batchItemFailures": failures }))
    });
    let feeder = stage.feed(bulk(3), one_shard(), &recorder).await;
    feeder.idle().await;
    assert_eq!(recorder.sizes(), [3, 3, 3, 3]);
    let times: Vec<Instant> = recorder.invocations().iter().map(|invocation| invocation.at).collect();
    for (index, pause) in [50, 100, 200].into_iter().enumerate() {
        let passed = times[index + 1] - times[index];
        assert!(passed >= Duration::from_millis(pause), "pause {index}: {passed:?}");
    }
}

#[tokio::test]
async fn a_failing_function_gets_halves_until_the_poison_is_alone() {
    let stage = FeederEngine::new().await;
    stage.deliveries("an-email", 0..8).await;
    let cured = Arc::new(Mutex::new(false));
    let is_cured = Arc::clone(&cured);
    let recorder = Recorder::new(move |invocation| {
        let poisoned = invocation.rows.iter().any(|(_, event)| event.ends_with("00005"));
        if poisoned && !*is_cured.lock().unwrap() { Err("boom".to_owned()) } else { Ok(Value::Null) }
    });
    let feeder = stage.feed(bulk(8), one_shard(), &recorder).await;
    eventually("the poison is alone and tried again", async || recorder.sizes().len() > 7).await;
    assert_eq!(recorder.sizes()[..8], [8, 4, 4, 2, 1, 1, 1, 1]);
    let behind = recorder.rows().iter().filter(|(_, event)| event.ends_with("00006")).count();
    assert_eq!(behind, 2, "what is behind the poison waits");
    *cured.lock().unwrap() = true;
    feeder.idle().await;
    assert_eq!(recorder.rows().last().unwrap().1, "email.delivered#00007");
    assert!(feeder.stats().failures >= 4);
}

#[tokio::test]
async fn a_function_that_panics_has_broken_off() {
    let stage = FeederEngine::new().await;
    stage.deliveries("an-email", 0..1).await;
    let calls = Arc::new(Mutex::new(0));
    let invoke = {
        let calls = Arc::clone(&calls);
        move |_: &Mapping| -> Invoke {
            let calls = Arc::clone(&calls);
            Arc::new(move |_| {
                let calls = Arc::clone(&calls);
                Box::pin(async move {
                    let call = {
                        let mut calls = calls.lock().unwrap();
                        *calls += 1;
                        *calls
                    };
                    assert!(call > 1, "on purpose");
                    Ok(Value::Null)
                })
            })
        }
    };
    let feeder = Feeder::start(&stage.0.access, EVENTS, bulk(10), one_shard(), invoke).await.unwrap();
    feeder.idle().await;
    assert_eq!(*calls.lock().unwrap(), 2);
    assert_eq!(feeder.stats().failures, 1);
}

#[tokio::test]
async fn chaos_delivers_again_what_was_done_and_loses_nothing() {
    let stage = FeederEngine::new().await;
    for email in ["a", "b", "c", "d", "e"] {
        stage.deliveries(email, 0..30).await;
    }
    let recorder = Recorder::content();
    let chaos = Some(RedeliveryOptions { redeliver: 0.5, seed: 7 });
    let feeder = stage.feed(bulk(4), FeederOptions { chaos, ..FeederOptions::default() }, &recorder).await;
    feeder.idle().await;
    let rows = recorder.rows();
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), 150);
    assert!(rows.len() > 170, "{}", rows.len());
    assert_eq!(feeder.stats().redelivered, rows.len() as u64 - 150);
    assert_eq!(feeder.stats().failures, 0);
}

#[tokio::test]
async fn what_is_too_old_is_given_up_and_said_so() {
    let stage = FeederEngine::new().await;
    stage.deliveries("an-email", 0..3).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await; // the engine notes whole seconds
    let recorder = Recorder::content();
    let mapping = Mapping { maximum_record_age: Some(Duration::from_secs(1)), ..bulk(10).remove(0) };
    let feeder = stage.feed(vec![mapping], one_shard(), &recorder).await;
    feeder.idle().await;
    assert_eq!(feeder.stats().dropped, 3);
    assert_eq!(recorder.rows(), []);
}

#[tokio::test]
async fn a_restart_goes_on_where_everything_before_was_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let stage = FeederEngine::at(any_port(), &directory.path().join("db")).await;
    let checkpoint = directory.path().join("checkpoint");
    let options = || FeederOptions { checkpoint: Some(checkpoint.clone()), ..one_shard() };
    stage.deliveries("an-email", 0..4).await;
    let first = Recorder::content();
    stage.feed(bulk(10), options(), &first).await.idle().await;
    assert_eq!(first.rows().len(), 4);

    // Records that were not done when it stopped are delivered again, although they were read, and so are the records
    // after them.
    stage.deliveries("an-email", 4..6).await;
    let failing = Recorder::new(|_| Err("not now".to_owned()));
    let feeder = stage.feed(bulk(10), options(), &failing).await;
    eventually("a try", async || !failing.rows().is_empty()).await;
    drop(feeder);

    stage.deliveries("an-email", 6..7).await;
    let second = Recorder::content();
    stage.feed(bulk(10), options(), &second).await.idle().await;
    let events: Vec<String> = second.rows().into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, ["email.delivered#00004", "email.delivered#00005", "email.delivered#00006"]);

    // The checkpoint of another stream is ignored.
    let other = FeederEngine::new().await;
    other.deliveries("an-email", 0..1).await;
    let third = Recorder::content();
    other.feed(bulk(10), options(), &third).await.idle().await;
    assert_eq!(third.rows().len(), 1);
}

#[tokio::test]
async fn while_dynamodb_is_away_it_keeps_trying() {
    let directory = tempfile::tempdir().unwrap();
    let port = tokio::net::TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap();
    let data = directory.path().join("db");
    let stage = FeederEngine::at(port, &data).await;
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(10), one_shard(), &recorder).await;
    stage.deliveries("an-email", 0..1).await;
    feeder.idle().await;
    stage.0.engine.stop().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let stage = FeederEngine::at(port, &data).await;
    stage.deliveries("an-email", 1..2).await;
    feeder.idle().await;
    assert_eq!(recorder.rows().len(), 2);
}
