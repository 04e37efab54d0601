//! DynamoDB's HTTP API with plain JSON, for local engines. It accepts the template's table definitions, and returns
//! stream records in Lambda's format. The SDK's types support neither.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::RequestBuilder;
use serde_json::Value;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A failed DynamoDB call.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {endpoint}: {why}")]
pub struct DynamoDbApiError {
    operation: String,
    endpoint: String,
    why: String,
}

impl DynamoDbApiError {
    /// Returns true if the response is this DynamoDB error.
    pub(super) fn is(&self, code: &str) -> bool {
        self.why.contains(code)
    }
}

/// Address and credentials of a DynamoDB.
#[derive(Clone, Debug)]
pub struct Access {
    /// URL of the engine: `http://127.0.0.1:8000`.
    pub endpoint: String,
    /// Region of the signatures.
    pub region: String,
    /// Credentials of the requests.
    pub credentials: Credentials,
}

/// A client with one persistent connection. It signs as the SDK's clients do, with the same region and credentials,
/// because some engines separate tables by both.
#[derive(Clone, Debug)]
pub(super) struct DynamoDbApi {
    http: reqwest::Client,
    access: Access,
}

impl DynamoDbApi {
    pub(super) fn new(access: &Access) -> Self {
        Self { http: crate::http_client(&access.endpoint), access: access.clone() }
    }

    /// Makes one call, such as `DynamoDB_20120810.CreateTable`.
    pub(super) async fn call(&self, operation: &str, request: &Value) -> Result<Value, DynamoDbApiError> {
        let failed = |why: String| DynamoDbApiError {
            operation: operation.to_owned(),
            endpoint: self.access.endpoint.clone(),
            why,
        };
        let request = self.signed(operation, request.to_string()).map_err(failed)?;
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        let done = answer.status().is_success();
        let body = answer.bytes().await.map_err(|error| failed(error.to_string()))?;
        if !done {
            return Err(failed(String::from_utf8_lossy(&body).into_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }

    /// Builds the signed request of a call
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
    fn signed(&self, operation: &str, body: String) -> Result<RequestBuilder, String> {
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", operation)];
        let identity = self.access.credentials.clone().into();
        let signing = v4::SigningParams::builder().identity(&identity).region(&self.access.region).name("dynamodb");
        let signing = signing.time(SystemTime::now()).settings(SigningSettings::default()).build();
        let signing = signing.map_err(|error| error.to_string())?.into();
        let content = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new("POST", &self.access.endpoint, headers.into_iter(), content);
        let signed = signable.and_then(|signable| sign(signable, &signing)).map_err(|error| error.to_string())?;
        let (instructions, _) = signed.into_parts();
        let (signature, _) = instructions.into_parts();
        let request = self.http.post(&self.access.endpoint);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = signature.iter().fold(request, |request, header| request.header(header.name(), header.value()));
        Ok(request.body(body))
    }
}
