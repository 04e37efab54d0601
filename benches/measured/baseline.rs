//! The baseline: the same runtime and the same client doing one bare conditional `PutItem` of the same row, and nothing
//! else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use rebound::aws::AwsEnvironment;
use rebound::store::write::Writer;
use serde::Deserialize;
use serde_json::{Value, json};

const PAYLOAD: &str = include_str!("../../events/email.delivered.json");

/// An event whose content is ignored.
#[derive(Deserialize)]
struct Unread {}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let table = variable("EVENTS_TABLE").ok_or("EVENTS_TABLE is not set")?;
    let client = AwsEnvironment::read(variable)?.dynamodb();
    Writer::new(client.clone(), table.clone(), String::new()).warm_up().await;
    // A random start: rows of an earlier run may exist.
    let count = Arc::new(AtomicU64::new(fastrand::u64(..1 << 39)));
    lambda_runtime::run(service_fn(move |_: LambdaEvent<Unread>| {
        let (client, table, count) = (client.clone(), table.clone(), Arc::clone(&count));
        async move {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let text = |text: String| AttributeValue::S(text);
            client
                .put_item()
                .table_name(table)
                .item("email_id", text(format!("0b6f3d52-9c1e-4a77-8f0d-{number:012}")))
                .item("event", text(format!("email.delivered#msg_{number:027}")))
                .item("kind", text("event".to_owned()))
                .item("payload", text(PAYLOAD.to_owned()))
                .item("received_at", AttributeValue::N("1795390873456".to_owned()))
                .item("expires_at", AttributeValue::N("1803166873".to_owned()))
                .condition_expression("attribute_not_exists(email_id)")
                .send()
                .await?;
            Ok::<Value, Error>(json!({ "statusCode": 200 }))
        }
    }))
    .await
}
