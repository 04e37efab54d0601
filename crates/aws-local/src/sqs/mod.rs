//! An SQS stub with the calls that Rebound and its tests use: standard queues, in the JSON protocol
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html>).
//!
//! A queue exists as soon as it is named. Messages are received in the order in which they became visible, which SQS
//! does not promise.

mod queue;
mod request;
mod time_scale;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, StatusCode};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

pub use self::queue::QueueDepth;
use self::queue::{NotChanged, Queues, ReceiptHandle, Redrive, SqsMessage};
use self::request::{
    INTERNAL, SendEntry, SqsError, Visibility, batch, check_batch_size, entries, message, number, queue_name, text,
};
pub use self::time_scale::TimeScale;
use super::journal::Journal;
use super::server::{Server, json_response};
use super::uuid;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
const ACCOUNT: &str = "000000000000";
const VISIBILITY_TIMEOUT: u64 = 30;

/// Sender of every message here: a user id in IAM's form.
const SENDER: &str = "AIDALOCALLOCALLOCALLO";

/// Pause between two checks of a waiting receive.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The SQS stub.
#[derive(Debug)]
pub struct LocalSqs {
    server: Server,
    state: Arc<SqsState>,
}

#[derive(Debug)]
struct SqsState {
    default_delay: Duration,
    time_scale: Mutex<TimeScale>,
    queues: Queues,
}

impl LocalSqs {
    /// Starts the stub in memory on `address` (port 0: any free port). Messages without their own delay get
    /// `default_delay`, in every queue.
    pub async fn start(address: SocketAddr, default_delay: Duration) -> io::Result<Self> {
        Self::start_with(address, default_delay, Journal::in_memory().map_err(io::Error::other)?).await
    }

    /// Starts the stub with this journal as storage.
    pub async fn start_with(address: SocketAddr, default_delay: Duration, journal: Arc<Journal>) -> io::Result<Self> {
        let state = Arc::new(SqsState { default_delay, time_scale: Mutex::default(), queues: Queues::new(journal) });
        let shared = Arc::clone(&state);
        let server = Server::start(address, move |request| {
            let shared = Arc::clone(&shared);
            async move {
                Ok(match shared.answer(&request).await {
                    Ok(answer) => json_response(StatusCode::OK, CONTENT_TYPE, answer.to_string()),
                    Err(SqsError { code, message }) if code == INTERNAL => {
                        error(StatusCode::INTERNAL_SERVER_ERROR, code, &message)
                    }
                    Err(SqsError { code, message }) => error(StatusCode::BAD_REQUEST, code, &message),
                })
            }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// URL of the stub.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// URL of a queue.
    pub fn queue_url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.url())
    }

    /// Returns the bodies of all messages that ever entered a queue, in order: sent to it, or moved to it as dead
    /// letters. A journal in a file returns only those that it still holds.
    pub fn messages(&self, queue: &str) -> Vec<String> {
        self.state.queues.bodies(queue).unwrap_or_default()
    }

    /// Returns the number of messages in a queue, by state.
    pub fn counts(&self, queue: &str) -> QueueDepth {
        self.state.queues.counts(queue).unwrap_or_default()
    }

    /// Shortens all later times by this factor. Responses and attributes still contain the original times.
    pub fn set_time_scale(&self, time_scale: TimeScale) {
        *self.state.time_scale.lock().unwrap_or_else(PoisonError::into_inner) = time_scale;
    }

    /// Sets the dead-letter queue: a message of `queue` that was received this often, and is visible again, is moved
    /// there by the next receive.
    pub fn set_redrive(&self, queue: &str, dead_letter_queue: &str, max_receive_count: usize) {
        let redrive = Redrive { dead_letters: dead_letter_queue.to_owned(), max_receive_count };
        self.state.queues.set_redrive(queue, redrive);
    }
}

impl SqsState {
    fn time_scale(&self) -> TimeScale {
        *self.time_scale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Request<Bytes>) -> Result<Value, SqsError> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = header("x-amz-target").strip_prefix("AmazonSQS.").unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if operation == "GetQueueUrl" {
            let name = request::checked_name(text(&body, "QueueName")?)?;
            return Ok(json!({ "QueueUrl": format!("http://{}/{ACCOUNT}/{name}", header(HOST.as_str())) }));
        }
        let queue = queue_name(&body)?;
        match operation {
            "SendMessage" => self.send(queue, message(&body)?),
            "SendMessageBatch" => {
                let entries = entries(&body)?;
                check_batch_size(&entries)?;
                Ok(batch(entries, |entry| self.send(queue, message(entry)?)))
            }
            "ReceiveMessage" => self.receive(queue, &body).await,
            "DeleteMessage" => self.delete(queue, &body),
            "DeleteMessageBatch" => Ok(batch(entries(&body)?, |entry| self.delete(queue, entry))),
            "ChangeMessageVisibility" => self.change_visibility(queue, &body),
            "GetQueueAttributes" => self.attributes(queue, &body),
            _ => Err(SqsError::new(
                "AWS.SimpleQueueService.UnsupportedOperation",
                format!("this stub does not support {operation}"),
            )),
        }
    }

    fn send(&self, queue: &str, SendEntry { body, delay }: SendEntry) -> Result<Value, SqsError> {
        let md5 = md5(&body);
        let delay = delay.map_or(self.default_delay, |delay| self.time_scale().shortened(delay));
        let id = self.queues.send(queue, &body, delay)?;
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": md5 }))
    }

