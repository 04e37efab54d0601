//! An SNS stub with `Publish` and `PublishBatch` to a topic
//! (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>), `Subscribe`, and `GetTopicAttributes` with the number of subscriptions.
//!
//! Every topic exists, and nothing is delivered. Published messages are stored, and a `GET` returns them: all, or, with
//! `?after=1000&most=500`, the five hundred after the first thousand.

mod batch;
mod request;
mod subscriptions;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use self::request::{SnsError, read, refused};
use self::subscriptions::Subscriptions;
use super::journal::Journal;
use super::server::{Server, json_response};
use super::uuid;

const CONTENT_TYPE: &str = "text/xml";

/// Maximum number of messages that a subscriber may lag behind before it misses some.
const LAG: usize = 1_024;

/// A message that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The topic.
    pub topic_arn: String,
    /// The subject line of emails.
    pub subject: Option<String>,
    /// The message; with the structure `json`, the messages by protocol.
    pub message: String,
    /// `json`, or `None`.
    pub structure: Option<String>,
    /// Values of the message attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// Time of the publication.
    #[serde(with = "milliseconds")]
    pub at: Timestamp,
    /// The message id that SNS returned.
    pub message_id: String,
}

/// A time as milliseconds since 1970.
mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millisecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl Published {
    /// Returns the text for a protocol: `email`, `sqs`, `lambda` and so on.
    pub fn for_protocol(&self, protocol: &str) -> String {
        let mut texts = self.texts();
        texts.remove(protocol).or_else(|| texts.remove("default")).unwrap_or_default()
    }

    /// Reads the texts by protocol. Values that are not strings are ignored.
    fn texts(&self) -> BTreeMap<String, String> {
        if self.structure.is_none() {
            return BTreeMap::from([("default".to_owned(), self.message.clone())]);
        }
        let texts: Map<String, Value> = serde_json::from_str(&self.message).unwrap_or_default();
        let texts = texts.into_iter().filter_map(|(protocol, text)| match text {
            Value::String(text) => Some((protocol, text)),
            _ => None,
        });
        texts.collect()
    }

    fn to_json(&self) -> Value {
        let mut texts = self.texts();
        let default = texts.remove("default").unwrap_or_default();
        let at = self.at.to_string();
        json!({
            "topic_arn": self.topic_arn,
            "subject": self.subject,
            "attributes": self.attributes,
            "message_id": self.message_id,
            "at": at,
            "message": serde_json::from_str::<Value>(&default).unwrap_or(Value::String(default)),
            "texts": texts,
        })
    }
}

/// The SNS stub.
#[derive(Debug)]
pub struct LocalSns {
    server: Server,
    state: Arc<SnsState>,
}

#[derive(Debug)]
struct SnsState {
    journal: Arc<Journal>,
    subscribers: broadcast::Sender<Published>,
    subscriptions: Subscriptions,
}

