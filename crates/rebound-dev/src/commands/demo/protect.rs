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
use super::mails::{LARGE, LATE, Mail, SMALL, SWIFT};
use super::stage::{Stage, number, string};
use crate::commands::Failure;

/// The recipient with a full mailbox.
const FULL: &str = "full.mailbox@example.net";

const DELIVERED: usize = 240;
const BOUNCED: usize = 3;
const OPENED: usize = 12;
const CLICKED: usize = 4;

/// A brake: its status and volume.
type Brake = (&'static str, f64);

const PAUSED: Brake = ("paused", 0.0);
const OPEN: Brake = ("open", 1.0);

/// The brake after each complaint. 5 complaints of 240 delivered emails are over 1 %, so the campaign is paused.
const GOES: [Brake; 8] =
    [("slowed", 0.5), ("slowed", 0.25), ("slowed", 0.125), ("slowed", 0.0625), PAUSED, PAUSED, PAUSED, PAUSED];

/// A tick: the time since the start, in words and as a duration; the expected brakes of the two campaigns; and the expected number of
/// alerts about the email that never arrives. That email was sent two hours before the start.
type Tick = (&'static str, Duration, Brake, Brake, usize);

const TICKS: [Tick; 6] = [
    ("5 minutes", Duration::from_secs(300), PAUSED, ("slowed", 0.25), 0),
    ("5 hours", hours(5), PAUSED, ("slowed", 0.5), 0),
    ("21 h 59 min", Duration::from_secs((21 * 60 + 59) * 60), PAUSED, ("slowed", 0.5), 0),
    ("22 h 1 min", Duration::from_secs((22 * 60 + 1) * 60), PAUSED, ("slowed", 0.5), 1),
    ("25 hours", hours(25), PAUSED, OPEN, 1),
    ("8 days", days(8), OPEN, OPEN, 1),
];

/// A campaign's counters and brake, as they are in its items.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
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
pub(super) struct SoftBounced {
    pub(super) bounces: usize,
    pub(super) reasons: Vec<&'static str>,
    pub(super) until: Option<String>,
}

/// A tick and its results.
#[derive(Debug, Serialize)]
pub(super) struct Ticked {
    pub(super) later: &'static str,
    pub(super) looked_at: usize,
    pub(super) published: Vec<String>,
    pub(super) large: Standing,
    pub(super) small: Standing,
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
pub(super) struct Queued {
    pub(super) opens_and_clicks: usize,
    pub(super) sent_at_first: usize,
    pub(super) sent_in_the_end: usize,
    pub(super) different: usize,
}

/// The results of the second part.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) posted: usize,
    pub(super) brake: Vec<Standing>,
    pub(super) soft_bounces: Vec<SoftBounced>,
    pub(super) ticks: Vec<Ticked>,
    pub(super) alerts: Vec<rebound::message::alert::Alert>,
    pub(super) told: Vec<checks::Told>,
    pub(super) queue: Queued,
    pub(super) redeliveries: Vec<Redelivery>,
}

/// Runs `protect` on the stored events, on more events, on a redelivery of everything, and on ticks.
pub(super) async fn show(stage: &mut Stage) -> Result<Report, Failure> {
    let feeder = stage.feed(FeederOptions::default()).await?;
    stage.settle(&feeder).await?;
    let brake = brake(stage, &feeder).await?;
    let soft_bounces = soft_bounces(stage, &feeder).await?;
    others(stage).await?;
    stage.settle(&feeder).await?;
    drop(feeder);

    let (sent_at_first, _) = stage.queued();
    let mut redeliveries = vec![redeliver(stage, "immediately", 3, 1).await?];
    let ticks = ticks(stage).await?;
    redeliveries.push(redeliver(stage, "after 8 days", 4, 2).await?);

    let (sent_in_the_end, different) = stage.queued();
    let different = different.len();
    let rows = stage.scan("EVENTS_TABLE").await?;
    let engages = |row: &&Item| ["email.opened#", "email.clicked#"].iter().any(|t| string(row, "event").starts_with(t));
    let queue =
        Queued { opens_and_clicks: rows.iter().filter(engages).count(), sent_at_first, sent_in_the_end, different };
    let handed = queue.sent_at_first == queue.opens_and_clicks && different == queue.opens_and_clicks;
    stage.check(handed, format!("not every open and click is in the queue, once: {queue:?}"));
    let told = checks::alerts(stage, &rows).await?;
    Ok(Report { posted: stage.posted, brake, soft_bounces, ticks, alerts: stage.alerts(), told, queue, redeliveries })
}

/// Posts a campaign that draws more and more complaints.
async fn brake(stage: &mut Stage, feeder: &Feeder) -> Result<Vec<Standing>, Failure> {
    let before = |minutes: u64| stage.began.minus(Duration::from_secs(minutes * 60));
    let (created, arrived, complained) = (before(30), before(29), before(1));
    let mails: Vec<Mail> = (1..=DELIVERED).map(|number| Mail::of_campaign(LARGE, number, created)).collect();
    let mut events: Vec<Value> = mails.iter().map(|mail| mail.event("email.delivered", arrived)).collect();
    events.extend(mails.iter().take(OPENED).map(|mail| mail.event("email.opened", before(5))));
    events.extend(mails.iter().take(CLICKED).map(|mail| mail.event("email.clicked", before(4))));
    let unknown = (1..=BOUNCED).map(|number| Mail::of_campaign(LARGE, DELIVERED + number, created));
    events.extend(unknown.map(|mail| mail.hard_bounce(arrived)));
    stage.post(events).await?;
    stage.settle(feeder).await?;
    let mut standings = vec![standing(stage, LARGE, format!("{DELIVERED} delivered")).await?];
    expect(stage, &standings, OPEN, 0);

    for (number, (mail, goes)) in (1..).zip(mails.iter().zip(GOES)) {
        stage.post(vec![mail.event("email.complained", complained)]).await?;
        stage.settle(feeder).await?;
        standings.push(standing(stage, LARGE, format!("complaint {number}")).await?);
        expect(stage, &standings, goes, number);
    }
    // A second webhook with a later time about the same complaint.
    stage.post(mails.iter().take(1).map(|mail| mail.event("email.complained", stage.began)).collect()).await?;
    stage.settle(feeder).await?;
    standings.push(standing(stage, LARGE, "complaint 1, reported again".to_owned()).await?);
    expect(stage, &standings, PAUSED, GOES.len());
    let complainers: Vec<String> = mails.iter().take(GOES.len()).map(|mail| mail.to.clone()).collect();
    checks::are_suppressed(stage, &complainers, "complaint").await?;
    Ok(standings)
}

/// Checks the brake and the counters of the last report.
fn expect(stage: &mut Stage, standings: &[Standing], (status, volume): Brake, complaints: usize) {
    let Some(last) = standings.last() else { return };
    let counted = |counter: i64, number: usize| usize::try_from(counter) == Ok(number);
    let well = last.status == status
        && last.volume == volume
        && counted(last.delivered, DELIVERED)
        && counted(last.bounced_hard, BOUNCED)
        && counted(last.opened, OPENED)
        && counted(last.clicked, CLICKED)
        && counted(last.complained, complaints);
    let fault = format!("{LARGE} must be {status} at volume {volume} with {complaints} complaints, but: {last:?}");
    stage.check(well, fault);
}

/// Posts three emails to a full mailbox.
async fn soft_bounces(stage: &mut Stage, feeder: &Feeder) -> Result<Vec<SoftBounced>, Failure> {
    let mut known = Vec::new();
    // In the last minutes: a soft bounce that is much older than its receipt does not count.
    for (bounces, ago) in [(1, 8), (2, 5), (3, 2)] {
        let at = stage.began.minus(Duration::from_secs(ago * 60));
        let mail = Mail::alone(&format!("full-{bounces}"), FULL, at.minus(Duration::from_secs(60)));
        stage.post(vec![mail.soft_bounce(at)]).await?;
        stage.settle(feeder).await?;
        let items = stage.scan("SUPPRESSIONS_TABLE").await?;
        let item = items.iter().find(|item| string(item, "recipient") == FULL);
        let reasons = suppressed(&items).remove(FULL).unwrap_or_default();
        let until = item.and_then(|item| number(item, "until")).map(UnixMillis);
        let well = match bounces {
            3 => reasons == ["soft_bounce"] && until == Some(at.plus(days(30))),
            _ => item.is_none(),
        };
        stage
            .check(well, format!("after {bounces} soft bounces, {FULL} is suppressed for {reasons:?} until {until:?}"));
        known.push(SoftBounced { bounces, reasons, until: until.map(UnixMillis::to_text) });
    }
    Ok(known)
}

/// Posts the rest: a small campaign with an old and a new complaint, an email that never arrives, one that arrives late, and a second
/// email that fails for the same reason as the sample.
async fn others(stage: &mut Stage) -> Result<(), Failure> {
    let before = |minutes: u64| stage.began.minus(Duration::from_secs(minutes * 60));
    let created = before(21 * 60);
    let mails: Vec<Mail> = (1..=40).map(|number| Mail::of_campaign(SMALL, number, created)).collect();
    let mut events: Vec<Value> = mails.iter().map(|mail| mail.event("email.delivered", created)).collect();
    let complaints = mails.iter().zip([before(20 * 60), before(1)]);
    events.extend(complaints.map(|(mail, at)| mail.event("email.complained", at)));
    for (id, to) in [("never-arrives", LATE), ("arrives-late", SWIFT)] {
        let mail = Mail::alone(id, to, before(120));
        events.push(mail.event("email.sent", before(120)));
        events.push(mail.event("email.delivery_delayed", before(60)));
        events.extend((to == SWIFT).then(|| mail.event("email.delivered", before(30))));
    }
    events.push(Mail::alone("fails-too", "nils@example.com", before(3)).failed(before(3), "reached_daily_quota"));
    stage.post(events).await
}

/// Moves the clock on, and runs a tick at each step.
async fn ticks(stage: &mut Stage) -> Result<Vec<Ticked>, Failure> {
    let mut ticks = Vec::new();
    for (later, ahead, large_goes, small_goes, delays) in TICKS {
        let known = stage.alerts().len();
        let report = stage.tick(ahead).await?;
        let alerts = stage.alerts();
        let large = standing(stage, LARGE, later.to_owned()).await?;
        let small = standing(stage, SMALL, later.to_owned()).await?;
        for (campaign, standing, (status, volume)) in [(LARGE, &large, large_goes), (SMALL, &small, small_goes)] {
            let well = standing.status == status && standing.volume == volume;
            stage.check(well, format!("{later} later {campaign} must be {status} at {volume}, but: {standing:?}"));
        }
        let alerted = |recipient: &str| checks::delays(&alerts, recipient);
        let well = alerted(LATE) == delays && alerted(SWIFT) == 0;
        stage.check(well, format!("{later} later there are {} delay alerts about {LATE}, not {delays}", alerted(LATE)));
        let published = alerts.iter().skip(known).map(|alert| alert.title.clone()).collect();
        ticks.push(Ticked { later, looked_at: report.looked_at, published, large, small });
    }
    Ok(ticks)
}

/// Delivers the whole stream again, in other batches, most of them repeated.
async fn redeliver(stage: &mut Stage, when: &'static str, shards: usize, seed: u64) -> Result<Redelivery, Failure> {
    let (before, known) = (stage.everything().await?, stage.published().len());
    let chaos = Some(RedeliveryOptions { redeliver: 0.8, seed });
    let feeder = stage.feed(FeederOptions { shards, chaos, ..FeederOptions::default() }).await?;
    let figures = stage.settle(&feeder).await?;
    drop(feeder);
    let after = stage.everything().await?;
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&String> = keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
    let published = stage.published().len() - known;
    let well = changed.is_empty() && published == 0;
    stage.check(well, format!("delivered again {when}: {published} alerts published, and changed: {changed:?}"));
    let (records, repeated, items) = (figures.matched, figures.redelivered, before.len());
    Ok(Redelivery { when, shards, records, repeated, items, changed: changed.len(), published })
}

/// Reads a campaign's counters, summed over all cohorts, and its brake.
async fn standing(stage: &Stage, campaign: &str, after: String) -> Result<Standing, Failure> {
    let items = stage.scan("CAMPAIGNS_TABLE").await?;
    let state = items.iter().find(|item| string(item, "campaign") == campaign && string(item, "cohort") == "state");
    let words = |attribute| state.map_or("", |state| string(state, attribute)).to_owned();
    let figures = checks::counted(&items, campaign);
    Ok(Standing {
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
