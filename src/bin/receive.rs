//! The Lambda function behind the URL that Resend posts to: wiring only.

use std::sync::Arc;

use lambda_runtime::{Error, service_fn};
use rebound::aws::AwsEnvironment;
use rebound::config::{ReceiveConfig, SecretPlace};
use rebound::receive::Receiver;
use rebound::secrets::{REREAD_INTERVAL, SecretSource};
use rebound::store::write::Writer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &str| std::env::var(name).ok();
    rebound::logging::init(variable);

    let config = ReceiveConfig::read(variable)?;
    let aws = AwsEnvironment::read(variable)?;
    let writer = Writer::new(aws.dynamodb(), config.events_table, config.suppressions_table);

    // Both connections are opened here, in init, and side by side.
    let secrets = async {
        match config.secret {
            SecretPlace::Environment(secrets) => SecretSource::fixed(secrets),
            SecretPlace::Manager(arn) => SecretSource::from_manager(aws.secrets_manager(), arn, REREAD_INTERVAL).await,
        }
    };
    let (secrets, ()) = tokio::join!(secrets, writer.warm_up());

    let receiver = Arc::new(Receiver::new(secrets, writer, config.retention_days));
    lambda_runtime::run(service_fn(move |invocation| {
        let receiver = Arc::clone(&receiver);
        async move { receiver.handle(invocation).await }
    }))
    .await
}
