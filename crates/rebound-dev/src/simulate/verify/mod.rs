//! What the tables must hold after a simulated campaign, and what they do hold.
//!
//! What protect and engage do comes a while after the answer, so what is missing is waited for. What is there once too often is not.

mod counters;
mod email;
mod published;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::policy::limits::{Policy, PolicyError};
use rebound::policy::soft_bounce;
use rebound::policy::suppression::Reason;
use rebound::resend::event::{Event, EventType};
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::tables::{self, Table};
use rebound::store::{as_number, text};
use rebound::time::UnixMillis;

use self::email::EmailCheck;
use super::chaos::{Request, RequestKind};
use super::scenario::Scenario;

/// How many emails are looked at at once.
const MAX_CONCURRENT: usize = 16;

/// Number of emails that are looked for first, to see whether these are the tables.
const FIRST_EMAILS: u32 = 20;

/// How often what is missing is looked for again.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How many faults are told, of however many.
const MAX_REPORTED: usize = 20;

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A table can't be read.
    #[error("a table can't be read: {0}; check the credentials, or pass --no-verify")]
    Table(#[from] CallError),
    /// Nothing that was taken is there: these are other tables than those of the function.
    #[error(
        "none of the webhooks that were taken is in the table {0}: is it that of the Rebound at this URL? Name that one (--local, --stack, --region)"
    )]
    OtherTables(String),
    /// The policy is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// What a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discrepancy {
    /// Something is not there.
    Lost,
    /// Something is there, or was done, once too often.
    Doubled,
    /// Something is otherwise than it must be.
    Wrong,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// How many webhooks are stored, byte for byte.
    pub stored: usize,
    /// How many requests were refused, and are not stored.
    pub refused: usize,
    /// How many addresses stand as they must, suppressed or not.
    pub addresses: usize,
    /// How many of them are suppressed.
    pub suppressed: usize,
    /// How many numbers of the campaign are as they must be, over all cohorts.
    pub numbers: usize,
    /// How many complaints people were told of.
    pub alerts: usize,
    /// How many opens and clicks have a verdict.
    pub verdicts: usize,
    /// How many decisions there are.
    pub decisions: usize,
    /// How many messages of the campaign were published, each id once. `None`: SNS can't be asked, as on AWS.
    pub published: Option<usize>,
    /// How many of them were published again, the very same. Only where [deaths](Looking::deaths) are to be expected; else that is a
    /// fault.
    pub repeats: usize,
    /// How long protect took to catch up, after the last answer.
    pub counted_after: Duration,
    /// And engage.
    pub judged_after: Duration,
    /// What is lost.
    pub lost: usize,
    /// What is there too often.
    pub doubled: usize,
    /// What is otherwise.
    pub wrong: usize,
    /// All that, in words; of much, some.
    pub faults: Vec<String>,
}

impl VerifyReport {
    /// Whether everything is as it must be.
    pub fn is_right(&self) -> bool {
        self.lost + self.doubled + self.wrong == 0
    }

    fn add(&mut self, fault: Discrepancy, what: String) {
        match fault {
            Discrepancy::Lost => self.lost += 1,
            Discrepancy::Doubled => self.doubled += 1,
            Discrepancy::Wrong => self.wrong += 1,
        }
        if self.faults.len() < MAX_REPORTED {
            self.faults.push(what);
        }
    }
}

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// How long what is missing is waited for.
    pub patience: Duration,
    /// How much longer, once all is there, it is watched whether anything is done twice.
    pub then: Duration,
    /// Whether verdicts are known beforehand: not where events come in any order.
    pub knows_verdicts: bool,
    /// Whether functions were killed. Between publishing and noting it, that makes SNS get the same message, with the same id, again.
    pub deaths: bool,
}

struct ScenarioVerifier<'a> {
    calls: RetryClient,
    variables: &'a BTreeMap<String, String>,
    scenario: &'a Scenario,
    refused: BTreeSet<(u32, u16, RequestKind)>,
    options: VerifyOptions,
}

