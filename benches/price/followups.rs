//! The cost of follow-ups that Rebound sends: of `act` while it is idle, and of each follow-up, from its decision to the
//! recorded answer.

use std::time::{Duration, Instant};

use aws_local::faults::{Capacity, FaultProxy, Faults, Service};
use rebound::aws::AwsEnvironment;
use rebound::message::decision::{DecisionResult, DecisionSource, Followup, Receipt};
use rebound::policy::answer::Choice;
use rebound::policy::followup::ProposedFollowup;
use rebound::policy::verdict::Verdict;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::decisions::{DecidedFollowup, Decisions, Occurrence, StoredDecision};
use rebound::store::followups::{FollowupSlot, NewFollowup, read_facts};
use rebound::store::{event_key, text};
use rebound::time::{UnixMillis, days};
use rebound_dev::output::{Column, Table, paragraph};
use rebound_dev::resend::LocalResend;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use crate::bill::{READ_UNITS, REQUESTS, Used, WRITE_UNITS, seconds};
use crate::{Arguments, BoxError, CountedFunction};

/// Number of idle runs that are measured.
const IDLE_RUNS: usize = 500;

/// Runs of `act` in a month of 30 days.
const RUNS_A_MONTH: f64 = 30.0 * 24.0 * 60.0;

/// Number of follow-ups that are decided in each mode, to count the units of a decision.
const DECISIONS: usize = 50;

/// Number and size in bytes of the rows that an email has before its decision: sent, delivered, clicked.
const ROWS: (usize, usize) = (3, 900);

const KEY: &str = "re_price";
const CONSENT_KEY: &str = "0123456789abcdef0123456789abcdef";
const MILLION: f64 = 1e6;

/// The measured usage.
pub(crate) struct FollowupCosts {
    /// Usage of idle runs.
    idle: Used,
    /// Units of a decision that is proposed, and of one that is sent.
    decisions: [Capacity; 2],
    /// Number of follow-ups that were sent.
    sent: usize,
    /// Usage of the runs that sent them.
    sending: Used,
    /// Time of these runs.
    took: Duration,
}

pub(crate) async fn measure(arguments: &Arguments, number: usize) -> Result<FollowupCosts, BoxError> {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await?;
    let resend = LocalResend::start(KEY).await?;
    let (url, zone) = (resend.url(), zone_with_noon(UnixMillis::now()));
    let variables = [
        ("FOLLOWUPS", "send"),
        ("FOLLOWUPS_PER_DAY", "1000000"),
        ("FOLLOWUP_TIMEZONE", &zone),
        ("CONSENT_URL", "https://mail.example.com"),
        ("CONSENT_KEY", CONSENT_KEY),
        ("RESEND_API_KEY", KEY),
        ("RESEND_BASE_URL", &url),
        ("SENDER_ADDRESS", "Northwind Garden, 1 Garden Lane, Springfield"),
    ];
    let idle = {
        let act = CountedFunction::start("act", arguments, &aws, &variables).await?;
        for _ in 0..IDLE_RUNS {
            act.function.invoke(json!({})).await?;
        }
        act.used()?
    };
    let faults = Faults::default();
    let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default();
    let proxy = FaultProxy::start(upstream, ([127, 0, 0, 1], 0).into(), Service::DynamoDb, faults.clone()).await?;
    let decider = Decider { aws: &aws, proxied: proxy.url() };
    let mut decisions = [Capacity::default(); 2];
    for (units, is_sent) in decisions.iter_mut().zip([false, true]) {
        faults.plan(|_| None);
        faults.count_capacity(true);
        for n in 0..DECISIONS {
            decider.decide(&format!("{is_sent}-{n}"), is_sent).await?;
        }
        *units = faults.capacity();
    }
    faults.count_capacity(false);
    for n in DECISIONS..number {
        decider.decide(&format!("true-{n}"), true).await?;
    }
    let act = CountedFunction::start("act", arguments, &aws, &variables).await?;
    let began = Instant::now();
    while resend.accepted().len() < number.max(DECISIONS) {
        act.function.invoke(json!({})).await?;
    }
    let took = began.elapsed();
    Ok(FollowupCosts { idle, decisions, sent: resend.accepted().len(), sending: act.used()?, took })
}

