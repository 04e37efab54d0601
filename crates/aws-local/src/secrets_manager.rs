//! A Secrets Manager stub with `GetSecretValue` and `PutSecretValue`
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::server::{Server, json_response};
use super::uuid;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// A Secrets Manager in memory.
#[derive(Debug)]
pub struct LocalSecretsManager {
    server: Server,
    state: Arc<Mutex<SecretsState>>,
}

#[derive(Debug, Default)]
struct SecretsState {
    /// The secrets, by name or ARN. `None` if the secret exists without a value.
    secrets: BTreeMap<String, Option<Version>>,
    reads: usize,
}

/// A secret's value.
#[derive(Debug)]
struct Version {
    id: String,
    text: String,
    created_at: Timestamp,
}

impl Version {
    fn new(text: &str) -> Self {
        Self { id: uuid(), text: text.to_owned(), created_at: Timestamp::now() }
    }
}

impl LocalSecretsManager {
    /// Starts the stub on a free port.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(SecretsState::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let operation =
                request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
            let reply = answer(&shared, operation.as_deref(), request.body());
            async move { Ok(json_response(reply.0, CONTENT_TYPE, reply.1.to_string())) }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// URL of the stub.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Stores a secret's value, by its name or ARN.
    pub fn put(&self, id: &str, secret_string: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.secrets.insert(id.to_owned(), Some(Version::new(secret_string)));
    }

    /// Removes a secret's value, as before the first one is set.
    pub fn clear(&self, id: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).secrets.insert(id.to_owned(), None);
    }

    /// Number of reads of secrets so far.
    pub fn reads(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reads
    }
}

fn answer(state: &Mutex<SecretsState>, operation: Option<&str>, body: &[u8]) -> (StatusCode, Value) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = request.get("SecretId").and_then(Value::as_str).unwrap_or_default();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let is_read = match operation {
        Some("secretsmanager.GetSecretValue") => true,
        Some("secretsmanager.PutSecretValue") => false,
        _ => {
            let message = "this stub supports only GetSecretValue and PutSecretValue";
            return (StatusCode::BAD_REQUEST, json!({ "__type": "InvalidRequestException", "message": message }));
        }
    };
    state.reads += usize::from(is_read);
    let not_found =
        |message: &str| (StatusCode::BAD_REQUEST, json!({ "__type": "ResourceNotFoundException", "message": message }));
    let Some(secret) = state.secrets.get_mut(id) else {
        return not_found("Secrets Manager can't find the specified secret.");
    };
    if !is_read {
        *secret = Some(Version::new(request.get("SecretString").and_then(Value::as_str).unwrap_or_default()));
    }
    let Some(Version { id: version, text, created_at }) = secret else {
        return not_found("Secrets Manager can't find the specified secret value for staging label: AWSCURRENT");
    };
    let mut answer = json!({ "ARN": id, "Name": id, "VersionId": version, "VersionStages": ["AWSCURRENT"] });
    if let (true, Some(answer)) = (is_read, answer.as_object_mut()) {
        let seconds = created_at.as_millisecond() as f64 / 1_000.0;
        answer.extend([("SecretString".to_owned(), json!(text)), ("CreatedDate".to_owned(), json!(seconds))]);
    }
    (StatusCode::OK, answer)
}
