//! Runs the functions on the embedded AWS: invokes them for the events table's stream, the queues and the schedules, as the template's
//! event source mappings define it.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aws_local::feeder::{self, Feeder, Invoke};
use aws_local::function_url;
use aws_local::poller::{self, Poller};
use aws_local::runtime_api::RuntimeApi;
use aws_local::sam::{Mapping, QueueMapping, TemplateError};
use aws_local::server::Server;
use lambda_runtime::{Context, LambdaEvent};
use rebound::act::Actor;
use rebound::aws::edge;
use rebound::aws::queue::QueueMessage;
use rebound::aws::stream::Invocation;
use rebound::config::{EngageConfig, EnvironmentError};
use rebound::consent::Consent;
use rebound::engage::Engager;
use rebound::protect::Protector;
use rebound::receive::Receiver;
use rebound::time::UnixMillis;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::stack::{EmbeddedAws, StartError};
use crate::template::template;

/// Minimum real time between two scheduled invocations of a function, on a fast clock.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// A function's clock: real time, or another, which may be faster.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: UnixMillis,
    started: Instant,
    speed: f64,
    is_real: bool,
}

impl Clock {
    /// A clock that starts now, and is faster than real time by the factor `speed`.
    pub fn new(speed: f64) -> Self {
        Self { began: UnixMillis::now(), started: Instant::now(), speed, is_real: speed == 1.0 }
    }

    /// A clock that starts at the time `began`.
    pub fn starting_at(began: UnixMillis, speed: f64) -> Self {
        Self { began, is_real: false, ..Self::new(speed) }
    }

    /// True if this clock shows real time.
    pub fn is_real(&self) -> bool {
        self.is_real
    }

    /// True if this clock is faster than real time.
    pub fn is_fast(&self) -> bool {
        self.speed > 1.0
    }

    /// The current time on this clock.
    pub fn now(&self) -> UnixMillis {
        self.began.plus(self.started.elapsed().mul_f64(self.speed))
    }

    /// The time on this clock after a span of real time.
    pub fn after(&self, span: Duration) -> UnixMillis {
        self.now().plus(self.covers(span))
    }

    /// The time that passes on this clock in a span of real time.
    pub fn covers(&self, span: Duration) -> Duration {
        span.mul_f64(self.speed)
    }

    /// The real duration of a time span on this clock.
    pub fn takes(&self, span: Duration) -> Duration {
        span.div_f64(self.speed)
    }
}

impl fmt::Display for Clock {
    /// Writes the speed, a real time and the clock's time then, for [`FromStr`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.speed, UnixMillis::now().0, self.now().0)
    }
}

impl FromStr for Clock {
    type Err = NoClock;

    /// The clock of another process.
    fn from_str(text: &str) -> Result<Self, NoClock> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [speed, real, then] = parts.as_slice() else { return Err(NoClock) };
        let speed: f64 = speed.parse().map_err(|_| NoClock)?;
        let [real, then] = [real, then].map(|text| text.parse().map(UnixMillis).map_err(|_| NoClock));
        let passed = Duration::from_millis(u64::try_from(UnixMillis::now().0 - real?.0).unwrap_or(0));
        Ok(Self::starting_at(then?.plus(passed.mul_f64(speed)), speed))
    }
}

/// A text that is no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the clock of a `rebound dev`")]
pub struct NoClock;

/// Invokes a scheduled function at its interval. Stops when it is dropped.
#[derive(Debug)]
pub struct Scheduler(JoinHandle<()>);

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Invokes a receiver in this process, as Lambda does for a request to its function URL, with the time of `clock`.
pub fn receive_invoker(receiver: Arc<Receiver>, clock: Clock, timeout: Duration) -> Invoke {
    Arc::new(move |event| {
        let receiver = Arc::clone(&receiver);
        Box::pin(async move {
            let mut context = Context::default();
            context.deadline = UnixMillis::now().plus(timeout).0.unsigned_abs();
            // Through the JSON text, as in Lambda: the function parses a text, and not a value.
            let envelope = serde_json::from_str(&event.to_string()).map_err(|error| error.to_string())?;
            let handle = async |request| {
                if clock.is_real() {
                    return receiver.handle(request).await;
                }
                // The age of a signature goes by real time.
                let (now, deadline) = (clock.now(), Instant::now() + timeout.mul_f64(0.95));
                Ok(receiver.receive_at(&request, now, UnixMillis::now(), deadline).await)
            };
            let Ok(reply) = edge::serve(LambdaEvent::new(envelope, context), handle).await;
            serde_json::to_value(reply).map_err(|error| error.to_string())
        })
    })
}

