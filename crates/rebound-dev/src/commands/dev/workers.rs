//! The workers of `rebound dev`, which invoke the functions.

use std::time::Duration;

use aws_local::feeder::{Feeder, FeederOptions, Invoke, RedeliveryOptions};
use aws_local::poller::Poller;

use super::Arguments;
use crate::commands::{CommandError, variable};
use crate::runner::{Clock, Scheduler, feed, poll, queue_mappings, schedule};
use crate::stack::EmbeddedAws;

/// The workers that invoke the functions.
pub(super) struct Workers {
    _feeder: Option<Feeder>,
    _pollers: Vec<Poller>,
    _schedules: Vec<Scheduler>,
}

/// Starts the workers that invoke the functions: for the stream, the queue and the schedules. A stream or queue of another endpoint is
/// left out if it can't be read.
pub(super) async fn work(
    aws: &EmbeddedAws,
    arguments: &Arguments,
    clock: Clock,
    invoke: impl Fn(&str) -> Invoke,
) -> Result<Workers, CommandError> {
    let options = FeederOptions {
        longest_window: Some(Duration::from_secs_f64(arguments.window)),
        chaos: (arguments.redeliver > 0.0)
            .then_some(RedeliveryOptions { redeliver: arguments.redeliver, seed: arguments.seed }),
        checkpoint: arguments.data.as_ref().map(|file| file.with_extension("stream")),
        ..FeederOptions::default()
    };
    let feeder = match feed(aws, options, |mapping| invoke(&mapping.function)).await {
        Ok(feeder) => Some(feeder),
        Err(error) if variable("AWS_ENDPOINT_URL_DYNAMODB").is_some() => {
            eprintln!("rebound: protect gets no stream records: {error}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let pollers = match poll(aws, &queue_mappings(aws)?, |mapping| invoke(&mapping.function)).await {
        Ok(pollers) => pollers,
        Err(error) if variable("AWS_ENDPOINT_URL_SQS").is_some() => {
            eprintln!("rebound: engage gets no queue messages: {error}");
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let tick = (arguments.clock == 1.0).then(|| Duration::from_secs_f64(arguments.tick.max(0.05)));
    Ok(Workers {
        _feeder: feeder,
        _pollers: pollers,
        _schedules: schedule(clock, tick, |function| Some(invoke(function)))?,
    })
}