    async fn receive(&self, queue: &str, body: &Value) -> Result<Value, SqsError> {
        let at_most = number(body, "MaxNumberOfMessages", 1..=10)?.unwrap_or(1);
        let Visibility(timeout) = Visibility::of(body)?.unwrap_or(Visibility(Duration::from_secs(VISIBILITY_TIMEOUT)));
        let timeout = self.time_scale().visibility(timeout);
        let wait = number(body, "WaitTimeSeconds", 0..=20)?.unwrap_or_default();
        let until = Instant::now() + Duration::from_secs(wait);
        loop {
            let received = self.queues.receive(queue, i64::try_from(at_most).unwrap_or(1), timeout)?;
            if !received.is_empty() || Instant::now() >= until {
                let messages: Vec<Value> = received.iter().map(|message| received_json(message, body)).collect();
                return Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) });
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn delete(&self, queue: &str, entry: &Value) -> Result<Value, SqsError> {
        let receipt = receipt(entry)?;
        self.queues.delete(queue, receipt)?;
        Ok(json!({}))
    }

    fn change_visibility(&self, queue: &str, body: &Value) -> Result<Value, SqsError> {
        let receipt = receipt(body)?;
        let Visibility(timeout) = Visibility::of(body)?.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
        let timeout = self.time_scale().shortened(timeout);
        self.queues.change_visibility(queue, receipt, timeout)?.map_err(|error| match error {
            NotChanged::Gone => SqsError::new(
                "InvalidParameterValue",
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
                 visibility timeout change.",
            ),
            NotChanged::NotInFlight => {
                SqsError::new("AWS.SimpleQueueService.MessageNotInflight", "The message is not in flight.")
            }
        })?;
        Ok(json!({}))
    }

    fn attributes(&self, name: &str, body: &Value) -> Result<Value, SqsError> {
        let (counts, redrive) = (self.queues.counts(name)?, self.queues.redrive(name));
        let mut attributes = BTreeMap::from([
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.not_visible.to_string()),
            ("DelaySeconds", self.default_delay.as_secs().to_string()),
            ("QueueArn", arn(name)),
            ("VisibilityTimeout", VISIBILITY_TIMEOUT.to_string()),
        ]);
        if let Some(Redrive { dead_letters, max_receive_count }) = redrive {
            let policy = json!({ "deadLetterTargetArn": arn(&dead_letters), "maxReceiveCount": max_receive_count });
            attributes.insert("RedrivePolicy", policy.to_string());
        }
        let asked_for = request::names(body, "AttributeNames");
        let known = |name: &&str| *name == "All" || *name == "RedrivePolicy" || attributes.contains_key(*name);
        if let Some(unknown) = asked_for.iter().find(|name| !known(name)) {
            return Err(SqsError::new("InvalidAttributeName", format!("Unknown Attribute {unknown}.")));
        }
        attributes.retain(|name, _| asked_for.iter().any(|asked| asked == name || *asked == "All"));
        Ok(if attributes.is_empty() { json!({}) } else { json!({ "Attributes": attributes }) })
    }
}

/// Parses a receipt handle of any queue: a message of another queue counts as deleted.
fn receipt(entry: &Value) -> Result<ReceiptHandle<'_>, SqsError> {
    let handle = text(entry, "ReceiptHandle")?;
    let invalid =
        || SqsError::new("ReceiptHandleIsInvalid", format!("The input receipt handle \"{handle}\" is not valid."));
    ReceiptHandle::parse(handle).ok_or_else(invalid)
}

/// Builds the JSON of a received message, with the requested attributes.
fn received_json(message: &SqsMessage, request: &Value) -> Value {
    let asked_for = [request::names(request, "AttributeNames"), request::names(request, "MessageSystemAttributeNames")];
    let attributes: Map<String, Value> = [
        ("ApproximateFirstReceiveTimestamp", message.first_received_at.as_millisecond().to_string()),
        ("ApproximateReceiveCount", message.receives.to_string()),
        ("SenderId", SENDER.to_owned()),
        ("SentTimestamp", message.sent_at.as_millisecond().to_string()),
    ]
    .into_iter()
    .filter(|(name, _)| asked_for.concat().iter().any(|asked| asked == name || *asked == "All"))
    .map(|(name, value)| (name.to_owned(), Value::String(value)))
    .collect();
    let mut received = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt_handle(),
        "MD5OfBody": md5(&message.body),
        "Body": message.body,
    });
    if let Some(received) = received.as_object_mut().filter(|_| !attributes.is_empty()) {
        received.insert("Attributes".to_owned(), Value::Object(attributes));
    }
    received
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:{queue}")
}

fn md5(body: &str) -> String {
    hex::encode(Md5::digest(body))
}

/// Builds an error response of SQS. The SDKs read the error code from the header, which has the names of the older
/// query protocol: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-json-faqs.html>.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    let side = if status.is_server_error() { "Receiver" } else { "Sender" };
    let name = match code.rsplit('.').next().unwrap_or(code) {
        "NonExistentQueue" => "QueueDoesNotExist",
        name => name,
    };
    let body = json!({ "__type": format!("com.amazonaws.sqs#{name}"), "message": message });
    let mut response = json_response(status, CONTENT_TYPE, body.to_string());
    for (header, value) in [("x-amzn-query-error", format!("{code};{side}")), ("x-amzn-requestid", uuid())] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header, value);
        }
    }
    response
}
