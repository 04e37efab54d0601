//! The Lambda function behind the URL that Resend posts to: wiring only.

use std::sync::Arc;

use lambda_http::Error;
use rebound::aws::edge;
use rebound::receive::Receiver;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);
    let receiver = Receiver::from_environment(variable).await;
    let receiver = Arc::new(receiver.inspect_err(|error| tracing::error!(%error, "receive can't start"))?);
    edge::run(move |request| {
        let receiver = Arc::clone(&receiver);
        async move { receiver.handle(request).await }
    })
    .await
}
