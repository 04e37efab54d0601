//! The client for Resend's API, and the Resend in memory, against what is known of the real one.

mod calls;
mod door;
mod lists;
mod reports;

use std::sync::{Arc, Mutex};

use aws_local::server::Server;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::support::any_port;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) method: String,
    /// The path and the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// Null, where it is no JSON.
    pub(crate) body: Value,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A status and a body, in place of Resend's answer.
pub(crate) type ScriptedResponse = (u16, String);

/// A server that answers what it is told to, and keeps what came.
pub(crate) struct Scripted {
    server: Server,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Scripted {
    pub(crate) async fn start(answer: impl FnMut(&Came) -> ScriptedResponse + Send + 'static) -> Self {
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let keeping = Arc::clone(&came);
        let answer = Arc::new(Mutex::new(answer));
        let server = Server::start(any_port(), move |request| {
            let came = Came {
                method: request.method().to_string(),
                path: request.uri().path_and_query().unwrap().to_string(),
                headers: request.headers().clone(),
                body: serde_json::from_slice(request.body()).unwrap_or_default(),
            };
            let (status, body) = (answer.lock().unwrap())(&came);
            keeping.lock().unwrap().push(came);
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            // So that what is tried again is tried at once.
            response.headers_mut().insert("retry-after", "0".parse().unwrap());
            async move { Ok(response) }
        });
        Self { server: server.await.unwrap(), came }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The requests that came since this was asked last.
    pub(crate) fn came(&self) -> Vec<Came> {
        std::mem::take(&mut self.came.lock().unwrap())
    }
}
