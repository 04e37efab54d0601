//! The effects of webhooks in tables without a stream: they are polled while webhooks arrive that cause them.

use std::collections::BTreeMap;
use std::time::Duration;

use rebound::policy::bounce::soft_bounced;
use rebound::policy::brake::{Brake, Status};
use rebound::policy::count::count;
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::suppression::Reason;
use rebound::resend::campaign::Campaign;
use rebound::resend::event::Event;
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::Suppressions;
use rebound::time::{UnixMillis, days};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::TailError;
use crate::operate::campaigns;
use crate::operate::suppressions::List;
use crate::operate::target::Target;
use crate::operate::timeline::TimelineEntry;

/// Time after a webhook in which its effects are looked for: protect takes a minute at most to gather a batch.
const FOLLOWED_FOR: Duration = Duration::from_secs(180);

/// Campaigns, and addresses, that are followed at a time: those of the last webhooks.
const MAX_FOLLOWED: usize = 20;

/// The window of the brake.
const WINDOW_DAYS: u32 = 7;

/// A campaign, as it was when it was looked at last.
#[derive(Debug)]
struct FollowedCampaign {
    last_webhook: UnixMillis,
    counted: Option<CounterTotals>,
    brake: Option<Brake>,
}

/// Somebody to whom an email bounced softly.
#[derive(Debug)]
struct Bounced {
    last_webhook: UnixMillis,
    /// The suppression for earlier bounces when the webhook was seen: its end, if there was one.
    before: Option<Until>,
}

/// Time at which a suppression ends. `None` if it never does.
type Until = Option<UnixMillis>;

/// The campaigns and recipients that are polled.
#[derive(Debug)]
pub(super) struct Followed {
    campaigns: BTreeMap<Campaign, FollowedCampaign>,
    bounced: BTreeMap<Recipient, Bounced>,
    pause: Duration,
    next: Instant,
}

impl Followed {
    /// Follows nothing yet, and later looks with this pause.
    pub(super) fn new(pause: Duration) -> Self {
        Self { campaigns: BTreeMap::new(), bounced: BTreeMap::new(), pause, next: Instant::now() }
    }

    /// A webhook of a campaign came in.
    pub(super) fn campaign(&mut self, campaign: &Campaign, now: UnixMillis) {
        let fresh = FollowedCampaign { last_webhook: now, counted: None, brake: None };
        self.campaigns.entry(campaign.clone()).or_insert(fresh).last_webhook = now;
        while self.campaigns.len() > MAX_FOLLOWED {
            let oldest = self.campaigns.iter().min_by_key(|(_, followed)| followed.last_webhook);
            let Some(oldest) = oldest.map(|(campaign, _)| campaign.clone()) else { break };
            self.campaigns.remove(&oldest);
        }
    }

    /// Follows the recipients of a webhook that is perhaps a soft bounce.
    pub(super) async fn soft_bounce(
        &mut self,
        list: &List,
        event: &Event<'_>,
        now: UnixMillis,
    ) -> Result<(), TailError> {
        for recipient in soft_bounced(event) {
            if self.bounced.len() >= MAX_FOLLOWED {
                break;
            }
            // protect may have been faster than this look: what this very email brought about is new.
            let suppressed = suppressed(list, &recipient, now).await?;
            let before = suppressed.filter(|(email, _)| *email != event.email_id()).map(|(_, until)| until);
            self.bounced.insert(recipient, Bounced { last_webhook: now, before });
        }
        Ok(())
    }

