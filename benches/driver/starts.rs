//! Starts of `receive`, the baseline and a hello world, without and with TLS; and of `consent`.

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
    /// The other functions that are started for one request.
    pub(crate) others: Vec<OtherStart>,
}

/// Time from a function's start to its first request for an event, in milliseconds: medians.
#[derive(Debug, Serialize)]
pub(crate) struct OtherStart {
    /// The function.
    pub(crate) function: &'static str,
    /// Without TLS.
    pub(crate) plain: f64,
    /// With DynamoDB and Secrets Manager behind TLS.
    pub(crate) tls: f64,
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
        // Nobody waits for a start of `act`: a schedule invokes it.
        others: vec![other("consent", binaries, aws, starts).await?],
    })
}

/// Starts another function many times.
async fn other(
    function: &'static str,
    binaries: &Path,
    aws: &AwsProcess,
    starts: usize,
) -> Result<OtherStart, BoxError> {
    let program = Program { path: binaries.join(function), argument: None, function };
    let secret = aws.variable("WEBHOOK_SECRET_ARN")?;
    let set = |variables: &Variables| {
        let mut variables = variables.clone();
        // Read before the first event, as in the stack. That it has no key of links does not matter here.
        variables.remove("CONSENT_KEY");
        for (name, value) in [
            ("CONSENT_KEYS_ARN", secret.as_str()),
            ("ACT_KEYS_ARN", &secret),
            ("CONSENT_URL", "https://mail.example.com"),
            ("FOLLOWUPS", "send"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        variables
    };
    let kinds = [set(aws.variables()), set(&aws.behind_tls())];
    let progress = bar(starts as u64, "starts of another function");
    let (mut plain, mut tls) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        for (variables, times) in kinds.iter().zip([&mut plain, &mut tls]) {
            tokio::time::sleep(QUIET).await;
            let (running, first_poll) = Function::start(&program, variables).await?;
            times.push(ms(first_poll));
            running.end().await?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(OtherStart { function, plain: median(plain), tls: median(tls) })
}
