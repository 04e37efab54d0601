//! Whether people were told of everything, once, and of nothing else.

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

/// How people were told of a campaign's complaints.
#[derive(Debug, Serialize)]
pub(super) struct ComplaintAlerts {
    pub(super) campaign: String,
    pub(super) counted: i64,
    pub(super) one_by_one: i64,
    pub(super) in_digests: i64,
}

/// Checks every alert that was published, and the record of each in the events table. Answers how each campaign's complaints were
/// told.
pub(super) async fn alerts(env: &mut DemoEnvironment, rows: &[Item]) -> Result<Vec<ComplaintAlerts>, CommandError> {
    let published = env.published();
    let alerts = env.alerts();
    for message in &published {
        let Some(alert) = alert(message) else {
            env.faults.push(format!("published, but no alert: {}", message.message));
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
    env.check(ids == noted("published_at"), "the alerts that were published are not those noted as published");

    let told = complaints(env, &alerts).await?;
    let folded: i64 = told.iter().map(|told| told.in_digests).sum();
    let well = usize::try_from(folded) == Ok(noted("folded_into").len());
    env.check(well, format!("{folded} alerts in digests, not as many as are noted as folded"));

    brakes(env, &alerts);
    others(env, &alerts, rows);
    Ok(told)
}

/// Checks that no complaint is missing from what people were told, and that there was no storm.
async fn complaints(env: &mut DemoEnvironment, alerts: &[Alert]) -> Result<Vec<ComplaintAlerts>, CommandError> {
    let items = env.scan("CAMPAIGNS_TABLE").await?;
    let campaigns: BTreeSet<&str> = items.iter().map(|item| string(item, "campaign")).collect();
    let at_most = i64::try_from(AlertPolicy::default().one_by_one_in_an_hour)?;
    let mut all = Vec::new();
    for campaign in campaigns {
        let of_campaign = |alert: &&Alert| alert.campaign.as_ref().is_some_and(|named| named.as_str() == campaign);
        let of_kind = |kind| alerts.iter().filter(of_campaign).filter(move |alert| alert.kind == kind);
        let folded = of_kind(AlertKind::Digest).filter(|digest| digest.figures.get("of") == Some(&"complaint".into()));
        let told = ComplaintAlerts {
            campaign: campaign.to_owned(),
            counted: counted(&items, campaign).get(Counter::Complained),
            one_by_one: i64::try_from(of_kind(AlertKind::Complaint).count())?,
            in_digests: folded.filter_map(|digest| digest.figures.get("folded")?.as_i64()).sum(),
        };
        let well = told.one_by_one + told.in_digests == told.counted && told.one_by_one == told.counted.min(at_most);
        env.check(well, format!("the alerts do not add up to the complaints that were counted: {told:?}"));
        all.push(told);
    }
    Ok(all)
}

/// Checks that each campaign's brake was told of, step by step.
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

/// Checks the alerts of everything else: one for each happening.
fn others(env: &mut DemoEnvironment, alerts: &[Alert], rows: &[Item]) {
    let hour_of_receipt = |row: &Item| Some(Cohort::containing(UnixMillis(number(row, "received_at")?)));
    // Of two that failed for the same reason people are told once, unless the clock struck between them.
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
    for (whom, expected) in [(LATE, 1), (SWIFT, 0), ("tomas@slowmail.example", 1)] {
        let number = delays(alerts, whom);
        env.check(number == expected, format!("{number} delay alerts of {whom}, not {expected}"));
    }
}

/// How many delay alerts are about a recipient.
pub(super) fn delays(alerts: &[Alert], whom: &str) -> usize {
    alerts.iter().filter(|alert| alert.kind == AlertKind::Delay && alert.recipient.as_deref() == Some(whom)).count()
}

/// Checks that these are suppressed, for this reason.
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

/// A campaign's counters, of all its cohorts.
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
