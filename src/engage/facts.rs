//! The facts for Claude, without anything that it must not see: tokens for addresses, classes for user agents, links
//! without their queries.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::candidate::Candidate;
use super::dossier::RecipientStatus;
use super::guards::FollowupLimits;
use super::timeline::{OpenOrClickContext, TimelineEvent};
use crate::aws::CallError;
use crate::policy::answer::{self, RecipientToken};
use crate::policy::brake::Brake;
use crate::policy::followup::Guard;
use crate::policy::verdict::{ScoredVerdict, user_agent};
use crate::resend::campaign::Campaign;
use crate::resend::event::EventType;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// Maximum length of an external text in the facts, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// Maximum number of timeline events in the facts, the latest.
const MAX_EVENTS: usize = 30;

/// Maximum number of tags in the facts.
const MAX_TAGS: usize = 10;

/// The facts for Claude about a candidate, and the limits of its answer.
pub(super) struct Briefing {
    pub(super) facts: Value,
    pub(super) tokens: Vec<RecipientToken>,
    /// The campaign, as Claude must name it.
    pub(super) campaign: Campaign,
    /// The hosts of the email's own links.
    pub(super) hosts: BTreeSet<String>,
    pub(super) longest_delay_hours: u32,
}

impl Briefing {
    /// Builds the briefing from the candidate's own email, the status of its `recipients`, in their order, and its
    /// campaign.
    ///
    /// # Errors
    /// The open or click can no longer be read.
    pub(super) fn new(
        candidate: &Candidate,
        recipients: &[RecipientStatus],
        brake: Option<&Brake>,
        limits: FollowupLimits<'_>,
        now: UnixMillis,
    ) -> Result<Self, CallError> {
        let bodies = candidate.email.bodies();
        let events = TimelineEvent::read_all(&bodies);
        let context = candidate.email.context(&events)?;
        let shown = campaign_shown(&candidate.campaign, &candidate.recipients);
        let mut facts = of_email(&context, &candidate.scored, now);
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("campaign".to_owned(), json!({ "id": shown, "brake": of_brake(brake) }));
            facts.insert("recipients".to_owned(), of_recipients(candidate, recipients, now));
            facts.insert("limits".to_owned(), of_limits(limits, now));
        }
        Ok(Self {
            facts,
            tokens: candidate.tokens(),
            campaign: Campaign::new(&shown).unwrap_or_else(|| candidate.campaign.clone()),
            hosts: hosts(&context.timeline),
            longest_delay_hours: limits.policy.longest_delay_hours,
        })
    }
}

/// Builds the facts of the email's own timeline.
fn of_email(context: &OpenOrClickContext<'_>, scored: &ScoredVerdict, now: UnixMillis) -> Value {
    let OpenOrClickContext { this, timeline, recipients, .. } = context;
    let event = &this.event;
    let show = |text: &str| shown(text, recipients);
    let tags: BTreeMap<String, String> =
        event.tags().iter().take(MAX_TAGS).map(|(name, value)| (show(name), show(value))).collect();
    let mut rest: Vec<&&TimelineEvent<'_>> = timeline.iter().filter(|other| other.message != this.message).collect();
    rest.sort_by_key(|event| (event.at, event.message.clone()));
    let skipped = rest.len().saturating_sub(MAX_EVENTS);
    let delivered = timeline.iter().filter(|event| event.event.event_type() == Some(EventType::EmailDelivered));
    json!({
        "now": now.to_text(),
        "event": of_event(this, recipients),
        "verdict": { "verdict": scored.verdict.as_str(), "score": scored.score, "reasons": scored.reasons },
        "email": {
            "subject": event.subject().map(|subject| show(&subject)),
            "tags": tags,
            "created_at": event.resource_created_at().map(UnixMillis::to_text),
            "delivered_at": delivered.map(|event| event.at).min().map(UnixMillis::to_text),
        },
        "timeline": rest.iter().skip(skipped).map(|event| of_event(event, recipients)).collect::<Vec<_>>(),
        "earlier_events_not_shown": skipped,
    })
}