impl LocalSns {
    /// Starts the stub in memory on `address` (port 0: any free port).
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Journal::in_memory().map_err(io::Error::other)?).await
    }

    /// Starts the stub with this journal as storage.
    pub async fn start_with(address: SocketAddr, journal: Arc<Journal>) -> io::Result<Self> {
        let state = Arc::new(SnsState {
            journal,
            subscribers: broadcast::Sender::new(LAG),
            subscriptions: Subscriptions::default(),
        });
        let shared = Arc::clone(&state);
        let server = Server::start(address, move |request| {
            let reply = match request.method() {
                &Method::GET => shared.listed(request.uri().query().unwrap_or_default()),
                _ => shared.answer(request.body()),
            };
            async move { Ok(reply) }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// URL of the stub.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns all published messages, in order.
    pub fn messages(&self) -> Vec<Published> {
        self.state.after(0, i64::MAX).unwrap_or_default()
    }

    /// Confirms every subscription that waits for it, as if each subscriber had followed the link that SNS mails.
    pub fn confirm_all(&self) {
        self.state.subscriptions.confirm_all();
    }

    /// Subscribes to all later messages. This counts as a confirmed subscription of every topic.
    pub fn subscribe(&self) -> broadcast::Receiver<Published> {
        self.state.subscribers.subscribe()
    }
}

impl SnsState {
    /// Returns at most `at_most` messages after the first `number`.
    fn after(&self, number: i64, at_most: i64) -> rusqlite::Result<Vec<Published>> {
        let connection = self.journal.connection();
        let mut messages =
            connection.prepare_cached("SELECT message FROM published WHERE number > ?1 ORDER BY number LIMIT ?2")?;
        let messages = messages.query_map(params![number, at_most], |row| row.get::<_, String>(0))?;
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        Ok(messages.iter().filter_map(|message| serde_json::from_str(message).ok()).collect())
    }

    fn keep(&self, published: &Published) -> rusqlite::Result<()> {
        let message = serde_json::to_string(published).unwrap_or_default();
        let connection = self.journal.connection();
        connection.prepare_cached("INSERT INTO published (message) VALUES (?1)")?.execute([message])?;
        Ok(())
    }

    fn listed(&self, query: &str) -> Response<Full<Bytes>> {
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let number = |name: &str| query.get(name).and_then(|number| number.parse::<i64>().ok());
        match self.after(number("after").unwrap_or(0), number("most").unwrap_or(i64::MAX)) {
            Ok(messages) => {
                let listed: Value = messages.iter().map(Published::to_json).collect();
                json_response(StatusCode::OK, "application/json", listed.to_string())
            }
            Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &failed.to_string()),
        }
    }

    fn answer(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let answered = match form.get("Action").map(String::as_str) {
            Some("Publish") => read(form).and_then(|published| self.publish(published)).map(|id| {
                let result = format!("<PublishResult><MessageId>{id}</MessageId></PublishResult>");
                ("PublishResponse", result)
            }),
            Some("PublishBatch") => {
                let entries = batch::entries(&form);
                entries.map(|entries| ("PublishBatchResponse", self.publish_all(entries)))
            }
            Some("Subscribe") => self.subscriptions.subscribe(&form).map(|result| ("SubscribeResponse", result)),
            Some("GetTopicAttributes") => {
                let attributes = self.subscriptions.attributes(&form, self.subscribers.receiver_count());
                attributes.map(|result| ("GetTopicAttributesResponse", result))
            }
            _ => {
                let known = "this stub supports only Publish, PublishBatch, Subscribe and GetTopicAttributes";
                Err(refused("InvalidAction", known))
            }
        };
        match answered {
            Ok((response, result)) => {
                let metadata = format!("<ResponseMetadata>{}</ResponseMetadata>", request_id());
                xml(StatusCode::OK, response, &format!("{result}{metadata}"))
            }
            Err(SnsError { status, code, message }) => error(status, code, &message),
        }
    }

    /// Publishes a message, and returns its id.
    fn publish(&self, published: Published) -> Result<String, SnsError> {
        self.keep(&published).map_err(|failed| SnsError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "InternalFailure",
            message: failed.to_string(),
        })?;
        let id = published.message_id.clone();
        let _ = self.subscribers.send(published);
        Ok(id)
    }

    /// Publishes the valid messages of a batch, and returns the result of each.
    fn publish_all(&self, entries: Vec<batch::PublishEntry>) -> String {
        let (mut successful, mut failed) = (String::new(), String::new());
        for batch::PublishEntry { id, published } in entries {
            match published.and_then(|published| self.publish(published)) {
                Ok(message) => {
                    successful.push_str(&format!("<member><Id>{id}</Id><MessageId>{message}</MessageId></member>"));
                }
                Err(SnsError { status, code, message }) => {
                    let (is_ours, message) = (!status.is_server_error(), escaped(&message));
                    failed.push_str(&format!(
                        "<member><Id>{id}</Id><Code>{code}</Code><Message>{message}</Message><SenderFault>{is_ours}</SenderFault></member>"
                    ));
                }
            }
        }
        format!(
            "<PublishBatchResult><Successful>{successful}</Successful><Failed>{failed}</Failed></PublishBatchResult>"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Builds an error response of SNS.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response<Full<Bytes>> {
    let side = if status.is_server_error() { "Receiver" } else { "Sender" };
    let message = escaped(message);
    let error = format!("<Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    xml(status, "ErrorResponse", &format!("{error}{}", request_id()))
}

fn request_id() -> String {
    format!("<RequestId>{}</RequestId>", uuid())
}

fn xml(status: StatusCode, element: &str, content: &str) -> Response<Full<Bytes>> {
    let namespace = "http://sns.amazonaws.com/doc/2010-03-31/";
    json_response(status, CONTENT_TYPE, format!("<{element} xmlns=\"{namespace}\">{content}</{element}>\n"))
}
