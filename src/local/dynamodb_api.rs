//! DynamoDB's HTTP API with plain JSON, for local engines: it takes the template's own definitions, and answers a stream's records
//! as Lambda hands them over, neither of which the SDK's types do.

use serde_json::Value;

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {endpoint}: {why}")]
pub struct CallError {
    operation: String,
    endpoint: String,
    why: String,
}

impl CallError {
    /// Whether the answer was this error of DynamoDB's.
    pub(super) fn is(&self, code: &str) -> bool {
        self.why.contains(code)
    }
}

/// A client that keeps its connection.
#[derive(Clone, Debug)]
pub(super) struct DynamoDbApi {
    http: reqwest::Client,
    endpoint: String,
}

impl DynamoDbApi {
    pub(super) fn new(endpoint: &str) -> Self {
        Self { http: crate::web::client(), endpoint: endpoint.to_owned() }
    }

    /// One call: `DynamoDB_20120810.CreateTable` or the like.
    pub(super) async fn call(&self, operation: &str, request: &Value) -> Result<Value, CallError> {
        let failed = |why: String| CallError { operation: operation.to_owned(), endpoint: self.endpoint.clone(), why };
        let answer = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", operation)
            .header("content-type", "application/x-amz-json-1.0")
            // Local engines want a signature to be there, and don't check it.
            .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
            .header("x-amz-date", "20260101T000000Z")
            .body(request.to_string())
            .send()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let done = answer.status().is_success();
        let body = answer.bytes().await.map_err(|error| failed(error.to_string()))?;
        if !done {
            return Err(failed(String::from_utf8_lossy(&body).into_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}
