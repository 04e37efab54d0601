//! The Lambda function behind the events table's stream and the schedule: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use rebound::protect::Protector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let protector = Protector::from_environment(variable);
    let protector = Arc::new(protector.inspect_err(|error| tracing::error!(%error, "protect can't start"))?);
    protector.warm_up().await;
    lambda_runtime::run(service_fn(move |invocation| {
        let protector = Arc::clone(&protector);
        async move { protector.handle(invocation).await }
    }))
    .await
}
