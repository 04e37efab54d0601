//! Verdicts about opens and clicks: human, machine or unsure.
//!
//! Opens are a hint, clicks are a signal. Image proxies and scanners open emails, and scanners also follow links,
//! mostly at the recipient's mail server, some with a browser's agent. So a verdict depends on the agent where it is
//! honest, the time since delivery, and the number of links followed at the same time.
//!
//! # Which rule applies
//!
//! If any rule says machine, the verdict is machine. Otherwise, if any rule says unsure, the verdict is unsure.
//! Otherwise it is human.
//!
//! | | opens | opens by Google's or Yahoo's proxy | opens by Apple's proxy or Gmail's prefetch | clicks |
//! |---|---|---|---|---|
//! | the agent is a known program or bot | machine | | | machine |
//! | in a burst of clicks, or, for an open, just after one | machine | machine | | machine |
//! | in a scan: several links one after another, soon after delivery | | | | machine |
//! | before delivery, or sooner after it than `machine_within_ms` | machine | | | machine |
//! | sooner after delivery than `proxy_within_ms`, or before it | | unsure | | |
//! | the agent is such a proxy's | | | unsure | unsure |
//! | there is no agent, or an unknown one | unsure | | | unsure |
//! | the time of delivery is unknown | unsure | unsure | unsure | unsure |
//! | a burst or a scan came from the same address | unsure | unsure | unsure | unsure |
//! | none of these | human | human | | human |
//!
//! An empty field means that the rule does not apply there. Apple's proxy and Gmail's prefetch fetch at any time, for
//! read and unread emails, so their opens prove nothing.
//!
//! # Effects of later clicks
//!
//! A verdict is made once, from all opens and clicks known at that time, before and after the classified one. A scanner
//! may follow its links so slowly that the third click comes after the verdict about the first. Its first two clicks
//! may then count as human; from the third on each is a machine's. So it causes at most one decision, and never a
//! handoff, which counts human clicks again.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use self::rules::RuleInput;
use super::limits::VerdictPolicy;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

mod bursts;
mod rules;
mod scans;
pub mod user_agent;

/// Verdict about an open or click.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, EnumString, VariantArray,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A person.
    #[strum(serialize = "human")]
    Human,
    /// A machine: a link scanner, a bot, a program.
    #[strum(serialize = "machine")]
    Machine,
    /// Unknown.
    #[strum(serialize = "unsure")]
    Unsure,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the name in the table, in logs and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the verdict with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Action in an email: an open or a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
pub enum Action {
    /// The email's images were fetched.
    #[strum(serialize = "opened")]
    Opened,
    /// A link of the email was followed.
    #[strum(serialize = "clicked")]
    Clicked,
}

impl Action {
    /// Returns the action as one word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An open or click.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenOrClick {
    /// Id of the webhook. Two with the same id are one open or click.
    pub message: MessageId,
    /// Open or click.
    pub action: Action,
    /// Time, by the event itself.
    pub at: UnixMillis,
    /// The followed link. Links are compared unchanged.
    pub link: Option<String>,
    /// The user agent. An empty text means that the event names none.
    pub agent: Option<String>,
    /// The network address of the client.
    pub ip: Option<String>,
}

/// Facts about one email to one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Time of delivery, if known.
    pub delivered_at: Option<UnixMillis>,
    /// Opens and clicks, in any order, with or without the classified one. A webhook may be included more than once.
    pub seen: Vec<OpenOrClick>,
}

/// A verdict with its score and reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoredVerdict {
    /// Human, machine or unsure.
    pub verdict: Verdict,
    /// Score from 0 (surely a machine) to 100 (surely a person). A machine has at most 20, a person at least 60, and
    /// unsure is between.
    pub score: u8,
    /// At least one reason as text, without any external text.
    pub reasons: Vec<String>,
}

/// Points added if the same address and agent had a human verdict before.
const HUMAN_BEFORE: u8 = 10;

/// Classifies an open or click from the facts about its email.
///
/// The order of the history and duplicate webhooks don't matter. More clicks may turn a human verdict into machine, but
/// never the reverse.
pub fn classify(this: &OpenOrClick, history: &History, policy: &VerdictPolicy) -> ScoredVerdict {
    let facts = RuleInput::of(Some(this), history, policy);
    let mut scored = facts.judge(this);
    if scored.verdict == Verdict::Human && facts.was_human_before(this) {
        scored.score += HUMAN_BEFORE;
        scored.reasons.push("the same address and agent had a human verdict before".to_owned());
    }
    scored
}

/// Classifies several opens and clicks of one history: the verdicts of [`classify`], in their order, for little more than
/// the cost of one.
pub fn verdicts<'a>(
    of: impl IntoIterator<Item = &'a OpenOrClick>,
    history: &History,
    policy: &VerdictPolicy,
) -> Vec<Verdict> {
    let facts = RuleInput::of(None, history, policy);
    of.into_iter().map(|seen| facts.judge(seen).verdict).collect()
}

/// Returns a text, unless it is blank.
fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