/// Builds the facts of each recipient, by token.
fn of_recipients(candidate: &Candidate, recipients: &[RecipientStatus], now: UnixMillis) -> Value {
    let of_one = |status: &RecipientStatus| {
        let opted_out = candidate.opted_out_until.max(status.opted_out_until).filter(|until| *until > now);
        let mut because = status.suppressed.clone();
        because.extend(opted_out.map(|_| Guard::OptOutClick.as_str().to_owned()));
        let email_id = &candidate.occurrence.email_id;
        let followups = status
            .followups
            .taken
            .iter()
            .map(|taken| json!({ "at": taken.at.to_text(), "is_to_this_email": taken.email_id == *email_id }));
        json!({
            "do_not_send_reasons": because,
            "followups": followups.collect::<Vec<_>>(),
        })
    };
    let recipients = recipients.iter().enumerate();
    recipients.map(|(index, status)| (RecipientToken::nth(index).as_str().to_owned(), of_one(status))).collect()
}

fn of_brake(brake: Option<&Brake>) -> Value {
    match brake {
        None => json!({ "status": "open", "volume": 1.0 }),
        Some(brake) => json!({ "status": brake.status.as_str(), "volume": brake.volume, "reason": brake.reason }),
    }
}

fn of_limits(limits: FollowupLimits<'_>, now: UnixMillis) -> Value {
    let FollowupLimits { policy, zone } = limits;
    json!({
        "send_after_hours": format!("from 1 to {}", policy.longest_delay_hours),
        "no_email": format!("from {}:00 to {}:00, {}", policy.quiet_from, policy.quiet_until, zone),
        "local_time": zone.local(now),
    })
}

/// Builds the facts of one event. External texts are escaped as text.
fn of_event(event: &TimelineEvent<'_>, recipients: &[Recipient]) -> Value {
    let said = event.event.open_or_click();
    let tokens: Vec<String> = event
        .recipients()
        .iter()
        .filter_map(|own| recipients.iter().position(|recipient| recipient == own))
        .map(|index| RecipientToken::nth(index).as_str().to_owned())
        .collect();
    // A type that this version does not know is an external text too.
    let kind = event.event.event_type().map_or("another", EventType::as_str);
    let mut one = json!({ "type": kind, "at": event.at.to_text(), "recipients": tokens });
    if let (Some(_), Some(one)) = (event.action(), one.as_object_mut()) {
        one.insert("agent".to_owned(), user_agent::class(said.agent.as_deref()).as_str().into());
        one.extend(said.link.map(|link| ("link".to_owned(), link_shown(&link, recipients).into())));
    }
    one
}