/// Serves a receiver's function URL, with the time of `clock`.
///
/// # Errors
/// The address is taken.
pub async fn serve_function_url(address: SocketAddr, receiver: Receiver, clock: Clock) -> Result<Server, StartError> {
    let invoke = receive_invoker(Arc::new(receiver), clock, timeout_of("receive")?);
    let serving = function_url::serve(address, invoke).await;
    serving.map_err(|error| StartError::Listen(address, error))
}

/// Invokes the function `consent` in this process, as Lambda does for a request to its function URL, with the time of `clock`.
pub fn consent_invoker(consent: Arc<Consent>, clock: Clock, timeout: Duration) -> Invoke {
    Arc::new(move |event| {
        let consent = Arc::clone(&consent);
        Box::pin(async move {
            // Through the JSON text, as in Lambda.
            let envelope = serde_json::from_str(&event.to_string()).map_err(|error| error.to_string())?;
            let deadline = Instant::now() + timeout;
            let handle = async |request| Ok::<_, Infallible>(consent.respond(&request, clock.now(), deadline).await);
            let Ok(reply) = edge::serve(LambdaEvent::new(envelope, Context::default()), handle).await;
            serde_json::to_value(reply).map_err(|error| error.to_string())
        })
    })
}

/// Serves the function URL of `consent`, with the time of `clock`.
pub async fn serve_consent(address: SocketAddr, consent: Consent, clock: Clock) -> Result<Server, StartError> {
    let invoke = consent_invoker(Arc::new(consent), clock, timeout_of("consent")?);
    function_url::serve(address, invoke).await.map_err(|error| StartError::Listen(address, error))
}

/// Invokes a protector in this process, as Lambda does, with the time of `clock`.
pub fn protect_invoker(protector: Arc<Protector>, clock: Clock, timeout: Duration) -> Invoke {
    Arc::new(move |event| {
        let protector = Arc::clone(&protector);
        Box::pin(async move { invoke(&protector, event, clock, timeout).await })
    })
}

async fn invoke(protector: &Protector, event: Value, clock: Clock, timeout: Duration) -> Result<Value, String> {
    if clock.is_real() {
        let mut context = Context::default();
        context.deadline = UnixMillis::now().plus(timeout).0.unsigned_abs();
        let answer = tokio::time::timeout(timeout, protector.handle(LambdaEvent::new(event, context))).await;
        return answer.map_err(|_| "the function timed out".to_owned())?.map_err(|error| error.to_string());
    }
    let (now, deadline) = (clock.now(), Instant::now() + timeout);
    match Invocation::read(event).map_err(|error| error.to_string())? {
        Invocation::Records(records) => {
            serde_json::to_value(protector.records(&records, now, deadline).await).map_err(|error| error.to_string())
        }
        Invocation::Tick => match protector.tick(now, deadline).await.errors.first() {
            None => Ok(Value::Null),
            Some(error) => Err(error.to_string()),
        },
    }
}

/// Invokes an engager in this process, as Lambda does, with the time of `clock`.
pub fn engage_invoker(engager: Arc<Engager>, clock: Clock, timeout: Duration) -> Invoke {
    Arc::new(move |event| {
        let engager = Arc::clone(&engager);
        Box::pin(async move {
            let deliveries = QueueMessage::read_all(&event).map_err(|error| error.to_string())?;
            // A little less than the function's timeout: the function returns before Lambda stops it.
            let deadline = Instant::now() + timeout.mul_f64(0.95);
            let batch = engager.batch(&deliveries, clock.now(), deadline);
            let answer = tokio::time::timeout(timeout, batch).await;
            let answer = answer.map_err(|_| "the function timed out".to_owned())?;
            serde_json::to_value(answer).map_err(|error| error.to_string())
        })
    })
}

