//! Texts of alerts about a campaign as a whole.

use serde_json::{Map, Value, json};

use crate::message::alert::{Alert, AlertKind, Severity};
use crate::policy::brake::{BrakeInput, BrakeState, Status};
use crate::policy::count::count;
use crate::policy::counting::Counter;
use crate::resend::campaign::Campaign;
use crate::time::UnixMillis;

/// A campaign's brake, and the counters that it was computed from.
#[derive(Clone, Debug)]
pub struct CampaignSnapshot {
    /// The campaign's counters.
    pub view: BrakeInput,
    /// The campaign's brake.
    pub state: BrakeState,
    /// The time at which they were read.
    pub now: UnixMillis,
}

impl CampaignSnapshot {
    pub(super) fn figures(&self) -> Map<String, Value> {
        figures(&self.view, &self.state, self.now)
    }

    pub(super) fn summary(&self) -> String {
        let week = self.view.last_7_days(self.now);
        let (complained, delivered) = (week.get(Counter::Complained), week.get(Counter::Delivered));
        let share = if delivered > 0 {
            let percent = 100.0 * complained as f64 / delivered as f64;
            format!("{percent:.2} % of {}", count(delivered, "delivered email"))
        } else {
            "no delivered email was counted".to_owned()
        };
        let today = self.view.complaints_24h(self.now);
        format!(
            "Complaints about the campaign: {today} in the last 24 hours, {complained} in the last 7 days ({share})."
        )
    }
}

/// Returns the numbers in an alert about a campaign.
fn figures(view: &BrakeInput, state: &BrakeState, now: UnixMillis) -> Map<String, Value> {
    let week = view.last_7_days(now);
    let figures = json!({
        "complaints_24h": view.complaints_24h(now),
        "complaints_7d": week.get(Counter::Complained),
        "delivered_7d": week.get(Counter::Delivered),
        "bounced_hard_7d": week.get(Counter::BouncedHard),
        "status": state.brake.status.as_str(),
        "volume": state.brake.volume,
    });
    figures.as_object().cloned().unwrap_or_default()
}

/// Returns a sentence that says how much of the campaign may be sent.
pub(super) fn sending_advice(state: &BrakeState) -> String {
    let brake = &state.brake;
    match brake.status {
        Status::Open => "The campaign has no sending limit.".to_owned(),
        Status::Slowed => {
            format!("The campaign is slowed: send at most {} % of it. Reason: {}.", percent(brake.volume), brake.reason)
        }
        Status::Paused => format!("The campaign is paused: send nothing of it. Reason: {}.", brake.reason),
    }
}

/// Returns the alert for a changed brake, or for a rate that is halfway to its limit.
pub fn brake_alert(campaign: &Campaign, state: &BrakeState, view: &BrakeInput) -> Alert {
    let change = state.change.to_string();
    let changed_at = state.changed_at.to_text();
    let brake = &state.brake;
    let is_warning = state.changed_from == brake.status && brake.warning.is_some();
    let (severity, title) = match brake.status {
        _ if is_warning => (Severity::Warning, format!("Campaign {campaign} is halfway to being paused")),
        Status::Open => (Severity::Info, format!("Campaign {campaign} is open again")),
        Status::Slowed => (Severity::Warning, format!("Campaign {campaign} is slowed to {} %", percent(brake.volume))),
        Status::Paused => (Severity::Critical, format!("Campaign {campaign} is paused")),
    };
    let why = brake.warning.as_ref().filter(|_| is_warning).unwrap_or(&brake.reason);
    let before = if is_warning { "It is still" } else { "Before, it was" };
    let mut lines = vec![format!("{title}: {why}."), format!("{before} {}.", state.changed_from.as_str())];
    lines.push(match brake.status {
        Status::Open if is_warning => {
            "What you can do: find out where the campaign's addresses come from, before the limit pauses it.".to_owned()
        }
        Status::Open => "What you can do: continue sending, and watch the figures.".to_owned(),
        Status::Slowed => format!(
            "What you can do: send at most {} % of the rest of the campaign, first to people who open your emails.",
            percent(brake.volume)
        ),
        Status::Paused => {
            "What you can do: stop sending this campaign, and find out where its addresses come from before you continue.".to_owned()
        }
    });
    if let Some(until) = brake.until {
        lines.push(format!(
            "It reopens automatically at {} if there are no more complaints or bounces.",
            until.to_text()
        ));
    }
    let mut figures = figures(view, state, state.at);
    figures.insert("reason".to_owned(), json!(why));
    figures.insert("from".to_owned(), json!(state.changed_from.as_str()));
    figures.insert("until".to_owned(), json!(brake.until.map(UnixMillis::to_text)));
    Alert {
        id: Alert::id_of(AlertKind::Brake, &[campaign.as_str(), &change, &changed_at]),
        kind: AlertKind::Brake,
        severity,
        at: changed_at,
        title,
        text: lines.join("\n"),
        campaign: Some(campaign.clone()),
        recipient: None,
        email_id: None,
        figures,
    }
}

