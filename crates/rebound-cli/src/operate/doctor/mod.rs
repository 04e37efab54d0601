//! The health checks of `rebound doctor`: each has a status, a finding and, if something is wrong, an instruction.
//!
//! - [`tables`]: the tables, compared with the template.
//! - [`alerts`]: the subscriptions to alerts.
//! - [`endpoint`]: the function URL, and the signing secret.
//! - [`external`]: Resend's key and its webhook.
//! - [`claude`]: Claude's key and its model.
//! - [`consent`]: the unsubscribe links, their key, and the opt-outs that Resend does not know yet.
//! - [`act`]: the sending of follow-ups: its mode, its key and its runs.
//! - [`followups`]: follow-ups that are overdue or unknown; pauses and rests.
//! - [`processing`]: the event source mappings, lags, failure queues and concurrency of protect and engage.
//!
//! The checks run in parallel; a failed check does not stop the others. Nothing is changed, and nothing is spent.

pub mod act;
pub mod alerts;
pub mod claude;
pub mod consent;
pub mod endpoint;
pub mod external;
pub mod followups;
pub mod processing;
pub mod tables;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use rebound::aws::describe;
use rebound::time::UnixMillis;
use serde::Serialize;
use strum::IntoStaticStr;

use super::target::Target;
use crate::operate::clients;

/// Maximum time of a check.
const TIMEOUT: Duration = Duration::from_secs(25);

/// The status of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Nothing is wrong.
    #[strum(serialize = "ok")]
    Ok,
    /// The check could not run from here.
    #[strum(serialize = "not checked")]
    NotChecked,
    /// It works, but needs attention.
    #[strum(serialize = "warning")]
    Warning,
    /// Something is broken.
    #[strum(serialize = "fault")]
    Fault,
}

impl CheckStatus {
    /// The status as it is printed.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the check.
    pub name: String,
    /// The status.
    pub verdict: CheckStatus,
    /// The finding.
    pub found: String,
    /// The instruction, if something is to be done.
    pub to_do: Option<String>,
}

impl Check {
    pub(crate) fn new(name: &str, verdict: CheckStatus, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict, found: found.into(), to_do: None }
    }

    pub(crate) fn ok(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Ok, found)
    }

    pub(crate) fn fault(name: &str, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Fault, found).with_to_do(to_do)
    }

    pub(crate) fn warning(name: &str, found: impl Into<String>, to_do: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Warning, found).with_to_do(to_do)
    }

    pub(crate) fn not_checked(name: &str, why: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::NotChecked, why)
    }

    pub(crate) fn with_to_do(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }
}

/// Runs every check. `url` is the function URL, if it is not the target's own.
pub async fn run_checks(target: &Target, url: Option<&str>, now: UnixMillis) -> Vec<Check> {
    if let Some(why) = tables::out_of_reach(target).await {
        // Otherwise every check would report it, after retries of its own.
        let to_do = "check the region (--region) and the network, and run the command again";
        return vec![credentials(target), Check::not_checked("AWS", why).with_to_do(to_do)];
    }
    let checks: Vec<(&'static str, BoxFuture<'_, Vec<Check>>)> = vec![
        ("credentials", async { vec![credentials(target)] }.boxed()),
        ("stack", async { vec![stack(target).await] }.boxed()),
        ("tables", tables::check(target).boxed()),
        ("function URL", endpoint::check(target, url).boxed()),
        ("Resend", external::resend(target, url, now).boxed()),
        ("Claude", claude::check(target).boxed()),
        ("follow-ups", act::check(target, now).boxed()),
        ("unsubscribe links", consent::check(target, now).boxed()),
        ("alerts", async { vec![alerts::check(target).await] }.boxed()),
        ("events", async { vec![processing::last_event(target, now).await] }.boxed()),
        ("mappings", processing::mappings(target, now).boxed()),
        ("dead letters", processing::dead_letters(target).boxed()),
        ("concurrency", async { vec![processing::concurrency(target).await] }.boxed()),
    ];
    let made = checks.into_iter().map(|(name, check)| async move {
        let late = |_| vec![Check::not_checked(name, format!("no answer within {} s", TIMEOUT.as_secs()))];
        tokio::time::timeout(TIMEOUT, check).await.unwrap_or_else(late)
    });
    join_all(made).await.into_iter().flatten().collect()
}

/// The access key and its kind, which need no permission.
fn credentials(target: &Target) -> Check {
    let variable = |name: &str| target.variable(name).unwrap_or_default();
    let (key, region) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_REGION"));
    let last: String = key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    let kind = if target.variable("AWS_SESSION_TOKEN").is_some() { "temporary" } else { "long-term" };
    Check::ok("credentials", format!("access key …{last}, {kind}, in {region}"))
}

async fn stack(target: &Target) -> Check {
    let name = "stack";
    let asked = clients::cloudformation(target.aws()).describe_stacks().stack_name(target.stack()).send().await;
    let described = match asked {
        Ok(described) => described,
        Err(error) => {
            let why = describe(&error);
            return if why.contains("does not exist") {
                let to_do = "deploy it with `make deploy`, or name the right one with --stack and --region";
                Check::fault(name, format!("the stack {} does not exist", target.stack()), to_do)
            } else {
                Check::not_checked(name, why)
            };
        }
    };
    let status = described.stacks().first().and_then(|stack| stack.stack_status());
    let status = status.map_or("unknown", |status| status.as_str()).to_owned();
    let found = format!("{}: {status}", target.stack());
    match status.as_str() {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Check::ok(name, found),
        other if other.ends_with("IN_PROGRESS") => {
            Check::warning(name, found, "wait until the deployment has finished")
        }
        "UPDATE_ROLLBACK_COMPLETE" => {
            Check::warning(name, found, "the last deployment was rolled back: see the stack's events, and deploy again")
        }
        _ => Check::fault(name, found, "see the stack's events in CloudFormation, and deploy again"),
    }
}