/// Invokes an actor in this process, with the time of `clock`. Its event has no content.
pub fn act_invoker(actor: Arc<Actor>, clock: Clock) -> Invoke {
    Arc::new(move |_| {
        let actor = Arc::clone(&actor);
        Box::pin(async move {
            let report = actor.run(&|| clock.now(), Instant::now() + rebound::act::BUDGET).await;
            match report.errors.first() {
                None => Ok(Value::Null),
                Some(error) => Err(error.to_string()),
            }
        })
    })
}

/// The queues' event source mappings, with the maximum concurrency of the environment.
///
/// # Errors
/// The template is not usable, or the environment is invalid.
pub fn queue_mappings(aws: &EmbeddedAws) -> Result<Vec<QueueMapping>, StartError> {
    let config = EngageConfig::read(|name| aws.variable(name)).map_err(EnvironmentError::from)?;
    let mut mappings = template()?.queue_mappings()?;
    for mapping in &mut mappings {
        if mapping.concurrency_parameter.as_deref() == Some("ClaudeConcurrency") {
            mapping.concurrency = Some(config.concurrency);
        }
    }
    Ok(mappings)
}

/// The function's timeout in the template.
pub fn timeout_of(function: &str) -> Result<Duration, StartError> {
    Ok(template()?.function_timeout(function)?)
}

/// Starts Lambda's Runtime API for a function's program, with the timeout in the template.
///
/// # Errors
/// No port is free, or the template has no such function.
pub async fn runtime_api(function: &str) -> Result<RuntimeApi, StartError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    RuntimeApi::start(function, timeout_of(function)?).await.map_err(|error| StartError::Listen(any, error))
}

/// Feeds the events table's stream to the functions, by the template's event source mappings.
///
/// # Errors
/// The stream can't be read.
pub async fn feed(
    aws: &EmbeddedAws,
    options: feeder::FeederOptions,
    invoke: impl Fn(&Mapping) -> Invoke,
) -> Result<Feeder, StartError> {
    let events = aws.variable("EVENTS_TABLE").unwrap_or_default();
    let mappings = template()?.mappings()?.into_iter().filter(|mapping| mapping.table == "EVENTS_TABLE").collect();
    Ok(Feeder::start(&aws.access(), &events, mappings, options, invoke).await?)
}

/// Feeds the queues' messages to the functions, by these event source mappings: those of [`queue_mappings`], perhaps with another
/// maximum concurrency.
///
/// # Errors
/// The template has no such queue, or a queue can't be read.
pub async fn poll(
    aws: &EmbeddedAws,
    mappings: &[QueueMapping],
    invoke: impl Fn(&QueueMapping) -> Invoke,
) -> Result<Vec<Poller>, StartError> {
    let (queues, client) = (template()?.queues(), aws.clients().sqs());
    let mut pollers = Vec::new();
    for mapping in mappings {
        let queue = queues.iter().find(|queue| queue.variable == mapping.queue);
        let queue = queue.ok_or_else(|| TemplateError::Incomplete(mapping.name.clone(), "Queue"))?;
        let url = aws.variable(&mapping.queue).unwrap_or_default();
        let options = poller::PollerOptions::of(mapping, queue);
        pollers.push(Poller::start(client.clone(), &url, options, invoke(mapping)).await?);
    }
    Ok(pollers)
}

/// Invokes each scheduled function at the template's interval, by `clock`; `protect` at the real interval `tick`, if
/// there is one. A function is invoked once at a time, and at most once in 200 real milliseconds. A function for which
/// `invoke` returns `None` is left out.
pub fn schedule(
    clock: Clock,
    tick: Option<Duration>,
    invoke: impl Fn(&str) -> Option<Invoke>,
) -> Result<Vec<Scheduler>, StartError> {
    let scheduled = template()?.schedules()?.into_iter().filter_map(|schedule| {
        let (invoke, name) = (invoke(&schedule.function)?, schedule.function.clone());
        let tick = tick.filter(|_| schedule.function == "protect");
        let every = tick.unwrap_or_else(|| clock.takes(schedule.every).max(MIN_INTERVAL));
        Some(Scheduler(tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                if let Err(error) = invoke(schedule.input.clone()).await {
                    tracing::error!(error, function = name, "a scheduled invocation failed");
                }
            }
        })))
    });
    Ok(scheduled.collect())
}
