//! Starts of `receive`, the floor and a hello world, without TLS and with it.

use std::path::Path;

use serde::Serialize;

use crate::Failure;
use crate::elsewhere::{Elsewhere, Variables};
use crate::events::Everyday;
use crate::figures::{Pair, median, ms};
use crate::function::{Function, Program};
use crate::receive::{bar, program, programs};

/// What a start takes, in milliseconds: medians.
#[derive(Debug, Serialize)]
pub(crate) struct Starts {
    /// How many of each.
    pub(crate) starts: usize,
    /// From the process's start to its asking for an event.
    pub(crate) first_poll: Pair,
    /// The same of a hello world.
    pub(crate) hello: f64,
    /// From the first event to its answer.
    pub(crate) first_event: Pair,
    /// To the first poll, where DynamoDB and Secrets Manager are behind TLS.
    pub(crate) first_poll_tls: Pair,
    /// The first event there.
    pub(crate) first_event_tls: Pair,
    /// CPU until the first poll, without TLS and with it.
    pub(crate) cpu: Pair,
    /// CPU until the first poll, with TLS.
    pub(crate) cpu_tls: Pair,
}

/// One start, in milliseconds.
struct Start {
    first_poll: f64,
    first_event: f64,
    cpu: f64,
}

async fn start(program: &Program, variables: &Variables, event: String) -> Result<Start, Failure> {
    let (function, first_poll) = Function::start(program, variables).await?;
    let cpu = function.cpu()?;
    let first_event = ms(function.webhook(event).await?);
    Ok(Start { first_poll: ms(first_poll), first_event, cpu })
}

/// Starts each many times, in turns.
pub(crate) async fn starts(binaries: &Path, aws: &Elsewhere, starts: usize) -> Result<Starts, Failure> {
    let (everyday, tls) = (Everyday::new()?, aws.behind_tls());
    let (pair, hello) = (programs(binaries), program(binaries, "bench-hello"));
    let progress = bar(starts as u64, "starts");
    let (mut plain, mut encrypted, mut hellos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let [receive, floor] = &pair;
        let one = |program, variables| start(program, variables, everyday.webhook());
        plain.push([one(receive, aws.variables()).await?, one(floor, aws.variables()).await?]);
        encrypted.push([one(receive, &tls).await?, one(floor, &tls).await?]);
        hellos.push(one(&hello, aws.variables()).await?.first_poll);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let pair = |turns: &[[Start; 2]], of: fn(&Start) -> f64| {
        Pair::of(&turns.iter().map(|[receive, floor]| [of(receive), of(floor)]).collect::<Vec<_>>())
    };
    Ok(Starts {
        starts,
        first_poll: pair(&plain, |start| start.first_poll),
        hello: median(hellos),
        first_event: pair(&plain, |start| start.first_event),
        first_poll_tls: pair(&encrypted, |start| start.first_poll),
        first_event_tls: pair(&encrypted, |start| start.first_event),
        cpu: pair(&plain, |start| start.cpu),
        cpu_tls: pair(&encrypted, |start| start.cpu),
    })
}
