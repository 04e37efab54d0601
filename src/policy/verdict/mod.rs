//! Who opened or clicked: a person or a machine.
//!
//! Opens are a hint, clicks are a signal. Image proxies and scanners open mail, and scanners follow its links too, mostly at the
//! recipient's mail server, some with a browser's agent. So what tells them apart is the agent where it is honest, how soon it
//! was after delivery, and how many links were followed at once.
//!
//! # Which rule applies
//!
//! If any rule says machine, it was a machine; else, if any says unsure, it is unsure; else it was a person.
//!
//! | | opens | opens by Google's or Yahoo's proxy | opens by Apple's proxy or Gmail's prefetch | clicks |
//! |---|---|---|---|---|
//! | the agent is a known program or bot | machine | | | machine |
//! | in a burst of clicks, or, for an open, just after one | machine | machine | | machine |
//! | in a scan: several links one after another, soon after delivery | | | | machine |
//! | before delivery, or sooner after it than `machine_within_ms` | machine | | | machine |
//! | sooner after delivery than `proxy_within_ms`, or before it | | unsure | | |
//! | the agent is such a proxy's | | | unsure | unsure |
//! | there is no agent, or it says nothing that is known | unsure | | | unsure |
//! | the time of delivery is not known | unsure | unsure | unsure | unsure |
//! | a burst or a scan came from the same address | unsure | unsure | unsure | unsure |
//! | none of these | human | human | | human |
//!
//! An empty field: the rule is not asked there. Apple's proxy and Gmail's prefetch fetch at any time, whether the mail is read or
//! not, so that they did says nothing, whenever it was.
//!
//! # What later clicks may still show
//!
//! A verdict is given once, by all opens and clicks that are known then, those before and those after the one that is judged. A scanner
//! that follows its links so slowly that the third comes after the verdict about the first looks like a person until then: its first two
//! clicks may be taken for a person's, from the third on each is a machine's. So it brings about one decision at most, and never a
//! handoff, which counts the clicks of people anew.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use self::rules::Facts;
use super::numbers::VerdictPolicy;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

pub mod agent;
mod bursts;
mod rules;
mod scans;

/// Who it was.
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
    /// It can't be told.
    #[strum(serialize = "unsure")]
    Unsure,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The verdict's name in the table, in logs and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The verdict of that name.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// What somebody or something did with an email.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
pub enum Action {
    /// Its images were fetched.
    #[strum(serialize = "opened")]
    Opened,
    /// One of its links was followed.
    #[strum(serialize = "clicked")]
    Clicked,
}

impl Action {
    /// The action in a word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One open or click.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The message that said so. The same one twice is one open or click.
    pub message: MessageId,
    /// What was done.
    pub action: Action,
    /// When, by the event's own time.
    pub at: UnixMillis,
    /// The link that was followed. Links are compared as they are.
    pub link: Option<String>,
    /// The user agent; empty if it is known that there was none.
    pub agent: Option<String>,
    /// The address that it came from.
    pub ip: Option<String>,
}

/// What is known of one email to one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// When it was delivered, as far as is known.
    pub delivered_at: Option<UnixMillis>,
    /// Its opens and clicks, in any order, with or without the one that is judged; a message may be there more than once.
    pub seen: Vec<Seen>,
}

/// Who opened or clicked, how sure that is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Who it was.
    pub verdict: Verdict,
    /// From 0, surely a machine, to 100, surely a person: up to 20 for a machine, from 60 for a person, and between them unsure.
    pub score: u8,
    /// Why, in sentences: our own words and numbers, never a text from outside. There is at least one.
    pub reasons: Vec<String>,
}

/// What it adds that the same address and agent were a person's before.
const HUMAN_BEFORE: u8 = 10;

/// Who it was that opened or clicked, from what is known of the email so far.
///
/// The order of the history doesn't matter, nor do messages that come twice. More clicks may make a machine of what seemed a
/// person, never the other way round.
pub fn judge(this: &Seen, history: &History, policy: &VerdictPolicy) -> Judgement {
    let facts = Facts::of(Some(this), history, policy);
    let mut judgement = facts.judge(this);
    if judgement.verdict == Verdict::Human && facts.was_human_before(this) {
        judgement.score += HUMAN_BEFORE;
        judgement.reasons.push("the same address and agent did what a person does before".to_owned());
    }
    judgement
}

/// Who it was in each of these opens and clicks of a history: the verdicts that [`judge`] gives, in their order, for the price of little more
/// than one.
pub fn verdicts<'a>(of: impl IntoIterator<Item = &'a Seen>, history: &History, policy: &VerdictPolicy) -> Vec<Verdict> {
    let facts = Facts::of(None, history, policy);
    of.into_iter().map(|seen| facts.judge(seen).verdict).collect()
}

/// A text, unless it is blank.
fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
