//! SDK clients that only the operator's command needs.

use aws_sdk_dynamodb::config::Intercept;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use rebound::aws::AwsEnvironment;
use rebound::client_config;

/// A CloudFormation client, with the SDK's own retries.
pub(super) fn cloudformation(aws: &AwsEnvironment) -> aws_sdk_cloudformation::Client {
    aws_sdk_cloudformation::Client::from_conf(client_config!(aws, aws_sdk_cloudformation, "CLOUDFORMATION").build())
}

/// A CloudWatch client, with the SDK's own retries.
pub(super) fn cloudwatch(aws: &AwsEnvironment) -> aws_sdk_cloudwatch::Client {
    aws_sdk_cloudwatch::Client::from_conf(client_config!(aws, aws_sdk_cloudwatch, "CLOUDWATCH").build())
}

/// A Lambda client, with the SDK's own retries.
pub(super) fn lambda(aws: &AwsEnvironment) -> aws_sdk_lambda::Client {
    aws_sdk_lambda::Client::from_conf(client_config!(aws, aws_sdk_lambda, "LAMBDA").build())
}

/// A DynamoDB client as [`AwsEnvironment::dynamodb`], whose calls are watched.
pub(super) fn dynamodb_watched(aws: &AwsEnvironment, watch: impl Intercept + 'static) -> aws_sdk_dynamodb::Client {
    let config = client_config!(aws, aws_sdk_dynamodb, "DYNAMODB").retry_config(RetryConfig::disabled());
    aws_sdk_dynamodb::Client::from_conf(config.interceptor(watch).build())
}

/// An SNS client as [`AwsEnvironment::sns`], whose calls are watched.
pub(super) fn sns_watched(aws: &AwsEnvironment, watch: impl Intercept + 'static) -> aws_sdk_sns::Client {
    let config = client_config!(aws, aws_sdk_sns, "SNS").retry_config(RetryConfig::disabled());
    aws_sdk_sns::Client::from_conf(config.interceptor(watch).build())
}

/// An SQS client as [`AwsEnvironment::sqs`], whose calls are watched.
pub(super) fn sqs_watched(aws: &AwsEnvironment, watch: impl Intercept + 'static) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::from_conf(client_config!(aws, aws_sdk_sqs, "SQS").interceptor(watch).build())
}