/// A time zone in which it is about noon, outside of the quiet hours.
fn zone_with_noon(now: UnixMillis) -> String {
    let hour = now.seconds().div_euclid(3_600).rem_euclid(24);
    // West of Greenwich is plus in these names.
    match hour - 12 {
        0 => "UTC".to_owned(),
        west => format!("Etc/GMT{west:+}"),
    }
}

struct Decider<'a> {
    aws: &'a EmbeddedAws,
    proxied: String,
}

impl Decider<'_> {
    fn table(&self, variable: &str) -> String {
        self.aws.variable(variable).unwrap_or_default()
    }

    /// Stores an email's rows, past the proxy.
    async fn put_rows(&self, email_id: &str) -> Result<(), BoxError> {
        let dynamodb = self.aws.clients().dynamodb();
        for n in 0..ROWS.0 {
            let mut row = event_key(email_id, &format!("email.sent#{n}"));
            row.insert("kind".to_owned(), text("event"));
            row.insert("filler".to_owned(), text("x".repeat(ROWS.1)));
            dynamodb.put_item().table_name(self.table("EVENTS_TABLE")).set_item(Some(row)).send().await?;
        }
        Ok(())
    }

    /// Decides about a click, as `engage` stores it.
    async fn decide(&self, name: &str, is_sent: bool) -> Result<(), BoxError> {
        let (email_id, to) = (format!("e-{name}"), format!("person-{name}@example.com"));
        self.put_rows(&email_id).await?;
        let aws = AwsEnvironment::read(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(self.proxied.clone()),
            _ => self.aws.variable(name),
        })?;
        let calls = RetryClient::new(aws.dynamodb(), tokio::time::Instant::now() + Duration::from_secs(60));
        let recipient = Recipient::parse(&to).ok_or("no address")?;
        let campaign = Campaign::new("spring").ok_or("no campaign")?;
        let (at, decisions) = (UnixMillis::now(), Decisions::new(calls.clone(), &self.aws.tables()));
        let occurrence = Occurrence::new(&email_id, "email.clicked", std::slice::from_ref(&recipient));
        let (id, expires_at) = (occurrence.decision_id(), at.plus(days(90)));
        decisions.claim(&occurrence, "m1", at, Duration::from_secs(180), expires_at).await?;
        let facts = read_facts(&calls, &self.table("RECIPIENTS_TABLE"), &recipient).await?;
        let taken = ProposedFollowup { at, email_id: email_id.clone(), id: id.clone() };
        let slot = FollowupSlot { recipient: recipient.clone(), before: facts.followups, taken };
        let scheduled =
            is_sent.then(|| NewFollowup::scheduled(&email_id, &id, &recipient, &campaign, at, at, expires_at));
        let receipt = serde_json::to_string(&receipt(&id, &email_id, &to, &campaign, at))?;
        let decided = StoredDecision { receipt, is_settled: false, owner: "m1".to_owned(), at };
        let followup = DecidedFollowup { slot: &slot, names: &[to], scheduled: scheduled.as_ref() };
        decisions.decide(&occurrence, &decided, Some(followup)).await?;
        Ok(())
    }
}

fn receipt(id: &str, email_id: &str, to: &str, campaign: &Campaign, at: UnixMillis) -> Receipt {
    Receipt {
        id: id.to_owned(),
        at: at.to_text(),
        email_id: email_id.to_owned(),
        event: "email.clicked".to_owned(),
        message: "m1".to_owned(),
        event_at: at.to_text(),
        recipients: vec![to.to_owned()],
        campaign: campaign.clone(),
        verdict: Verdict::Human,
        score: 0,
        reasons: Vec::new(),
        opt_out_click: false,
        facts: json!({}),
        asked: DecisionSource::default(),
        choice: Choice::HandToHuman { reason: "a measurement".to_owned() },
        guards: Vec::new(),
        done: DecisionResult::FollowupScheduled,
        followup: Some(Followup {
            recipient: to.to_owned(),
            from: Some("Northwind Garden <news@shop.example>".to_owned()),
            subject: "Re: Bulbs for your spring garden".to_owned(),
            text: "Hello, you looked at our tulip bulbs. Shall we keep a box for you? ".repeat(6),
            not_before: at.to_text(),
            campaign: campaign.clone(),
            idempotency_key: String::new(),
            tags: Vec::new(),
        }),
    }
}