    /// Looks, if it is time.
    pub(super) async fn look(
        &mut self,
        target: &Target,
        list: &List,
        now: UnixMillis,
    ) -> Result<Vec<(TimelineEntry, Option<Campaign>)>, TailError> {
        if Instant::now() < self.next {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        let since = now.minus(days(WINDOW_DAYS));
        for (campaign, followed) in &mut self.campaigns {
            let table = target.table("CAMPAIGNS_TABLE");
            let Some(known) = campaigns::load_campaign(&list.calls, table, campaign, since).await? else { continue };
            let total = known.total();
            if let Some((text, fields)) = counted(followed.counted.as_ref(), &total) {
                entries.push((made("counted", campaign.as_str(), now, text, fields), Some(campaign.clone())));
            }
            followed.counted = Some(total);
            let brake = known.state.map(|state| state.brake);
            if let Some((text, fields)) = brake.as_ref().and_then(|brake| changed(followed.brake.as_ref(), brake)) {
                entries.push((made("brake", campaign.as_str(), now, text, fields), Some(campaign.clone())));
            }
            followed.brake = brake;
        }
        for (recipient, bounced) in &mut self.bounced {
            let suppressed = suppressed(list, recipient, now).await?.map(|(_, until)| until);
            if let Some(until) = suppressed.filter(|until| bounced.before != Some(*until)) {
                bounced.before = Some(until);
                let until = until.map(UnixMillis::to_text);
                let text = format!(
                    "{recipient} is suppressed as {}{}",
                    Reason::SoftBounce.as_str(),
                    until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default()
                );
                let fields = json!({ "reason": Reason::SoftBounce.as_str(), "until": until, "recipients": [recipient.as_str()] });
                entries.push((made("suppressed", recipient.as_str(), now, text, fields), None));
            }
        }
        let is_fresh = |at: UnixMillis| now.0 - at.0 < FOLLOWED_FOR.as_millis() as i64;
        self.campaigns.retain(|_, followed| is_fresh(followed.last_webhook));
        self.bounced.retain(|_, bounced| is_fresh(bounced.last_webhook));
        self.next = Instant::now() + self.pause;
        Ok(entries)
    }
}

fn made(what: &str, about: &str, at: UnixMillis, text: String, fields: Value) -> TimelineEntry {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    TimelineEntry { at, received_at: None, what: what.to_owned(), text, about: about.to_owned(), fields }
}

/// The email for which an address is suppressed for soft bounces, and until when. `None`: it is not.
async fn suppressed(
    list: &List,
    recipient: &Recipient,
    now: UnixMillis,
) -> Result<Option<(Option<String>, Until)>, TailError> {
    let table = Suppressions::new(list.calls.clone(), &list.suppressions);
    let active = table.find(recipient.as_str()).await?.map(|stored| stored.active_reasons(now)).unwrap_or_default();
    let of_bounces = active.into_iter().find(|active| active.reason == Reason::SoftBounce.as_str());
    Ok(of_bounces.map(|active| (active.email_id, active.until)))
}

/// The counters as text, with their increases. Returns `None` if nothing has changed.
fn counted(before: Option<&CounterTotals>, now: &CounterTotals) -> Option<(String, Value)> {
    let more = |counter: Counter| now.get(counter) - before.map_or(0, |before| before.get(counter));
    let counters: Vec<Counter> = Counter::ALL.iter().copied().filter(|counter| now.get(*counter) > 0).collect();
    if !counters.iter().any(|counter| more(*counter) != 0) {
        return None;
    }
    let written = |counter: &Counter| {
        let (number, more) = (now.get(*counter), more(*counter));
        let more = if before.is_some() && more != 0 { format!(" ({more:+})") } else { String::new() };
        format!("{number} {}{more}", counter.as_str().replace('_', " "))
    };
    let text =
        format!("{}, in {}", counters.iter().map(written).collect::<Vec<_>>().join(", "), count(WINDOW_DAYS, "day"));
    let totals: Map<String, Value> =
        counters.iter().map(|counter| (counter.as_str().to_owned(), json!(now.get(*counter)))).collect();
    Some((text, json!({ "days": WINDOW_DAYS, "totals": totals })))
}

/// The brake, if it is another than before. Before anything was known it is taken to have been open.
fn changed(before: Option<&Brake>, now: &Brake) -> Option<(String, Value)> {
    let was = before.map_or((Status::Open, 1.0), |brake| (brake.status, brake.volume));
    if was == (now.status, now.volume) {
        return None;
    }
    let volume = (now.volume * 10_000.0).round() / 100.0;
    let text = format!("{}: {volume} % may be sent; {}", now.status.as_str(), now.reason);
    let until = now.until.map(UnixMillis::to_text);
    Some((text, json!({ "status": now.status, "volume": now.volume, "reason": now.reason, "until": until })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(numbers: &[(Counter, i64)]) -> CounterTotals {
        let mut figures = CounterTotals::default();
        numbers.iter().for_each(|(counter, number)| figures.add(*counter, *number));
        figures
    }

    #[test]
    fn a_count_is_shown_with_its_increase_only_if_it_increased() {
        let first = figures(&[(Counter::Sent, 5), (Counter::Delivered, 3)]);
        let text = |before, now| counted(before, now).map(|(text, _)| text);
        assert_eq!(text(None, &first).unwrap(), "5 sent, 3 delivered, in 7 days", "nobody knows what is new of it");
        assert_eq!(text(Some(&first), &first), None);
        let more = figures(&[(Counter::Sent, 5), (Counter::Delivered, 4), (Counter::BouncedHard, 1)]);
        assert_eq!(text(Some(&first), &more).unwrap(), "5 sent, 4 delivered (+1), 1 bounced hard (+1), in 7 days");
        assert_eq!(text(None, &CounterTotals::default()), None);
    }

    #[test]
    fn a_brake_that_changes_needs_an_alert() {
        let open = Brake { status: Status::Open, volume: 1.0, reason: String::new(), until: None, warning: None };
        let slowed =
            Brake { status: Status::Slowed, volume: 0.0625, reason: "4 complaints".to_owned(), ..open.clone() };
        assert_eq!(changed(None, &open), None);
        assert_eq!(changed(None, &slowed).unwrap().0, "slowed: 6.25 % may be sent; 4 complaints");
        assert_eq!(changed(Some(&slowed), &slowed), None);
        assert!(changed(Some(&slowed), &open).unwrap().0.starts_with("open: 100 %"));
    }

    #[test]
    fn of_many_campaigns_those_of_the_last_webhooks_are_followed() {
        let mut followed = Followed::new(Duration::ZERO);
        for number in 0..30 {
            followed.campaign(&Campaign::new(&format!("c{number}")).unwrap(), UnixMillis(number));
        }
        assert_eq!(followed.campaigns.len(), MAX_FOLLOWED);
        assert!(followed.campaigns.values().all(|followed| followed.last_webhook.0 >= 10));
    }
}
