//! The Lambda function behind the URL of the unsubscribe links: wiring only.

use std::sync::Arc;

use lambda_http::Error;
use rebound::aws::edge;
use rebound::consent::Consent;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let consent = Consent::from_environment(variable).await;
    let consent = Arc::new(consent.inspect_err(|error| tracing::error!(%error, "consent can't start"))?);
    edge::run(move |request| {
        let consent = Arc::clone(&consent);
        async move { consent.handle(request).await }
    })
    .await
}