/// Returns the digest: one alert that summarizes `folded` alerts of the kind `of`.
pub fn digest(
    of: &str,
    campaign: Option<&Campaign>,
    folded: i64,
    due: UnixMillis,
    snapshot: Option<&CampaignSnapshot>,
) -> Alert {
    let of_campaign = campaign.map(|campaign| format!(" of campaign {campaign}")).unwrap_or_default();
    let title = format!("{}: {}{of_campaign}", count(folded, "more alert"), many_of(of));
    let mut lines = vec![
        format!(
            "Besides the alerts that were sent individually, there {} {} about {}{of_campaign}.",
            if folded == 1 { "was" } else { "were" },
            count(folded, "more alert"),
            many_of(of)
        ),
        "The events were processed as usual. Each alert is stored in the events table, as a row `alert#…`.".to_owned(),
    ];
    let mut figures = Map::new();
    if let Some(snapshot) = snapshot {
        lines.push(snapshot.summary());
        lines.push(sending_advice(&snapshot.state));
        figures = snapshot.figures();
    }
    figures.insert("of".to_owned(), json!(of));
    figures.insert("folded".to_owned(), json!(folded));
    Alert {
        id: Alert::id_of(AlertKind::Digest, &[of, campaign.map_or("", Campaign::as_str), &due.to_text()]),
        kind: AlertKind::Digest,
        severity: Severity::Warning,
        at: due.to_text(),
        title,
        text: lines.join("\n"),
        campaign: campaign.cloned(),
        recipient: None,
        email_id: None,
        figures,
    }
}

/// Returns the plural for the kind of the alerts in a digest.
fn many_of(kind: &str) -> &'static str {
    match kind.parse() {
        Ok(AlertKind::Complaint) => "complaints",
        Ok(AlertKind::Delay) => "delayed emails",
        Ok(AlertKind::AmbiguousBounce) => "bounces and complaints without a known recipient",
        Ok(AlertKind::Brake) => "changes of a brake",
        Ok(AlertKind::Failed) => "emails that Resend could not send",
        Ok(AlertKind::Lifted) => "hours with many lifted suppressions",
        Ok(AlertKind::Domain) => "domains that are no longer verified",
        Ok(AlertKind::Quarantine) => "webhooks that could not be processed",
        Ok(AlertKind::SendFailed) => "follow-ups that could not be sent",
        Ok(AlertKind::SendUnknown) => "follow-ups of which it is unknown if they were sent",
        Ok(AlertKind::ResendKey) => "refusals of an API key by Resend",
        Ok(AlertKind::Digest) | Err(_) => "other problems",
    }
}

fn percent(volume: f64) -> f64 {
    (volume * 10_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_what_its_alerts_are_about() {
        for (kind, words) in [
            (AlertKind::SendFailed, "2 more alerts: follow-ups that could not be sent"),
            (AlertKind::SendUnknown, "2 more alerts: follow-ups of which it is unknown if they were sent"),
            (AlertKind::ResendKey, "2 more alerts: refusals of an API key by Resend"),
            (AlertKind::Quarantine, "2 more alerts: webhooks that could not be processed"),
        ] {
            assert_eq!(digest(kind.as_str(), None, 2, UnixMillis(0), None).title, words);
        }
    }
}
