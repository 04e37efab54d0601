//! Only `type` and `data` are required: whatever else is missing or invalid, an event is handled, and stored byte for
//! byte.

use std::collections::HashMap;
use std::sync::Arc;

use rebound::store::row;
use rebound_dev::samples;
use serde_json::{Value, json};

use crate::support::{ReceiveHarness, WHOLE_MACHINE, signed};

/// Replacement values of a field: every type of JSON.
fn others() -> Vec<Option<Value>> {
    let mut others = vec![None];
    others.extend(
        [
            json!(null),
            json!(7),
            json!(-0.5),
            json!("odd"),
            json!(""),
            json!(true),
            json!([]),
            json!({}),
            json!([null, {"a": []}]),
        ]
        .map(Some),
    );
    others
}

/// All paths into a value, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (format!("{at}/{index}"), value)).collect()
        }
        _ => Vec::new(),
    };
    for (pointer, child) in children {
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

fn mangled(sample: &Value, pointer: &str, other: Option<Value>) -> Value {
    let mut mangled = sample.clone();
    if let Some(other) = other {
        *mangled.pointer_mut(pointer).unwrap() = other;
        return mangled;
    }
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match mangled.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!("only objects and arrays have children"),
    }
    mangled
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_with_any_field_changed_is_handled() {
    let _alone = WHOLE_MACHINE.lock().await;
    let service = Arc::new(ReceiveHarness::start().await);
    let mut bodies = Vec::new();
    for event_type in samples::types() {
        let sample: Value = serde_json::from_slice(samples::body(event_type).unwrap()).unwrap();
        let mut found = Vec::new();
        pointers(&sample, "", &mut found);
        for pointer in found.iter().filter(|pointer| !matches!(pointer.as_str(), "/type" | "/data")) {
            bodies.extend(others().into_iter().map(|other| mangled(&sample, pointer, other).to_string().into_bytes()));
        }
    }
    let bodies = Arc::new(bodies);
    let workers = 8;
    let posted = (0..workers).map(|worker| {
        let (service, bodies) = (Arc::clone(&service), Arc::clone(&bodies));
        tokio::spawn(async move {
            let mut posted = HashMap::new();
            for body in bodies.iter().skip(worker).step_by(workers) {
                let message = signed(body.clone());
                let answer = service.invoke(&message).await;
                let expected = (200, json!({ "status": "handled", "id": message.id }));
                assert_eq!(answer, expected, "{}", String::from_utf8_lossy(body));
                posted.insert(message.id, message.body);
            }
            posted
        })
    });
    let mut expected = HashMap::new();
    for worker in posted.collect::<Vec<_>>() {
        expected.extend(worker.await.unwrap());
    }
    println!("{} mangled events", expected.len());
    assert_eq!(expected.len(), bodies.len());
    let stored: HashMap<String, Vec<u8>> = service
        .rows()
        .await
        .iter()
        .map(|row| {
            (
                row["event"].as_s().unwrap().rsplit('#').next().unwrap().to_owned(),
                row::payload(row).unwrap().into_owned(),
            )
        })
        .collect();
    assert!(stored == expected, "every one is stored byte for byte");
}
