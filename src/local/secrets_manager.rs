//! Secrets Manager, as far as Rebound calls it: `GetSecretValue` and `PutSecretValue`
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::server::{Server, json_response};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// A Secrets Manager in memory.
#[derive(Debug)]
pub struct LocalSecretsManager {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    secrets: BTreeMap<String, String>,
    reads: usize,
}

impl LocalSecretsManager {
    /// Starts one on any free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
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

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Puts a secret, by its name or ARN.
    pub fn put(&self, id: &str, secret_string: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.secrets.insert(id.to_owned(), secret_string.to_owned());
    }

    /// Takes a secret's value away, as it is before anybody has put one.
    pub fn clear(&self, id: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).secrets.remove(id);
    }

    /// How often a secret was asked for.
    pub fn reads(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reads
    }
}

fn answer(state: &Mutex<State>, operation: Option<&str>, body: &[u8]) -> (StatusCode, Value) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let id = request.get("SecretId").and_then(Value::as_str).unwrap_or_default();
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    match operation {
        Some("secretsmanager.GetSecretValue") => {}
        Some("secretsmanager.PutSecretValue") => {
            let secret = request.get("SecretString").and_then(Value::as_str).unwrap_or_default();
            state.secrets.insert(id.to_owned(), secret.to_owned());
            return (StatusCode::OK, json!({ "ARN": id, "Name": id, "VersionStages": ["AWSCURRENT"] }));
        }
        _ => {
            let message = "this stand-in answers GetSecretValue and PutSecretValue only";
            return (StatusCode::BAD_REQUEST, json!({ "__type": "InvalidRequestException", "message": message }));
        }
    }
    state.reads += 1;
    match state.secrets.get(id) {
        Some(secret) => {
            (StatusCode::OK, json!({ "ARN": id, "Name": id, "SecretString": secret, "VersionStages": ["AWSCURRENT"] }))
        }
        None => {
            let message = "Secrets Manager can't find the specified secret.";
            (StatusCode::BAD_REQUEST, json!({ "__type": "ResourceNotFoundException", "message": message }))
        }
    }
}
