//! SDK clients that only the operator's commands need.

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

/// A DynamoDB Streams client, with the SDK's own retries. It uses the endpoint of DynamoDB, as the embedded engine serves both.
pub(super) fn dynamodb_streams(aws: &AwsEnvironment) -> aws_sdk_dynamodbstreams::Client {
    aws_sdk_dynamodbstreams::Client::from_conf(client_config!(aws, aws_sdk_dynamodbstreams, "DYNAMODB").build())
}

/// A Lambda client, with the SDK's own retries.
pub(super) fn lambda(aws: &AwsEnvironment) -> aws_sdk_lambda::Client {
    aws_sdk_lambda::Client::from_conf(client_config!(aws, aws_sdk_lambda, "LAMBDA").build())
}
