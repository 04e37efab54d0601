//! Starts of `receive`, the floor and a hello world, without TLS and with it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::Failure;
use crate::elsewhere::{Elsewhere, Variables};
use crate::events::Everyday;
use crate::figures::{Pair, median, ms};
use crate::function::{Function, Program};
use crate::receive::{bar, program, programs};

/// How long nothing happens before a start: what ended before it, and what else the machine does, shall not be in it.
const QUIET: Duration = Duration::from_millis(20);

/// How many kinds of starts there are: `receive` and the floor, without TLS and with it, and hello.
const KINDS: usize = 5;

/// What a start takes, in milliseconds: medians.
#[derive(Debug, Serialize)]
pub(crate) struct Starts {
    /// How many of each.
    pub(crate) starts: usize,
    /// Without TLS.
    pub(crate) plain: Start<Pair>,
    /// With DynamoDB and Secrets Manager behind TLS.
    pub(crate) tls: Start<Pair>,
    /// A hello world, which talks to neither.
    pub(crate) hello: Start<f64>,
}

/// One start, or what many have in common.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Start<T> {
    /// From the process's start to its asking for an event.
    pub(crate) first_poll: T,
    /// CPU until then.
    pub(crate) cpu: T,
    /// From the first event to its answer.
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

async fn start(program: &Program, variables: &Variables, event: String) -> Result<Start<f64>, Failure> {
    tokio::time::sleep(QUIET).await;
    let (function, first_poll) = Function::start(program, variables).await?;
    let cpu = function.cpu()?;
    let first_event = ms(function.webhook(event).await?);
    function.end().await?;
    Ok(Start { first_poll: ms(first_poll), cpu, first_event })
}

/// Starts each many times, in turns, each time in another order.
pub(crate) async fn starts(binaries: &Path, aws: &Elsewhere, starts: usize) -> Result<Starts, Failure> {
    let (everyday, tls) = (Everyday::new()?, aws.behind_tls());
    let ([receive, floor], hello) = (programs(binaries), program(binaries, "bench-hello"));
    let plain = aws.variables();
    let kinds: [_; KINDS] = [(&receive, plain), (&floor, plain), (&receive, &tls), (&floor, &tls), (&hello, plain)];
    let progress = bar(starts as u64, "rounds of starts");
    let (mut without, mut with, mut hellos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let mut measured: [Start<f64>; KINDS] = Default::default();
        let mut order: Vec<_> = kinds.iter().zip(&mut measured).collect();
        fastrand::shuffle(&mut order);
        for ((program, variables), measured) in order {
            *measured = start(program, variables, everyday.webhook()).await?;
        }
        let [receive, floor, receive_tls, floor_tls, hello] = measured;
        without.push([receive, floor]);
        with.push([receive_tls, floor_tls]);
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
