//! Compares the tables with the expected results of a simulated campaign.
//!
//! protect and engage work after the response, so the check waits for missing results. It does not wait if there are too many.

mod counters;
mod email;
mod followups;
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
use rebound::store::tables::{self, TableDefinition};
use rebound::store::{as_number, text};
use rebound::time::UnixMillis;

use self::email::EmailCheck;
pub use self::followups::{AFTER_A_STOP, FollowupCounts};
use super::chaos::{Request, RequestKind};
use super::scenario::Scenario;
use crate::CLOCK;
use crate::runner::Clock;

/// Maximum number of emails that are checked concurrently.
const MAX_CONCURRENT: usize = 16;

/// Number of emails that are looked up first, to find out if these are the right tables.
const FIRST_EMAILS: u32 = 20;

/// Interval between two checks for missing results.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of faults in the report.
const MAX_REPORTED: usize = 20;

/// The tables could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A table can't be read.
    #[error("a table can't be read: {0}; check the credentials, or pass --no-verify")]
    Table(#[from] CallError),
    /// None of the accepted webhooks is stored: the tables do not belong to the function.
    #[error(
        "none of the accepted webhooks is in the table {0}, so it is not the table of the function at this URL; name the target of the function (--local, --stack, --region)"
    )]
    OtherTables(String),
    /// The policy is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// The kind of a difference between the tables and the expected results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discrepancy {
    /// Something is missing.
    Lost,
    /// Something is there, or was done, too often.
    Doubled,
    /// A value is incorrect.
    Wrong,
}

/// The result of the check.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// Number of webhooks that are stored, byte for byte.
    pub stored: usize,
    /// Number of requests that were rejected and are not stored.
    pub refused: usize,
    /// Number of addresses that were checked, suppressed or not.
    pub addresses: usize,
    /// Number of these addresses that are suppressed.
    pub suppressed: usize,
    /// Number of the campaign's counters that were checked, over all cohorts.
    pub numbers: usize,
    /// Number of complaints with an alert that was published or grouped.
    pub alerts: usize,
    /// Number of opens and clicks with a verdict.
    pub verdicts: usize,
    /// Number of decisions.
    pub decisions: usize,
    /// Number of different messages that were published about the campaign. `None` on AWS, where SNS cannot list what it published.
    pub published: Option<usize>,
    /// Number of repeated publications with the same id and content. A repetition is a fault unless
    /// [functions were killed](VerifyOptions::deaths), or have a fast clock.
    pub repeats: usize,
    /// The follow-ups that Rebound sends.
    pub followups: FollowupCounts,
    /// Number of follow-ups that the local Resend accepted. `None` if Resend is elsewhere.
    pub accepted: Option<usize>,
    /// Time until protect had caught up, after the last response.
    pub counted_after: Duration,
    /// Time until engage had caught up, after the last response.
    pub judged_after: Duration,
    /// Number of missing items.
    pub lost: usize,
    /// Number of duplicated items.
    pub doubled: usize,
    /// Number of incorrect values.
    pub wrong: usize,
    /// The faults as text, at most 20.
    pub faults: Vec<String>,
}

impl VerifyReport {
    /// Returns true if there is no fault.
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

/// Options of the check.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// Maximum time to wait for missing results.
    pub patience: Duration,
    /// Time to wait for duplicates, after all results are there.
    pub then: Duration,
    /// True if verdicts are checked. They are not certain if events arrive in random order.
    pub knows_verdicts: bool,
    /// True if functions were killed. A function that is killed after it publishes, and before it records that, publishes again, with the
    /// same id.
    pub deaths: bool,
    /// True if the local Resend still has every email that it accepted: it was not killed.
    pub keeps_emails: bool,
}

struct ScenarioVerifier<'a> {
    calls: RetryClient,
    variables: &'a BTreeMap<String, String>,
    scenario: &'a Scenario,
    refused: BTreeSet<(u32, u16, RequestKind)>,
    options: VerifyOptions,
    began: Instant,
    /// The functions' clock.
    clock: Clock,
}

/// Checks the tables. `variables` is the functions' environment. `done` is called with the name of each step and its number of emails, and
/// with an empty name for each email that was checked.
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
        began: Instant::now(),
        clock: variables.get(CLOCK).and_then(|clock| clock.parse().ok()).unwrap_or_else(|| Clock::new(1.0)),
    };
    let (mut report, mut followups) = (VerifyReport::default(), Vec::new());
    let began = verifier.began;
    // A row is stored before the response to its webhook, so there is no need to wait for it.
    if !verifier.has_its_tables().await? {
        return Err(VerifyError::OtherTables(verifier.table(tables::EVENTS).to_owned()));
    }
    done("waiting until protect has counted everything", 0);
    let expected = counters::expected(scenario);
    verifier.wait_for_figures(&expected, &policy, began).await?;
    report.counted_after = began.elapsed();

    // Checks all emails, and then repeats those with missing results.
    let mut left: Vec<u32> = (0..scenario.emails).collect();
    let mut is_last = false;
    loop {
        done("emails checked", left.len());
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
                followups.extend(check.add_to(&mut report));
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
    done("waiting for duplicates", 0);
    tokio::time::sleep(options.then).await;
    verifier.compare_figures(&expected, &policy, &mut report).await?;
    verifier.addresses(&mut report).await?;
    verifier.compare_followups(&followups, &mut report).await;
    verifier.published(&mut report).await;
    Ok(report)
}

impl ScenarioVerifier<'_> {
    /// The name of a table.
    fn table(&self, table: TableDefinition) -> &str {
        self.variables.get(table.variable).map_or("", String::as_str)
    }

    /// Returns true if at least one of the first emails has a row.
    async fn has_its_tables(&self) -> Result<bool, CallError> {
        for number in 0..self.scenario.emails.min(FIRST_EMAILS) {
            if self.email(number).await?.stored > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks that every recipient of the scenario has exactly the expected active reasons.
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
                let active: BTreeSet<_> = known.suppression.reasons().collect();
                let wanted = expected.get(*name).cloned().unwrap_or_default();
                report.addresses += 1;
                report.suppressed += usize::from(!active.is_empty());
                for reason in wanted.difference(&active) {
                    if *reason == Reason::SoftBounce && self.arrived_late(name).await? {
                        continue;
                    }
                    report.add(Discrepancy::Lost, format!("{name} is not suppressed for {}", reason.as_str()));
                }
                for reason in active.difference(&wanted) {
                    report.add(Discrepancy::Wrong, format!("{name} is suppressed for {}", reason.as_str()));
                }
                if Recipient::parse(name).is_none() {
                    report.add(Discrepancy::Wrong, format!("{name} is not a valid address"));
                }
            }
        }
        Ok(())
    }

    /// Returns true if a soft bounce of this mailbox arrived so late that it does not count.
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
