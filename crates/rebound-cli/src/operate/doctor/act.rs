//! The function `act`: are follow-ups sent, may its key do that, and did it run?

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudwatch::types::Statistic;
use rebound::aws::describe;
use rebound::config::DEFAULT_PER_DAY;
use rebound::policy::count::count;
use rebound::policy::followup::FollowupMode;
use rebound::store::followups::FollowupStore;
use rebound::time::{UnixMillis, hours, minutes};

use super::external::ago;
use super::processing::figures;
use super::{Check, followups};
use crate::operate::clients;
use crate::operate::connect::secret::field;
use crate::operate::target::{Target, TargetError};
use crate::resend_api::{Resend, ResendError};

const MODE: &str = "follow-ups";
const KEY: &str = "act's Resend key";
const RUN: &str = "last run of act";
const POSTAL: &str = "postal address";

/// Time without a run after which something is wrong. The schedule runs each minute; CloudWatch is some minutes late.
const MAX_SILENCE: Duration = minutes(15);

/// The environment of a deployed function.
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn mode(&self) -> Result<FollowupMode, String> {
        FollowupMode::parse(self.text("FOLLOWUPS")).map_err(|error| error.to_string())
    }

    /// Reads the environment of the function that `variable` names. Returns `None` if the stack has no such function.
    async fn of(target: &Target, variable: &str) -> Result<Option<Self>, String> {
        let function = match target.lookup(variable).await {
            Ok(function) => function,
            Err(TargetError::NoOutput { .. }) => return Ok(Self::local(target)),
            Err(error) => return Err(error.to_string()),
        };
        let asked = clients::lambda(target.aws()).get_function_configuration().function_name(function).send().await;
        let variables = asked.map_err(|error| describe(&error))?.environment.and_then(|found| found.variables);
        Ok(Some(Self(variables.unwrap_or_default().into_iter().collect())))
    }

    /// The environment of `rebound dev`, if it sends follow-ups: it has no name for its `act`.
    fn local(target: &Target) -> Option<Self> {
        let local = target.is_local().then(|| Self(target.variables().clone()))?;
        (local.mode() == Ok(FollowupMode::Send)).then_some(local)
    }
}

pub(super) async fn check(target: &Target, now: UnixMillis) -> Vec<Check> {
    let (engage, act) = tokio::join!(Settings::of(target, "ENGAGE_FUNCTION"), Settings::of(target, "ACT_FUNCTION"));
    let modes = || -> Result<_, String> {
        let engage = engage?.map_or(Ok(FollowupMode::default()), |engage| engage.mode())?;
        let act = act?;
        let mode = act.as_ref().map(Settings::mode).transpose()?;
        Ok((engage, act.zip(mode)))
    };
    let (decided, act) = match modes() {
        Ok(modes) => modes,
        Err(why) => return vec![Check::not_checked(MODE, why)],
    };
    let Some((act, mode)) = act else { return vec![without_act(decided)] };
    let store = crate::operate::followups::store(target);
    let (modes, key, run, rows) = tokio::join!(
        modes_of(decided, mode, &act, &store, now),
        key(target, &act, mode == FollowupMode::Send),
        last_run(target, now),
        followups::check(target, &store, now)
    );
    let mut checks = vec![modes, key, run];
    checks.extend((mode == FollowupMode::Send).then(|| postal_address(&act)));
    checks.extend(rows);
    checks
}

/// The mode of a stack that has no `act`.
fn without_act(decided: FollowupMode) -> Check {
    match decided {
        FollowupMode::Off => Check::ok(MODE, "off: decisions are only recorded"),
        FollowupMode::Propose => Check::ok(MODE, "proposed: your program sends them, or not"),
        FollowupMode::Send => Check::fault(
            MODE,
            "engage decides that follow-ups are sent, and there is no function act that sends them",
            "set the parameter Consent to on, and deploy the stack again: that creates act",
        ),
    }
}

