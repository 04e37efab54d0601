//! Checks of the alerts: each one that is expected was sent once, and no other.

use std::collections::{BTreeMap, BTreeSet};

use rebound::message::alert::{Alert, AlertKind};
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::limits::AlertPolicy;
use rebound::resend::campaign::Cohort;
use rebound::store::Item;
use rebound::time::UnixMillis;
use serde::Serialize;

use super::contract::suppressed;
use super::emails::{LARGE, LATE, SMALL, SWIFT};
use super::environment::{DemoEnvironment, alert, number, string};
use crate::commands::CommandError;

/// The alerts of a campaign's complaints: sent one by one, or grouped in digests.
#[derive(Debug, Serialize)]
pub(super) struct ComplaintAlerts {
    pub(super) campaign: String,
    pub(super) counted: i64,
    pub(super) one_by_one: i64,
    pub(super) in_digests: i64,
}

/// Checks every alert that was published, and the record of each in the events table. Returns the alerts of each campaign's complaints.
pub(super) async fn alerts(env: &mut DemoEnvironment, rows: &[Item]) -> Result<Vec<ComplaintAlerts>, CommandError> {
    let published = env.published();
    let alerts = env.alerts();
    for message in &published {
        let Some(alert) = alert(message) else {
            env.faults.push(format!("published, but not an alert: {}", message.message));
            continue;
        };
        let mut attributes = BTreeMap::from([
            ("kind".to_owned(), alert.kind.as_str().to_owned()),
            ("severity".to_owned(), alert.severity.as_str().to_owned()),
        ]);
        attributes.extend(alert.campaign.as_ref().map(|campaign| ("campaign".to_owned(), campaign.to_string())));
        let well = message.attributes == attributes && message.for_protocol("email") == alert.text;
        env.check(well, format!("the parts of an alert do not agree: {message:?}"));
    }

    let ids: BTreeSet<String> = alerts.iter().map(|alert| alert.id.clone()).collect();
    env.check(ids.len() == alerts.len(), "an alert was published twice");
    let noted = |attribute: &str| -> BTreeSet<String> {
        let noted = rows.iter().filter(|row| string(row, "kind") == "alert" && row.contains_key(attribute));
        noted.filter_map(|row| Some(string(row, "event").strip_prefix("alert#")?.to_owned())).collect()
    };
    env.check(ids == noted("published_at"), "the published alerts differ from those recorded as published");

    let alerts_by_campaign = complaints(env, &alerts).await?;
    let folded: i64 = alerts_by_campaign.iter().map(|alerts| alerts.in_digests).sum();
    let well = usize::try_from(folded) == Ok(noted("folded_into").len());
    env.check(well, format!("{folded} alerts in digests, but another number is recorded as grouped"));

    brakes(env, &alerts);
    others(env, &alerts, rows);
    Ok(alerts_by_campaign)
}

/// Checks that every complaint has an alert, alone or in a digest, and that alerts were grouped above the limit.
async fn complaints(env: &mut DemoEnvironment, alerts: &[Alert]) -> Result<Vec<ComplaintAlerts>, CommandError> {
    let items = env.scan("CAMPAIGNS_TABLE").await?;
    let campaigns: BTreeSet<&str> = items.iter().map(|item| string(item, "campaign")).collect();
    let at_most = i64::try_from(AlertPolicy::default().one_by_one_in_an_hour)?;
    let mut all = Vec::new();
    for campaign in campaigns {
        let of_campaign = |alert: &&Alert| alert.campaign.as_ref().is_some_and(|named| named.as_str() == campaign);
        let of_kind = |kind| alerts.iter().filter(of_campaign).filter(move |alert| alert.kind == kind);
        let folded = of_kind(AlertKind::Digest).filter(|digest| digest.figures.get("of") == Some(&"complaint".into()));
        let sent = ComplaintAlerts {
            campaign: campaign.to_owned(),
            counted: counted(&items, campaign).get(Counter::Complained),
            one_by_one: i64::try_from(of_kind(AlertKind::Complaint).count())?,
            in_digests: folded.filter_map(|digest| digest.figures.get("folded")?.as_i64()).sum(),
        };
        let well = sent.one_by_one + sent.in_digests == sent.counted && sent.one_by_one == sent.counted.min(at_most);
        env.check(well, format!("the alerts do not add up to the counted complaints: {sent:?}"));
        all.push(sent);
    }
    Ok(all)
}

