//! The Lambda function behind the queue of opens and clicks: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use rebound::engage::Engager;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let engager = Engager::from_environment(variable);
    let engager = Arc::new(engager.inspect_err(|error| tracing::error!(%error, "engage can't start"))?);
    engager.warm_up().await;
    lambda_runtime::run(service_fn(move |invocation| {
        let engager = Arc::clone(&engager);
        async move { engager.handle(invocation).await }
    }))
    .await
}
