//! The rules of the table in [`super`].

use std::collections::BTreeMap;

use super::bursts::Bursts;
use super::scans::Scans;
use super::user_agent::{self, Class};
use super::{Action, History, OpenOrClick, ScoredVerdict, Verdict, said};
use crate::policy::limits::VerdictPolicy;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// Score of a human open, before the time since delivery adds to it.
const HUMAN_OPEN: u8 = 60;
/// Score of a human click.
const HUMAN_CLICK: u8 = 70;

/// A rule that applies: its score, and its reason as text.
type ScoredReason = (u8, String);

/// Input of the rules.
pub(super) struct RuleInput<'a> {
    delivered_at: Option<UnixMillis>,
    policy: &'a VerdictPolicy,
    seen: Vec<&'a OpenOrClick>,
    bursts: Bursts<'a>,
    scans: Scans<'a>,
}

impl<'a> RuleInput<'a> {
    /// Collects the facts about the email, with the classified open or click, each webhook once.
    pub(super) fn of(this: Option<&'a OpenOrClick>, history: &'a History, policy: &'a VerdictPolicy) -> Self {
        let mut by_message: BTreeMap<&MessageId, &OpenOrClick> = BTreeMap::new();
        for seen in &history.seen {
            // If a webhook is included with two contents, the lesser one counts. The first one would depend on the
            // order.
            by_message.entry(&seen.message).and_modify(|known| *known = seen.min(known)).or_insert(seen);
        }
        by_message.extend(this.map(|this| (&this.message, this)));
        let mut seen: Vec<&OpenOrClick> = by_message.into_values().collect();
        seen.sort_unstable_by_key(|seen| seen.at);
        let (bursts, scans) = (Bursts::of(&seen, policy), Scans::of(&seen, history.delivered_at, policy));
        Self { delivered_at: history.delivered_at, policy, seen, bursts, scans }
    }

    /// Applies the rules to one open or click, without earlier verdicts.
    pub(super) fn judge(&self, this: &OpenOrClick) -> ScoredVerdict {
        let class = user_agent::class(this.agent.as_deref());
        let after = self.delivered_at.map(|delivered| this.at.0.saturating_sub(delivered.0));
        let of = |verdict, scored: Vec<ScoredReason>| {
            let score = scored.iter().map(|(score, _)| *score).min()?;
            Some(ScoredVerdict { verdict, score, reasons: scored.into_iter().map(|(_, reason)| reason).collect() })
        };
        of(Verdict::Machine, self.machine(this, class, after))
            .or_else(|| of(Verdict::Unsure, self.unsure(this, class, after)))
            .unwrap_or_else(|| human(this, class, after.unwrap_or_default()))
    }

    fn machine(&self, this: &OpenOrClick, class: Class, after: Option<i64>) -> Vec<ScoredReason> {
        let mut scored = Vec::new();
        if class == Class::Program {
            scored.push((0, "the agent is that of a program or bot".to_owned()));
        }
        if !prefetches(this, class) {
            scored.extend(self.burst(this));
        }
        scored.extend(self.scan(this));
        let did = this.action.as_str();
        let least = self.policy.machine_within_ms;
        match after {
            _ if this.action == Action::Opened && class.is_proxy() => {}
            Some(after) if after < 0 => {
                scored.push((5, format!("{did} {} before delivery", span(after.saturating_neg()))));
            }
            Some(after) if after < least => {
                let score = u8::try_from(5 + after.saturating_mul(15) / least).unwrap_or(20);
                let reason = format!("{did} {} after delivery; people take at least {}", span(after), span(least));
                scored.push((score, reason));
            }
            Some(_) | None => {}
        }
        scored
    }

    fn burst(&self, this: &OpenOrClick) -> Option<ScoredReason> {
        if let Some(links) = self.bursts.around(this.at) {
            return Some((
                of_links(links),
                format!("{links} links clicked within {}", span(self.policy.burst_within_ms)),
            ));
        }
        let ago = self.bursts.just_before(this.at).filter(|_| this.action == Action::Opened)?;
        Some((18, format!("opened {} after a machine clicked several links", span(ago))))
    }

    fn scan(&self, this: &OpenOrClick) -> Option<ScoredReason> {
        let (links, gap) = (self.scans.around(this)?, span(self.policy.scan_gap_ms));
        Some((
            of_links(links),
            format!("{links} links clicked one after another, each within {gap}, soon after delivery"),
        ))
    }

