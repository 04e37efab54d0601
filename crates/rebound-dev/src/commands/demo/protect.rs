//! The second part: `protect` processes the stored events, by the stream and by the clock.

use std::time::Duration;

use aws_local::feeder::{Feeder, FeederOptions, RedeliveryOptions};
use rebound::policy::counting::Counter;
use rebound::store::Item;
use rebound::time::{UnixMillis, days, hours};
use serde::Serialize;
use serde_json::Value;

use super::checks;
use super::contract::suppressed;
use super::emails::{DemoEmail, LARGE, LATE, SMALL, SWIFT};
use super::environment::{DemoEnvironment, number, string};
use crate::commands::CommandError;

/// The recipient with a full mailbox.
const FULL: &str = "full.mailbox@example.net";

const DELIVERED: usize = 240;
const BOUNCED: usize = 3;
const OPENED: usize = 12;
const CLICKED: usize = 4;

/// A brake: its status and volume.
type ExpectedBrake = (&'static str, f64);

const PAUSED: ExpectedBrake = ("paused", 0.0);
const OPEN: ExpectedBrake = ("open", 1.0);

/// The brake after each complaint. 5 complaints of 240 delivered emails are over 1 %, so the campaign is paused.
const EXPECTED_BRAKES: [ExpectedBrake; 8] =
    [("slowed", 0.5), ("slowed", 0.25), ("slowed", 0.125), ("slowed", 0.0625), PAUSED, PAUSED, PAUSED, PAUSED];

/// A tick: the time since the start, as text and as a duration; the expected brakes of the two campaigns; and the expected number of
/// alerts about the email that never arrives. That email was sent two hours before the start.
type ExpectedTick = (&'static str, Duration, ExpectedBrake, ExpectedBrake, usize);

const TICKS: [ExpectedTick; 6] = [
    ("5 minutes", Duration::from_secs(300), PAUSED, ("slowed", 0.25), 0),
    ("5 hours", hours(5), PAUSED, ("slowed", 0.5), 0),
    ("21 h 59 min", Duration::from_secs((21 * 60 + 59) * 60), PAUSED, ("slowed", 0.5), 0),
    ("22 h 1 min", Duration::from_secs((22 * 60 + 1) * 60), PAUSED, ("slowed", 0.5), 1),
    ("25 hours", hours(25), PAUSED, OPEN, 1),
    ("8 days", days(8), OPEN, OPEN, 1),
];

/// A campaign's counters and brake, as they are in its items.
#[derive(Debug, Serialize)]
pub(super) struct CampaignReport {
    pub(super) after: String,
    pub(super) delivered: i64,
    pub(super) bounced_hard: i64,
    pub(super) complained: i64,
    pub(super) opened: i64,
    pub(super) clicked: i64,
    pub(super) status: String,
    pub(super) volume: f64,
    pub(super) reason: String,
    pub(super) until: Option<String>,
}

/// The suppression of the full mailbox after a number of soft bounces.
#[derive(Debug, Serialize)]
pub(super) struct SoftBounceReport {
    pub(super) bounces: usize,
    pub(super) reasons: Vec<&'static str>,
    pub(super) until: Option<String>,
}

/// A tick and its results.
#[derive(Debug, Serialize)]
pub(super) struct TickResult {
    pub(super) later: &'static str,
    pub(super) looked_at: usize,
    pub(super) published: Vec<String>,
    pub(super) large: CampaignReport,
    pub(super) small: CampaignReport,
}

/// A redelivery of the whole stream, and its changes.
#[derive(Debug, Serialize)]
pub(super) struct Redelivery {
    pub(super) when: &'static str,
    pub(super) shards: usize,
    pub(super) records: u64,
    pub(super) repeated: u64,
    pub(super) items: usize,
    pub(super) changed: usize,
    pub(super) published: usize,
}

/// The messages in the queue that `engage` reads.
#[derive(Debug, Serialize)]
pub(super) struct QueueReport {
    pub(super) opens_and_clicks: usize,
    pub(super) sent_at_first: usize,
    pub(super) sent_in_the_end: usize,
    pub(super) different: usize,
}

/// The results of the second part.
#[derive(Debug, Serialize)]
pub(super) struct ProtectReport {
    pub(super) posted: usize,
    pub(super) brake: Vec<CampaignReport>,
    pub(super) soft_bounces: Vec<SoftBounceReport>,
    pub(super) ticks: Vec<TickResult>,
    pub(super) alerts: Vec<rebound::message::alert::Alert>,
    pub(super) complaint_alerts: Vec<checks::ComplaintAlerts>,
    pub(super) queue: QueueReport,
    pub(super) redeliveries: Vec<Redelivery>,
}

/// Runs `protect` on the stored events, on more events, on a redelivery of everything, and on ticks.
pub(super) async fn show(env: &mut DemoEnvironment) -> Result<ProtectReport, CommandError> {
    let feeder = env.feed(FeederOptions::default()).await?;
    env.settle(&feeder).await?;
    let brake = brake(env, &feeder).await?;
    let soft_bounces = soft_bounces(env, &feeder).await?;
    others(env).await?;
    env.settle(&feeder).await?;
    drop(feeder);

    let (sent_at_first, _) = env.queued();
    let mut redeliveries = vec![redeliver(env, "immediately", 3, 1).await?];
    let ticks = ticks(env).await?;
    redeliveries.push(redeliver(env, "after 8 days", 4, 2).await?);

    let (sent_in_the_end, different) = env.queued();
    let different = different.len();
    let rows = env.scan("EVENTS_TABLE").await?;
    let engages = |row: &&Item| ["email.opened#", "email.clicked#"].iter().any(|t| string(row, "event").starts_with(t));
    let queue = QueueReport {
        opens_and_clicks: rows.iter().filter(engages).count(),
        sent_at_first,
        sent_in_the_end,
        different,
    };
    let handed = queue.sent_at_first == queue.opens_and_clicks && different == queue.opens_and_clicks;
    env.check(handed, format!("not every open and click is in the queue, once: {queue:?}"));
    let complaint_alerts = checks::alerts(env, &rows).await?;
    Ok(ProtectReport {
        posted: env.posted,
        brake,
        soft_bounces,
        ticks,
        alerts: env.alerts(),
        complaint_alerts,
        queue,
        redeliveries,
    })
}

/// Posts a campaign that draws more and more complaints.
async fn brake(env: &mut DemoEnvironment, feeder: &Feeder) -> Result<Vec<CampaignReport>, CommandError> {
    let before = |minutes: u64| env.began.minus(Duration::from_secs(minutes * 60));
    let (created, arrived, complained) = (before(30), before(29), before(1));
    let emails: Vec<DemoEmail> = (1..=DELIVERED).map(|number| DemoEmail::of_campaign(LARGE, number, created)).collect();
    let mut events: Vec<Value> = emails.iter().map(|email| email.event("email.delivered", arrived)).collect();
    events.extend(emails.iter().take(OPENED).map(|email| email.event("email.opened", before(5))));
    events.extend(emails.iter().take(CLICKED).map(|email| email.event("email.clicked", before(4))));
    let unknown = (1..=BOUNCED).map(|number| DemoEmail::of_campaign(LARGE, DELIVERED + number, created));
    events.extend(unknown.map(|email| email.hard_bounce(arrived)));
    env.post(events).await?;
    env.settle(feeder).await?;
    let mut reports = vec![campaign_report(env, LARGE, format!("{DELIVERED} delivered")).await?];
    expect(env, &reports, OPEN, 0);

    for (number, (email, goes)) in (1..).zip(emails.iter().zip(EXPECTED_BRAKES)) {
        env.post(vec![email.event("email.complained", complained)]).await?;
        env.settle(feeder).await?;
        reports.push(campaign_report(env, LARGE, format!("complaint {number}")).await?);
        expect(env, &reports, goes, number);
    }
    // A second webhook with a later time about the same complaint.
    env.post(emails.iter().take(1).map(|email| email.event("email.complained", env.began)).collect()).await?;
    env.settle(feeder).await?;
    reports.push(campaign_report(env, LARGE, "complaint 1, reported again".to_owned()).await?);
    expect(env, &reports, PAUSED, EXPECTED_BRAKES.len());
    let complainers: Vec<String> = emails.iter().take(EXPECTED_BRAKES.len()).map(|email| email.to.clone()).collect();
    checks::are_suppressed(env, &complainers, "complaint").await?;
    Ok(reports)
}

/// Checks the brake and the counters of the last report.
fn expect(env: &mut DemoEnvironment, reports: &[CampaignReport], (status, volume): ExpectedBrake, complaints: usize) {
    let Some(last) = reports.last() else { return };
    let counted = |counter: i64, number: usize| usize::try_from(counter) == Ok(number);
    let well = last.status == status
        && last.volume == volume
        && counted(last.delivered, DELIVERED)
        && counted(last.bounced_hard, BOUNCED)
        && counted(last.opened, OPENED)
        && counted(last.clicked, CLICKED)
        && counted(last.complained, complaints);
    let fault = format!("{LARGE} must be {status} at volume {volume} with {complaints} complaints, but: {last:?}");
    env.check(well, fault);
}

/// Posts three emails to a full mailbox.
async fn soft_bounces(env: &mut DemoEnvironment, feeder: &Feeder) -> Result<Vec<SoftBounceReport>, CommandError> {
    let mut known = Vec::new();
    // In the last minutes: a soft bounce that is much older than its receipt does not count.
    for (bounces, ago) in [(1, 8), (2, 5), (3, 2)] {
        let at = env.began.minus(Duration::from_secs(ago * 60));
        let email = DemoEmail::alone(&format!("full-{bounces}"), FULL, at.minus(Duration::from_secs(60)));
        env.post(vec![email.soft_bounce(at)]).await?;
        env.settle(feeder).await?;
        let items = env.scan("SUPPRESSIONS_TABLE").await?;
        let item = items.iter().find(|item| string(item, "recipient") == FULL);
        let reasons = suppressed(&items).remove(FULL).unwrap_or_default();
        let until = item.and_then(|item| number(item, "until")).map(UnixMillis);
        let well = match bounces {
            3 => reasons == ["soft_bounce"] && until == Some(at.plus(days(30))),
            _ => item.is_none(),
        };
        env.check(well, format!("after {bounces} soft bounces, {FULL} is suppressed for {reasons:?} until {until:?}"));
        known.push(SoftBounceReport { bounces, reasons, until: until.map(UnixMillis::to_text) });
    }
    Ok(known)
}

/// Posts the rest: a small campaign with an old and a new complaint, an email that never arrives, one that arrives late, and a second
/// email that fails for the same reason as the sample.
async fn others(env: &mut DemoEnvironment) -> Result<(), CommandError> {
    let before = |minutes: u64| env.began.minus(Duration::from_secs(minutes * 60));
    let created = before(21 * 60);
    let emails: Vec<DemoEmail> = (1..=40).map(|number| DemoEmail::of_campaign(SMALL, number, created)).collect();
    let mut events: Vec<Value> = emails.iter().map(|email| email.event("email.delivered", created)).collect();
    let complaints = emails.iter().zip([before(20 * 60), before(1)]);
    events.extend(complaints.map(|(email, at)| email.event("email.complained", at)));
    for (id, to) in [("never-arrives", LATE), ("arrives-late", SWIFT)] {
        let email = DemoEmail::alone(id, to, before(120));
        events.push(email.event("email.sent", before(120)));
        events.push(email.event("email.delivery_delayed", before(60)));
        events.extend((to == SWIFT).then(|| email.event("email.delivered", before(30))));
    }
    events.push(DemoEmail::alone("fails-too", "nils@example.com", before(3)).failed(before(3), "reached_daily_quota"));
    env.post(events).await
}

/// Moves the clock on, and runs a tick at each step.
async fn ticks(env: &mut DemoEnvironment) -> Result<Vec<TickResult>, CommandError> {
    let mut ticks = Vec::new();
    for (later, ahead, large_goes, small_goes, delays) in TICKS {
        let known = env.alerts().len();
        let report = env.tick(ahead).await?;
        let alerts = env.alerts();
        let large = campaign_report(env, LARGE, later.to_owned()).await?;
        let small = campaign_report(env, SMALL, later.to_owned()).await?;
        for (campaign, campaign_report, (status, volume)) in [(LARGE, &large, large_goes), (SMALL, &small, small_goes)]
        {
            let well = campaign_report.status == status && campaign_report.volume == volume;
            env.check(well, format!("{later} later {campaign} must be {status} at {volume}, but: {campaign_report:?}"));
        }
        let alerted = |recipient: &str| checks::delays(&alerts, recipient);
        let well = alerted(LATE) == delays && alerted(SWIFT) == 0;
        env.check(well, format!("{later} later there are {} delay alerts about {LATE}, not {delays}", alerted(LATE)));
        let published = alerts.iter().skip(known).map(|alert| alert.title.clone()).collect();
        ticks.push(TickResult { later, looked_at: report.looked_at, published, large, small });
    }
    Ok(ticks)
}

/// Delivers the whole stream again, in other batches, most of them repeated.
async fn redeliver(
    env: &mut DemoEnvironment,
    when: &'static str,
    shards: usize,
    seed: u64,
) -> Result<Redelivery, CommandError> {
    let (before, known) = (env.everything().await?, env.published().len());
    let chaos = Some(RedeliveryOptions { redeliver: 0.8, seed });
    let feeder = env.feed(FeederOptions { shards, chaos, ..FeederOptions::default() }).await?;
    let figures = env.settle(&feeder).await?;
    drop(feeder);
    let after = env.everything().await?;
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&String> = keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
    let published = env.published().len() - known;
    let well = changed.is_empty() && published == 0;
    env.check(well, format!("delivered again {when}: {published} alerts published, and changed: {changed:?}"));
    let (records, repeated, items) = (figures.matched, figures.redelivered, before.len());
    Ok(Redelivery { when, shards, records, repeated, items, changed: changed.len(), published })
}

/// Reads a campaign's counters, summed over all cohorts, and its brake.
async fn campaign_report(env: &DemoEnvironment, campaign: &str, after: String) -> Result<CampaignReport, CommandError> {
    let items = env.scan("CAMPAIGNS_TABLE").await?;
    let state = items.iter().find(|item| string(item, "campaign") == campaign && string(item, "cohort") == "state");
    let words = |attribute| state.map_or("", |state| string(state, attribute)).to_owned();
    let figures = checks::counted(&items, campaign);
    Ok(CampaignReport {
        after,
        delivered: figures.get(Counter::Delivered),
        bounced_hard: figures.get(Counter::BouncedHard),
        complained: figures.get(Counter::Complained),
        opened: figures.get(Counter::Opened),
        clicked: figures.get(Counter::Clicked),
        status: words("status"),
        volume: state.and_then(|state| number(state, "volume")).unwrap_or(f64::NAN),
        reason: words("reason"),
        until: state.and_then(|state| number(state, "until")).map(|until| UnixMillis(until).to_text()),
    })
}