impl FollowupCosts {
    /// The lines of the table, each with its US dollars: an idle month, and a thousand follow-ups.
    fn lines(&self, arguments: &Arguments) -> Vec<(String, String, f64)> {
        let idle = &self.idle;
        let each = |value: f64| value / idle.invocations;
        let billed = (each(idle.cpu_ms) + each(idle.dynamodb_calls) * arguments.call_ms).ceil();
        let reads = each(idle.read_units);
        let units = |units: &Capacity| (units.write_units + units.refused_units, units.read_units);
        let usd = |(writes, reads): (f64, f64)| (writes * WRITE_UNITS + reads * READ_UNITS) / MILLION;
        let [proposed, sent] = self.decisions.each_ref().map(units);
        let more = ((sent.0 - proposed.0) / DECISIONS as f64, (sent.1 - proposed.1) / DECISIONS as f64);
        let of_each = |value: f64| value / self.sent as f64;
        let sending = (of_each(self.sending.write_units), of_each(self.sending.read_units));
        let busy = of_each(self.took.as_secs_f64());
        let thousand = 1_000.0;
        vec![
            (
                "an idle month: invocations".to_owned(),
                format!("{RUNS_A_MONTH:.0} × {REQUESTS:.2} a million"),
                RUNS_A_MONTH * REQUESTS / MILLION,
            ),
            (
                "an idle month: time".to_owned(),
                format!(
                    "{RUNS_A_MONTH:.0} × {billed:.0} ms ({:.2} of CPU, {:.1} calls) × 256 MB",
                    each(idle.cpu_ms),
                    each(idle.dynamodb_calls)
                ),
                seconds(RUNS_A_MONTH * billed / 1_000.0),
            ),
            (
                "an idle month: DynamoDB".to_owned(),
                format!("{RUNS_A_MONTH:.0} × {reads:.1} read units, {:.1} write units", each(idle.write_units)),
                RUNS_A_MONTH * usd((each(idle.write_units), reads)),
            ),
            (
                "a thousand: at the decision, beyond a proposal".to_owned(),
                format!("1000 × {:.1} write units, {:.1} read units", more.0, more.1),
                thousand * usd(more),
            ),
            (
                "a thousand: act's calls".to_owned(),
                format!(
                    "1000 × {:.1} write units, {:.1} read units, in {:.1} calls",
                    sending.0,
                    sending.1,
                    of_each(self.sending.dynamodb_calls)
                ),
                thousand * usd(sending),
            ),
            (
                "a thousand: act's time".to_owned(),
                format!("1000 × {:.0} ms × 256 MB, most of it the wait for the rate", busy * 1_000.0),
                seconds(thousand * busy),
            ),
        ]
    }
}

pub(crate) fn print(arguments: &Arguments, costs: &FollowupCosts) -> Result<(), BoxError> {
    let lines = costs.lines(arguments);
    if arguments.json {
        let lines = lines.iter().map(|(what, how, usd)| json!({ "what": what, "how": how, "usd": usd }));
        let lines: Vec<_> = lines.collect();
        println!("{:#}", json!({ "idle_runs": IDLE_RUNS, "sent": costs.sent, "lines": lines }));
        return Ok(());
    }
    table(&lines).print();
    paragraph(&format!(
        "{IDLE_RUNS} idle runs, and {} follow-ups in {:.0} s. A call to AWS is taken to be {} ms in an idle run. Not in it: \
         the webhooks about the emails that are sent, which cost what every webhook costs.",
        costs.sent,
        costs.took.as_secs_f64(),
        arguments.call_ms
    ));
    Ok(())
}

fn table(lines: &[(String, String, f64)]) -> Table {
    let mut table = Table::new([Column::text("act"), Column::text("how much"), Column::number("US dollars")]);
    for (what, how, usd) in lines {
        table.add([what.clone(), how.clone(), format!("{usd:.5}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_every_width() {
        let line =
            ("an idle month: time".to_owned(), "43200 × 13 ms (2.91 of CPU, 2.0 calls) × 256 MB".to_owned(), 0.02);
        assert_eq!(table(&[line]).faults(), Vec::<String>::new());
    }

    #[test]
    fn it_is_noon_in_the_zone() {
        for hour in 0..24 {
            let now = UnixMillis(hour * 3_600_000);
            let zone = zone_with_noon(now);
            assert!(rebound::policy::followup::Zone::parse(&zone).is_ok(), "{zone}");
        }
        assert_eq!(zone_with_noon(UnixMillis(0)), "Etc/GMT-12");
        assert_eq!(zone_with_noon(UnixMillis(23 * 3_600_000)), "Etc/GMT+11");
    }
}
