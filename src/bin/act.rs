//! The Lambda function that sends follow-ups: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use rebound::act::Actor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let actor = Actor::from_environment(variable);
    let actor = Arc::new(actor.inspect_err(|error| tracing::error!(%error, "act can't start"))?);
    lambda_runtime::run(service_fn(move |invocation| {
        let actor = Arc::clone(&actor);
        async move { actor.handle(invocation).await }
    }))
    .await
}
