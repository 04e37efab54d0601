//! Starts of `receive`, the baseline and a hello world, without and with TLS.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::BoxError;
use crate::aws_process::{AwsProcess, Variables};
use crate::events::Everyday;
use crate::figures::{Pair, median, ms};
use crate::function::{Function, Program};
use crate::receive::{bar, program, programs};

/// Idle time before a start, so that earlier work is not measured.
const QUIET: Duration = Duration::from_millis(20);

/// Number of kinds of starts: `receive` and the baseline, each without and with TLS, and hello.
const KINDS: usize = 5;

/// Times of a start, in milliseconds: medians.
#[derive(Debug, Serialize)]
pub(crate) struct Starts {
    /// Number of starts of each kind.
    pub(crate) starts: usize,
    /// Without TLS.
    pub(crate) plain: Start<Pair>,
    /// With DynamoDB and Secrets Manager behind TLS.
    pub(crate) tls: Start<Pair>,
    /// A hello world, which talks to neither.
    pub(crate) hello: Start<f64>,
}

/// One start, or the medians of many.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Start<T> {
    /// Time from the process's start to its first request for an event.
    pub(crate) first_poll: T,
    /// CPU time until then.
    pub(crate) cpu: T,
    /// Time from the first event to its response.
    pub(crate) first_event: T,
}

impl<T: Copy> Start<T> {
    fn of<S: Copy>(starts: &[S], figure: impl Fn(&[S], fn(&Start<f64>) -> f64) -> T) -> Self {
        Self {
            first_poll: figure(starts, |start| start.first_poll),
            cpu: figure(starts, |start| start.cpu),
            first_event: figure(starts, |start| start.first_event),
        }
    }
}

async fn start(program: &Program, variables: &Variables, event: String) -> Result<Start<f64>, BoxError> {
    tokio::time::sleep(QUIET).await;
    let (function, first_poll) = Function::start(program, variables).await?;
    let cpu = function.cpu()?;
    let first_event = ms(function.webhook(event).await?);
    function.end().await?;
    Ok(Start { first_poll: ms(first_poll), cpu, first_event })
}

/// Starts each program many times, in turns, in varying order.
pub(crate) async fn starts(binaries: &Path, aws: &AwsProcess, starts: usize) -> Result<Starts, BoxError> {
    let (everyday, tls) = (Everyday::new()?, aws.behind_tls());
    let ([receive, baseline], hello) = (programs(binaries), program(binaries, "bench-hello"));
    let plain = aws.variables();
    let kinds: [_; KINDS] =
        [(&receive, plain), (&baseline, plain), (&receive, &tls), (&baseline, &tls), (&hello, plain)];
    let progress = bar(starts as u64, "rounds of starts");
    let (mut without, mut with, mut hellos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let mut measured: [Start<f64>; KINDS] = Default::default();
        let mut order: Vec<_> = kinds.iter().zip(&mut measured).collect();
        fastrand::shuffle(&mut order);
        for ((program, variables), measured) in order {
            *measured = start(program, variables, everyday.webhook()).await?;
        }
        let [receive, baseline, receive_tls, baseline_tls, hello] = measured;
        without.push([receive, baseline]);
        with.push([receive_tls, baseline_tls]);
        hellos.push(hello);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let pair = |turns: &[[Start<f64>; 2]], of: fn(&Start<f64>) -> f64| {
        Pair::of(&turns.iter().map(|turn| turn.each_ref().map(of)).collect::<Vec<_>>())
    };
    Ok(Starts {
        starts,
        plain: Start::of(&without, pair),
        tls: Start::of(&with, pair),
        hello: Start::of(&hellos, |starts, of| median(starts.iter().map(of))),
    })
}