/// Checks that there is an alert for each change of each campaign's brake.
fn brakes(env: &mut DemoEnvironment, alerts: &[Alert]) {
    let expected = [
        (LARGE, vec!["slowed to 50 %", "halfway to being paused", "paused", "open again"]),
        (SMALL, vec!["slowed", "open again"]),
    ];
    for (campaign, steps) in expected {
        let of_campaign = |alert: &&Alert| {
            alert.kind == AlertKind::Brake && alert.campaign.as_ref().is_some_and(|named| named.as_str() == campaign)
        };
        let titles: Vec<&str> = alerts.iter().filter(of_campaign).map(|alert| alert.title.as_str()).collect();
        let well = titles.len() == steps.len() && titles.iter().zip(&steps).all(|(title, step)| title.contains(step));
        env.check(well, format!("the alerts of {campaign}'s brake are {titles:?}, not {steps:?}"));
    }
}

/// Checks the alerts of everything else: one for each occurrence.
fn others(env: &mut DemoEnvironment, alerts: &[Alert], rows: &[Item]) {
    let hour_of_receipt = |row: &Item| Some(Cohort::containing(UnixMillis(number(row, "received_at")?)));
    // Two failures with the same reason share one alert, unless they fall into different hours.
    let failed = rows.iter().filter(|row| string(row, "event").starts_with("email.failed#"));
    let failed: BTreeSet<Cohort> = failed.filter_map(hour_of_receipt).collect();
    let expected = [
        (AlertKind::AmbiguousBounce, 1),
        (AlertKind::Failed, failed.len()),
        (AlertKind::Domain, 2),
        (AlertKind::Quarantine, 1),
    ];
    for (kind, expected) in expected {
        let number = alerts.iter().filter(|alert| alert.kind == kind).count();
        env.check(number == expected, format!("{number} alerts of kind {}, not {expected}", kind.as_str()));
    }
    for (recipient, expected) in [(LATE, 1), (SWIFT, 0), ("tomas@slowmail.example", 1)] {
        let number = delays(alerts, recipient);
        env.check(number == expected, format!("{number} delay alerts about {recipient}, not {expected}"));
    }
}

/// Number of delay alerts about a recipient.
pub(super) fn delays(alerts: &[Alert], recipient: &str) -> usize {
    alerts
        .iter()
        .filter(|alert| alert.kind == AlertKind::Delay && alert.recipient.as_deref() == Some(recipient))
        .count()
}

/// Checks that these recipients are suppressed for this reason.
pub(super) async fn are_suppressed(
    env: &mut DemoEnvironment,
    recipients: &[String],
    reason: &str,
) -> Result<(), CommandError> {
    let known = suppressed(&env.scan("SUPPRESSIONS_TABLE").await?);
    for recipient in recipients {
        let well = known.get(recipient).is_some_and(|reasons| reasons.contains(&reason));
        env.check(well, format!("{recipient} is not suppressed for {reason}"));
    }
    Ok(())
}

/// The sums of a campaign's counters over all its cohorts.
pub(super) fn counted(items: &[Item], campaign: &str) -> CounterTotals {
    let mut figures = CounterTotals::default();
    let is_cohort = |item: &&Item| Cohort::parse(string(item, "cohort")).is_some();
    for item in items.iter().filter(|item| string(item, "campaign") == campaign).filter(is_cohort) {
        for &counter in Counter::ALL {
            figures.add(counter, number(item, counter.as_str()).unwrap_or(0));
        }
    }
    figures
}