/// Looks at the tables, which `variables` name as the functions' environment does. `done` hears of each email that is looked at, and of what is waited for.
///
/// # Errors
/// A table can't be read.
pub async fn verify(
    calls: RetryClient,
    variables: &BTreeMap<String, String>,
    scenario: &Scenario,
    requests: &[Request],
    options: VerifyOptions,
    done: impl Fn(&'static str, usize),
) -> Result<VerifyReport, VerifyError> {
    let policy = variables.get("POLICY").map(String::as_str).map_or_else(|| Ok(Policy::default()), Policy::read)?;
    let refused = requests.iter().filter(|request| request.kind.is_refused() && request.kind != RequestKind::NotPost);
    let verifier = ScenarioVerifier {
        calls,
        variables,
        scenario,
        refused: refused.map(|request| (request.email, request.message, request.kind)).collect(),
        options,
    };
    let mut report = VerifyReport::default();
    let began = Instant::now();
    // A row is there before its webhook is answered: what is missing now is not waited for.
    if !verifier.has_its_tables().await? {
        return Err(VerifyError::OtherTables(verifier.table(tables::EVENTS).to_owned()));
    }
    done("waiting until protect has counted everything", 0);
    let expected = counters::expected(scenario);
    verifier.wait_for_figures(&expected, &policy, began).await?;
    report.counted_after = began.elapsed();

    // Everything about the emails; and those again that lack something which comes later.
    let mut left: Vec<u32> = (0..scenario.emails).collect();
    let mut is_last = false;
    loop {
        done("looking", left.len());
        let looks =
            left.iter().map(|email| -> BoxFuture<'_, Result<EmailCheck, CallError>> { verifier.email(*email).boxed() });
        let mut looks = stream::iter(looks).buffer_unordered(MAX_CONCURRENT);
        let mut missing = Vec::new();
        while let Some(check) = looks.next().await {
            let check = check?;
            done("", 1);
            if check.is_missing_something && !is_last {
                missing.push(check.email);
            } else {
                check.add_to(&mut report);
            }
        }
        report.judged_after = began.elapsed();
        if missing.is_empty() {
            break;
        }
        drop(looks);
        left = missing;
        is_last = began.elapsed() > options.patience;
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
    done("watching whether anything is done twice", 0);
    tokio::time::sleep(options.then).await;
    verifier.compare_figures(&expected, &policy, &mut report).await?;
    verifier.addresses(&mut report).await?;
    verifier.published(&mut report).await;
    Ok(report)
}

impl ScenarioVerifier<'_> {
    /// A table's name.
    fn table(&self, table: Table) -> &str {
        self.variables.get(table.variable).map_or("", String::as_str)
    }

    /// Returns true if any of the first emails has a row.
    async fn has_its_tables(&self) -> Result<bool, CallError> {
        for number in 0..self.scenario.emails.min(FIRST_EMAILS) {
            if self.email(number).await?.stored > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Everybody whom the story names stands as it says, and for the very reasons.
    async fn addresses(&self, report: &mut VerifyReport) -> Result<(), CallError> {
        let expected = counters::reasons(self.scenario);
        let names: Vec<&String> = expected.keys().collect();
        for some in names.chunks(100) {
            let table = self.table(tables::SUPPRESSIONS);
            let keys = some.iter().map(|name| rebound::store::recipient_key(name)).collect();
            let items = self.calls.batch_get(table, keys).await?;
            for name in some {
                let item = items.iter().find(|item| rebound::store::string(item, "recipient") == name.as_str());
                let known =
                    item.cloned().map(rebound::store::suppressions::SuppressionItem::from_item).unwrap_or_default();
                let expect_reason: BTreeSet<_> = known.suppression.reasons().collect();
                let wanted = expected.get(*name).cloned().unwrap_or_default();
                report.addresses += 1;
                report.suppressed += usize::from(!expect_reason.is_empty());
                for reason in wanted.difference(&expect_reason) {
                    if *reason == Reason::SoftBounce && self.arrived_late(name).await? {
                        continue;
                    }
                    report.add(Discrepancy::Lost, format!("{name} is not suppressed for {}", reason.as_str()));
                }
                for reason in expect_reason.difference(&wanted) {
                    report.add(Discrepancy::Wrong, format!("{name} is suppressed for {}", reason.as_str()));
                }
                if Recipient::parse(name).is_none() {
                    report.add(Discrepancy::Wrong, format!("{name} is no address"));
                }
            }
        }
        Ok(())
    }

    /// Whether a soft bounce of this mailbox came so late that it need not count.
    async fn arrived_late(&self, name: &str) -> Result<bool, CallError> {
        let Some(first) = self.scenario.first_to_full_mailbox(name) else { return Ok(false) };
        let key = [("recipient", name), ("fact", "soft")].map(|(key, value)| (key.to_owned(), text(value)));
        let item = self.calls.get(self.table(tables::RECIPIENTS), key.into()).await?.unwrap_or_default();
        let since = item.get("since").and_then(as_number).map(UnixMillis);
        let messages = (first..first + 3).flat_map(|number| self.scenario.email(number).messages);
        let bounces = messages.filter(|message| message.event.starts_with(EventType::EmailBounced.as_str()));
        let earliest = bounces.filter_map(|message| Event::read(&message.body).ok()?.at()).min();
        Ok(since.zip(earliest).is_some_and(|(since, earliest)| earliest < since.minus(soft_bounce::EARLIER)))
    }
}