async fn modes_of(
    decided: FollowupMode,
    mode: FollowupMode,
    act: &Settings,
    store: &FollowupStore,
    now: UnixMillis,
) -> Check {
    let same = "set FOLLOWUPS of engage and of act to the same value: deploy the stack again";
    match (decided, mode) {
        (FollowupMode::Send, FollowupMode::Send) => {}
        (FollowupMode::Send, other) => {
            let found = format!("engage decides that follow-ups are sent, but FOLLOWUPS of act is {}", other.as_str());
            return Check::fault(MODE, found, same);
        }
        (other, FollowupMode::Send) => {
            let found = format!("act sends what was decided before; FOLLOWUPS of engage is {}", other.as_str());
            return Check::warning(MODE, found, same);
        }
        (other, _) => return without_act(other),
    }
    let limit = act.text("FOLLOWUPS_PER_DAY").and_then(|limit| limit.parse().ok()).unwrap_or(DEFAULT_PER_DAY);
    let today = match store.handed_over(now).await {
        Ok(today) => today,
        Err(error) => return Check::not_checked(MODE, error.to_string()),
    };
    let trial = act.text("FOLLOWUP_RECIPIENTS").filter(|allowed| *allowed != "*");
    let trial = if trial.is_some() { ", to the recipients of FOLLOWUP_RECIPIENTS only" } else { "" };
    let found = format!("sent{trial}; {today} of at most {limit} today, UTC");
    if today >= i64::from(limit) {
        let to_do = "the others wait until midnight UTC; raise the parameter FollowupsPerDay if that is too few";
        return Check::warning(MODE, found, to_do);
    }
    Check::ok(MODE, found)
}

/// Checks the key with a call that is refused to a key which may only send: that proves it too. Where nothing is `sent`,
/// the key only unsubscribes contacts.
async fn key(target: &Target, act: &Settings, sent: bool) -> Check {
    let put = "create a key at Resend, under API Keys, and put {\"RESEND_API_KEY\": \"re_…\"} into the secret that the output ActKeysArn names";
    let unusable = |found: String| match sent {
        true => Check::fault(KEY, format!("{found}, so no follow-up is sent"), put),
        false => Check::warning(KEY, format!("{found}, so opt-outs are not unsubscribed at Resend"), put),
    };
    let key = match act.text("RESEND_API_KEY") {
        Some(key) => key.to_owned(),
        None => {
            let arn = match target.lookup("ACT_KEYS_ARN").await {
                Ok(arn) => arn,
                Err(error) => return Check::not_checked(KEY, error.to_string()),
            };
            match field(target, &arn, "RESEND_API_KEY").await {
                Ok(Some(key)) => key,
                Ok(None) => return unusable("no key is stored".to_owned()),
                Err(error) => return Check::not_checked(KEY, error.to_string()),
            }
        }
    };
    let Ok(resend) = Resend::new(act.text("RESEND_BASE_URL"), &key) else {
        return unusable("the stored value is not a key".to_owned());
    };
    match resend.webhooks().await {
        Ok(_) => Check::ok(KEY, "the key is valid, with full access: act may send, and unsubscribe contacts"),
        Err(ResendError::SendingOnly) => Check::warning(
            KEY,
            "the key is valid, and may only send: opt-outs through a link are not unsubscribed at Resend",
            "Rebound suppresses these recipients all the same; if you send broadcasts at Resend, give act a key with full access",
        ),
        Err(ResendError::Key(why)) => unusable(format!("Resend refuses the key ({why})")),
        Err(error) => Check::not_checked(KEY, error.to_string()),
    }
}

/// Checks when `act` was last invoked, and that it did not fail.
async fn last_run(target: &Target, now: UnixMillis) -> Check {
    let function = match target.lookup("ACT_FUNCTION").await {
        Ok(function) => function,
        Err(_) if target.is_local() => return Check::not_checked(RUN, "local runs have no metrics"),
        Err(error) => return Check::not_checked(RUN, error.to_string()),
    };
    let spans = (hours(24), 300);
    let sums = |metric| figures(target, &function, metric, Statistic::Sum, spans, now);
    let (runs, errors) = match tokio::try_join!(sums("Invocations"), sums("Errors")) {
        Ok(points) => points,
        Err(why) => return Check::not_checked(RUN, why),
    };
    let log = "the log of act names the cause";
    let last = runs.iter().rev().find(|(_, number)| *number > 0.0);
    let failed: f64 = errors.iter().filter(|(at, _)| *at >= now.minus(hours(1))).map(|(_, number)| number).sum();
    match last {
        None => Check::fault(RUN, "none in 24 hours", "deploy the stack again, which schedules act for each minute"),
        Some((at, _)) if at.plus(MAX_SILENCE) < now => Check::fault(
            RUN,
            format!("{}, and none since", ago(*at, now)),
            "see if the schedule of act is disabled in EventBridge, and if act is throttled; else deploy the stack again",
        ),
        Some((at, _)) if failed > 0.0 => {
            Check::warning(RUN, format!("{}; {} failed within an hour", ago(*at, now), count(failed, "run")), log)
        }
        Some((at, _)) => Check::ok(RUN, ago(*at, now)),
    }
}

fn postal_address(act: &Settings) -> Check {
    match act.text("SENDER_ADDRESS") {
        Some(_) => Check::ok(POSTAL, "it is the last line of each follow-up"),
        None => Check::warning(
            POSTAL,
            "follow-ups do not name one",
            "set the parameter SenderAddress: many countries require a postal address in commercial email",
        ),
    }
}
