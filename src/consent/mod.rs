//! `consent`: a recipient says "no more email", from the HTTP request to the stored opt-out and the page.
//!
//! A 200 to a POST means stored. A GET changes nothing, because scanners fetch every link of an email. The token in the
//! path is the only proof, and is checked before everything else: without a valid one DynamoDB is not called, and the
//! response is the same for every address. There is no undo: an old forwarded link must not lift an opt-out.
//!
//! - `form`: the body of an opt-out.
//! - [`keys`]: the keys of the links, and their rotation.
//! - [`pages`]: the pages, in the reader's language.
//! - `response`: the response to a request.
//! - `telemetry`: the log line and the metric of a request. A path, a token or an address is never logged.

mod form;
pub mod keys;
pub mod pages;
mod response;
mod telemetry;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};
use tokio::time::Instant;

use self::form::opt_out_way;
use self::keys::{LinkKeys, MAX_KEY_AGE};
use self::pages::Language;
use self::response::{ConsentRejection, Handled, response};
use self::telemetry::{log, metric};
use crate::aws::{AwsEnvironment, edge};
use crate::config::{ConsentConfig, EnvironmentError, RELOAD_INTERVAL};
use crate::metrics::{Metrics, Refusals};
use crate::policy::consent_link::{ConsentLink, ConsentPurpose};
use crate::store::opt_out_write::{OptOut, OptOutResult, OptOutState, OptOutWriter};
use crate::time::{UnixMillis, time_budget};

/// Maximum size of a body. That of a one-click unsubscription has 26 bytes.
pub const MAX_BODY_BYTES: usize = 8 * 1_024;

/// Time limit for storing an opt-out.
pub const WRITE_BUDGET: Duration = Duration::from_secs(8);

/// Time of the invocation that is reserved for the response.
const RESPONSE_RESERVE: Duration = Duration::from_millis(500);

/// Path of the text for crawlers.
const ROBOTS_PATH: &str = "/robots.txt";

/// The use case, with everything that it needs.
#[derive(Debug)]
pub struct Consent {
    keys: LinkKeys,
    writer: OptOutWriter,
    /// The sender's name on the pages.
    sender_name: String,
    metrics: Metrics,
    /// True until this execution environment has handled its first request.
    cold: AtomicBool,
    refusals: Mutex<Refusals>,
}

impl Consent {
    /// Creates a handler that verifies with `keys` and stores with `writer`. The pages name the sender `sender_name`.
    pub fn new(keys: LinkKeys, writer: OptOutWriter, sender_name: impl Into<String>) -> Self {
        let (cold, refusals) = (AtomicBool::new(true), Mutex::default());
        Self { keys, writer, sender_name: sender_name.into(), metrics: Metrics::off(), cold, refusals }
    }

    /// Sets the destination of the metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Creates a handler from the environment variables, which `variable` looks up. Reads the keys. DynamoDB is not
    /// called before a token holds. The error names the variable that is missing or invalid.
    pub async fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = ConsentConfig::read(&variable)?;
        let aws = AwsEnvironment::read(&variable)?;
        let tables = (config.events_table, config.suppressions_table, config.agenda_table);
        let writer = OptOutWriter::new(aws.dynamodb(), tables.0, tables.1, tables.2);
        let keys = LinkKeys::new(config.keys.into_secret(&aws, RELOAD_INTERVAL), MAX_KEY_AGE);
        keys.read_ahead().await;
        Ok(Self::new(keys, writer, config.sender_name).with_metrics(Metrics::from_environment(&variable)))
    }

    /// Handles one invocation. Always returns a response: an expected failure is a page.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Infallible> {
        let now = UnixMillis::now();
        let budget = time_budget(edge::deadline(&request), now, RESPONSE_RESERVE, WRITE_BUDGET);
        Ok(self.respond(&request, now, Instant::now() + budget).await)
    }

    /// Responds to one request at `now`. Storing must be finished by `deadline`.
    pub async fn respond(&self, request: &Request, now: UnixMillis, deadline: Instant) -> Response<Body> {
        let started = Instant::now();
        let cold = self.cold.swap(false, Ordering::Relaxed);
        let result = self.answer(request, now, deadline).await;
        let took = started.elapsed();
        log(&result, took, cold, || self.refusals.lock().unwrap_or_else(PoisonError::into_inner).another(now));
        if let Some(metric) = metric(&result) {
            self.metrics.gather(now, |numbers| numbers.increment(metric));
        }
        let language = Language::preferred(edge::header(request.headers(), "accept-language"));
        response(&result, request.method(), language, &self.sender_name)
    }

    async fn answer(&self, request: &Request, now: UnixMillis, deadline: Instant) -> Result<Handled, ConsentRejection> {
        let (path, method) = (request.uri().path(), request.method());
        if path == ROBOTS_PATH && (method == Method::GET || method == Method::HEAD) {
            return Ok(Handled::Robots);
        }
        let segments = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let token = segments.filter(|(purpose, _)| *purpose == ConsentPurpose::OptOut.as_str());
        let (_, token) = token.ok_or(ConsentRejection::OtherPath)?;
        let link = self.keys.verified(token, ConsentPurpose::OptOut).await?;
        match *method {
            Method::GET => self.look_up(link, deadline).await,
            Method::HEAD => Ok(Handled::Probed),
            Method::POST => self.opt_out(link, request, now, deadline).await,
            _ => Err(ConsentRejection::Method),
        }
    }

    async fn look_up(&self, link: ConsentLink, deadline: Instant) -> Result<Handled, ConsentRejection> {
        Ok(match self.writer.state(&link.recipient, deadline).await? {
            OptOutState::Open => Handled::Asked(link.recipient),
            OptOutState::Stopped => Handled::SeenStopped(link.recipient),
        })
    }

    async fn opt_out(
        &self,
        link: ConsentLink,
        request: &Request,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Handled, ConsentRejection> {
        let body: &[u8] = request.body().as_ref();
        if body.len() > MAX_BODY_BYTES {
            return Err(ConsentRejection::TooLarge);
        }
        let way = opt_out_way(request.headers(), body)?;
        let opt_out = OptOut { recipient: link.recipient, email_id: link.email_id, way, at: now };
        Ok(match self.writer.opt_out(&opt_out, deadline).await? {
            OptOutResult::Stored(id) => Handled::OptedOut(opt_out.recipient, id),
            OptOutResult::Unchanged | OptOutResult::Forgotten => Handled::WasStopped(opt_out.recipient),
        })
    }
}
