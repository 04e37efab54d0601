//! Lambda's Runtime API, to run a real binary without Lambda
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

use super::server::{CloseConnection, Reply, Server, json_response};

/// The result of an invocation: the function's response, or the error that it reported.
pub type InvocationResult = Result<Bytes, Bytes>;

/// The Runtime API of one function.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<(String, Bytes)>,
}

#[derive(Debug)]
struct Shared {
    function: String,
    timeout: Duration,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Bytes)>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<InvocationResult>>>,
    first_poll: Mutex<Option<Instant>>,
    polled: Notify,
}

impl RuntimeApi {
    /// Starts the API on a free port, for the function with this name and this timeout.
    ///
    /// # Errors
    /// The operating system has no free port.
    pub async fn start(function: &str, timeout: Duration) -> io::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (queue, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            function: function.to_owned(),
            timeout,
            queue: tokio::sync::Mutex::new(receiver),
            waiting: Mutex::default(),
            first_poll: Mutex::default(),
            polled: Notify::new(),
        });
        let serving = Arc::clone(&shared);
        let server = Server::start(any, move |request| {
            let shared = Arc::clone(&serving);
            async move { shared.answer(request).await }
        })
        .await?;
        Ok(Self { server, shared, queue })
    }

    /// The environment variables that Lambda sets for every function.
    pub fn variables(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.server.address().to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", self.shared.function.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
            ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
        ]
    }

    /// Waits until the function requests its first event, at the end of its init phase. Returns that time.
    pub async fn first_poll(&self) -> Instant {
        loop {
            let polled = self.shared.polled.notified();
            if let Some(at) = *lock(&self.shared.first_poll) {
                return at;
            }
            polled.await;
        }
    }

    /// Sends the function an event, and waits for its result. Returns `None` if the function is gone.
    pub async fn invoke(&self, event: impl Into<Bytes>) -> Option<InvocationResult> {
        let id = format!("{:032x}", fastrand::u128(..));
        let (answer, answered) = oneshot::channel();
        lock(&self.shared.waiting).insert(id.clone(), answer);
        self.queue.send((id, event.into())).ok()?;
        answered.await.ok()
    }
}

impl Shared {
    async fn answer(&self, request: Request<Bytes>) -> Reply {
        let path = request.uri().path().to_owned();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, [_, "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, [_, "runtime", "invocation", id, "response"]) => {
                Ok(self.settle(id, Ok(request.into_body())))
            }
            (&Method::POST, [_, "runtime", "invocation", id, "error"]) => Ok(self.settle(id, Err(request.into_body()))),
            _ => Ok(json_response(StatusCode::NOT_FOUND, "application/json", "{}")),
        }
    }

    async fn next(&self) -> Reply {
        lock(&self.first_poll).get_or_insert_with(Instant::now);
        self.polled.notify_waiters();
        let (id, event) = self.queue.lock().await.recv().await.ok_or(CloseConnection)?;
        let deadline = deadline(self.timeout);
        let arn = format!("arn:aws:lambda:eu-west-1:000000000000:function:{}", self.function);
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline)
            .header("lambda-runtime-invoked-function-arn", arn)
            .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
            .body(Full::new(event))
            .map_err(|_| CloseConnection)
    }

    fn settle(&self, id: &str, answer: InvocationResult) -> Response<Full<Bytes>> {
        if let Some(waiting) = lock(&self.waiting).remove(id) {
            let _ = waiting.send(answer);
        }
        json_response(StatusCode::ACCEPTED, "application/json", "{}")
    }
}

/// Time at which an invocation that begins now is ended, in milliseconds since 1970.
pub fn deadline(timeout: Duration) -> i64 {
    let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    Timestamp::now().as_millisecond().saturating_add(timeout)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