    fn unsure(&self, this: &OpenOrClick, class: Class, after: Option<i64>) -> Vec<ScoredReason> {
        let mut scored = Vec::new();
        let did = this.action.as_str();
        match (this.action, class) {
            (Action::Clicked, class) if class.is_proxy() => {
                scored.push((30, format!("the agent is {}, which follows no links", class.as_str())));
            }
            (_, Class::AppleProxy | Class::GmailPrefetch) => {
                scored.push((
                    40,
                    format!("the agent is {}, which fetches images even if no person looks", class.as_str()),
                ));
            }
            (_, Class::GoogleProxy | Class::YahooProxy) => scored.extend(self.too_soon_for_a_proxy(class, after)),
            (action, Class::Unknown) => {
                let score = if action == Action::Opened { 45 } else { 25 };
                let reason = match said(this.agent.as_deref()) {
                    None if action == Action::Opened => "the event has no agent".to_owned(),
                    None => "there is no agent, and browsers always send one".to_owned(),
                    Some(_) => "the agent is longer than any browser's".to_owned(),
                };
                scored.push((score, reason));
            }
            _ => {}
        }
        if after.is_none() {
            scored.push((50, format!("{did}, but the time of delivery is unknown")));
        }
        let came_from = |ip: &str| self.bursts.came_from(ip) || self.scans.came_from(ip);
        if said(this.ip.as_deref()).is_some_and(came_from) {
            scored.push((40, "a machine clicked several links from the same address".to_owned()));
        }
        scored
    }

    fn too_soon_for_a_proxy(&self, class: Class, after: Option<i64>) -> Option<ScoredReason> {
        let (after, least) = (after?, self.policy.proxy_within_ms);
        let when = match after {
            _ if after < 0 => format!("{} before", span(after.saturating_neg())),
            _ if after < least => format!("{} after", span(after)),
            _ => return None,
        };
        let reason = format!(
            "opened {when} delivery; {} fetches for a person, for certain, only from {} on",
            class.as_str(),
            span(least)
        );
        Some((45, reason))
    }

    /// Returns true if the same address and agent had a human verdict before.
    pub(super) fn was_human_before(&self, this: &OpenOrClick) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| {
            said(one.as_deref()).is_some_and(|text| said(other.as_deref()) == Some(text))
        };
        let before = self.seen.iter().filter(|seen| seen.at < this.at && same(&seen.ip, &this.ip));
        let mut before = before.filter(|seen| same(&seen.agent, &this.agent));
        // All Google users share the same few proxies.
        !user_agent::class(this.agent.as_deref()).is_proxy()
            && before.any(|seen| self.judge(seen).verdict == Verdict::Human)
    }
}

fn human(this: &OpenOrClick, class: Class, after: i64) -> ScoredVerdict {
    let base = if this.action == Action::Opened { HUMAN_OPEN } else { HUMAN_CLICK };
    let later = match after {
        ..10_000 => 0,
        10_000..60_000 => 5,
        60_000..600_000 => 10,
        600_000.. => 15,
    };
    let mut reasons = vec![format!("{} {} after delivery", this.action.as_str(), span(after))];
    reasons.push(match class.is_proxy() {
        true => format!("the agent is {}, which fetches when a person looks", class.as_str()),
        false => format!("the agent is that of a {}", class.as_str()),
    });
    ScoredVerdict { verdict: Verdict::Human, score: base + later, reasons }
}

/// Returns the score of a machine that clicked this number of links. More links give a lower score.
fn of_links(links: usize) -> u8 {
    20_u8.saturating_sub(2 * u8::try_from(links.min(8)).unwrap_or(8))
}

fn prefetches(this: &OpenOrClick, class: Class) -> bool {
    this.action == Action::Opened && matches!(class, Class::AppleProxy | Class::GmailPrefetch)
}

/// Returns milliseconds as text. They are never rounded up, so that a time below a limit is shown as below it.
fn span(ms: i64) -> String {
    let (second, minute, hour, day) = (1_000, 60_000, 3_600_000, 86_400_000);
    match ms {
        ..60_000 => {
            format!("{} s", format!("{}.{:03}", ms / second, ms % second).trim_end_matches('0').trim_end_matches('.'))
        }
        60_000..3_600_000 => format!("{} min", ms / minute),
        3_600_000..172_800_000 => format!("{} h", ms / hour),
        172_800_000.. => format!("{} days", ms / day),
    }
}