/// The hosts of the email's own links, in lower case.
fn hosts(timeline: &[&TimelineEvent<'_>]) -> BTreeSet<String> {
    let links = timeline.iter().filter_map(|event| reqwest::Url::parse(&event.event.open_or_click().link?).ok());
    let of_the_web = links.filter(|link| matches!(link.scheme(), "http" | "https"));
    of_the_web.filter_map(|link| Some(link.host_str()?.to_lowercase())).collect()
}

/// The host and path of a link, without its query, which often names the recipient.
fn link_shown(link: &str, recipients: &[Recipient]) -> String {
    match reqwest::Url::parse(link) {
        Ok(link) if matches!(link.scheme(), "http" | "https") => {
            shown(&format!("{}{}", link.host_str().unwrap_or_default(), link.path()), recipients)
        }
        Ok(link) => format!("a link of another kind ({})", shown(link.scheme(), recipients)),
        Err(_) => "a link that can't be read".to_owned(),
    }
}

/// The campaign as it is shown, and as Claude must name it.
fn campaign_shown(campaign: &Campaign, recipients: &[Recipient]) -> String {
    shown(campaign.as_str(), recipients)
}

/// Sanitizes an external text: short, one line, without addresses and invisible characters.
fn shown(text: &str, recipients: &[Recipient]) -> String {
    let in_one_line: String = text.chars().filter_map(seen).collect();
    let ends = |c: char| c.is_whitespace() || "<>()[]{}\"'`,;:/?&=|\\".contains(c);
    let masked = in_one_line.split_inclusive(ends).map(|piece| {
        let word = piece.trim_end_matches(ends);
        let after = piece.strip_prefix(word).unwrap_or_default();
        // Honest text is not encoded so often that it cannot be decoded.
        let views = answer::views(word).unwrap_or_else(|| vec!["@".to_owned()]);
        if !views.iter().any(|view| view.contains('@')) {
            return piece.to_owned();
        }
        let plain = views.last().map(|view| view.to_lowercase()).unwrap_or_default();
        let index = recipients.iter().position(|recipient| recipient.is_mentioned_in(&plain));
        let token =
            index.map_or_else(|| "(an address)".to_owned(), |index| RecipientToken::nth(index).as_str().to_owned());
        format!("{token}{after}")
    });
    masked.collect::<String>().chars().take(MAX_SHOWN_CHARS).collect()
}

/// Replaces or drops a character. Invisible characters are dropped: a program would read what they hide.
fn seen(c: char) -> Option<char> {
    match c {
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => Some(' '),
        c => Some(c).filter(|c| !answer::is_invisible(*c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Vec<Recipient> {
        vec![Recipient::parse("ann@example.com").unwrap(), Recipient::parse("bob@example.com").unwrap()]
    }

    #[test]
    fn no_text_from_outside_shows_an_address() {
        for (text, expected) in [
            ("Hello Ann@Example.com, welcome", "Hello r1, welcome"),
            ("<bob@example.com>", "<r2>"),
            ("carl@example.com wrote", "(an address) wrote"),
            ("mail to ann%40example.com now", "mail to r1 now"),
            ("mail to ann%2540example.com now", "mail to r1 now"),
            ("x%25252525252540example.com", "(an address)"),
            ("ann％４０example.com", "r1"),
            ("ann＠example.com", "r1"),
            ("to ann%\u{200B}40example.com", "to r1"),
            ("a subject\r\nBcc: x@y.z", "a subject  Bcc: (an address)"),
            ("nothing to see", "nothing to see"),
        ] {
            assert_eq!(shown(text, &ann()), expected);
        }
        assert_eq!(shown(&"x".repeat(500), &[]).len(), 200);
    }

    #[test]
    fn no_text_from_outside_shows_what_people_would_not_see() {
        for (text, expected) in [
            ("one\u{2028}two\u{2029}three\u{85}four", "one two three four"),
            ("Bulbs\u{E0069}\u{E0067}\u{E006E}\u{E006F}\u{E0072}\u{E0065}", "Bulbs"),
            ("\u{202E}sblub\u{202C}", "sblub"),
            ("bu\u{AD}lbs\u{200D} \u{FEFF}🌷", "bulbs 🌷"),
        ] {
            assert_eq!(shown(text, &ann()), expected);
        }
    }

    #[test]
    fn a_link_is_shown_as_host_and_path() {
        for (link, expected) in [
            ("https://Shop.example/a/b?to=ann@example.com#frag", "shop.example/a/b"),
            ("https://user:secret@shop.example:8443/a", "shop.example/a"),
            ("https://shop.example/u/ann@example.com/x", "shop.example/u/r1/x"),
            ("https://shop.example/u/ann%40example.com", "shop.example/u/r1"),
            ("https://shop.example/u/ann%2540example.com/x", "shop.example/u/r1/x"),
            ("mailto:ann@example.com", "a link of another kind (mailto)"),
            ("not a link", "a link that can't be read"),
        ] {
            assert_eq!(link_shown(link, &ann()), expected);
        }
    }
}
