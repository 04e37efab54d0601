//! The error responses of each service.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Fault, Service};
use crate::server::json_response;
use crate::{sns, sqs};

const MESSAGE: &str = "injected by the fault proxy";

/// Builds the response to a call with this fault.
pub(super) fn of(service: Service, fault: Fault, operation: &str, body: &[u8]) -> Response<Full<Bytes>> {
    match service {
        Service::DynamoDb => of_dynamodb(fault, operation, body),
        // https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html
        Service::Sns => {
            let (status, code) = match fault {
                Fault::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
                Fault::Invalid => (StatusCode::BAD_REQUEST, "InvalidParameter"),
                _ => (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
            };
            sns::error(status, code, MESSAGE)
        }
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
        Service::Sqs => {
            let (status, code) = match fault {
                Fault::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
                Fault::Invalid => (StatusCode::BAD_REQUEST, "InvalidParameterValue"),
                _ => (StatusCode::BAD_REQUEST, "RequestThrottled"),
            };
            sqs::error(status, code, MESSAGE)
        }
        Service::Http => {
            let (status, kind) = match fault {
                Fault::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
                Fault::Invalid => (StatusCode::BAD_REQUEST, "invalid_request_error"),
                _ => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
            };
            let body = json!({ "type": "error", "error": { "type": kind, "message": MESSAGE } });
            let mut response = json_response(status, "application/json", body.to_string());
            if status == StatusCode::TOO_MANY_REQUESTS {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

fn of_dynamodb(fault: Fault, operation: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let is_transaction = matches!(operation, "TransactWriteItems" | "TransactGetItems");
    let (status, code) = match fault {
        Fault::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Fault::Invalid => (StatusCode::BAD_REQUEST, "ValidationException"),
        Fault::Conflict if is_transaction => return cancelled(body, "TransactionConflict"),
        Fault::Conflict => (StatusCode::BAD_REQUEST, "TransactionConflictException"),
        _ if is_transaction => return cancelled(body, "ThrottlingError"),
        _ => (StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
    };
    dynamodb(status, &json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": MESSAGE }))
}

/// Builds the response to a transaction that is cancelled because of its last item.
fn cancelled(body: &[u8], code: &str) -> Response<Full<Bytes>> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = request.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
    let mut reasons = vec![json!({ "Code": "None" }); items.saturating_sub(1)];
    reasons.push(json!({ "Code": code, "Message": MESSAGE }));
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    dynamodb(StatusCode::BAD_REQUEST, &body)
}

fn dynamodb(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    json_response(status, "application/x-amz-json-1.0", body.to_string())
}
