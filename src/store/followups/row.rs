//! The row of a follow-up, converted from and to DynamoDB's attributes, and its one agenda entry.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::message::alert::wording::FollowupContext;
use crate::message::decision::Followup;
use crate::policy::followup::sending::{
    DropReason, FollowupState, FollowupStatus, HistoryLine, LookRefusal, SendMode, idempotency_key,
};
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::store::agenda::{AgendaEntry, AgendaKind, FOLLOWUP_DONE_DAYS};
use crate::store::version::SeenVersion;
use crate::store::{Item, as_number, event_key, number, string, text};
use crate::time::{UnixMillis, days};

/// Prefix of the sort key.
pub(super) const PREFIX: &str = "followup#";

/// A follow-up's row, as last read or written.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowupRow {
    /// The email that was opened or clicked: the partition.
    pub email_id: String,
    /// Its id, `followup-<hash>`.
    pub id: String,
    /// Its decision's id, under which it has its place among the recipient's follow-ups.
    pub decision: String,
    /// Mode in which it was decided.
    pub mode: SendMode,
    /// The recipient. `None` after the recipient was forgotten.
    pub recipient: Option<Recipient>,
    /// The campaign.
    pub campaign: Option<Campaign>,
    /// The body for `POST /emails`, once the first try has begun.
    pub request: Option<String>,
    /// The parts of the last look that refused.
    pub guards: Vec<LookRefusal>,
    /// The part that changes.
    pub state: FollowupState,
    /// Time at which DynamoDB may delete the row.
    pub expires_at: UnixMillis,
    /// The version that was read or written.
    pub seen: SeenVersion,
}

/// The key of a follow-up's row.
pub fn followup_key(email_id: &str, id: &str) -> Item {
    event_key(email_id, &format!("{PREFIX}{id}"))
}

impl FollowupRow {
    /// Reads a row. Returns `None` if it is not a follow-up's, or has no readable status.
    pub fn from_item(item: &Item) -> Option<Self> {
        let words = |name: &str| Some(string(item, name).to_owned()).filter(|text| !text.is_empty());
        let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
        let count = |name: &str| item.get(name).and_then(as_number).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let id = string(item, "event").strip_prefix(PREFIX)?.to_owned();
        let entry_at = millis("entry_at")?;
        let also = item.get("also").and_then(|set| set.as_ss().ok()).into_iter().flatten().cloned();
        let history = item.get("history").and_then(|list| list.as_l().ok()).into_iter().flatten();
        Some(Self {
            email_id: string(item, "email_id").to_owned(),
            decision: string(item, "decision").to_owned(),
            mode: SendMode::from_text(string(item, "mode")).unwrap_or(SendMode::Send),
            recipient: words("recipient").as_deref().and_then(Recipient::parse),
            campaign: Campaign::new(string(item, "campaign")),
            request: words("request"),
            guards: serde_json::from_str(string(item, "guards")).unwrap_or_default(),
            state: FollowupState {
                status: FollowupStatus::from_text(string(item, "status"))?,
                not_before: millis("not_before").unwrap_or(entry_at),
                due_since: millis("due_since"),
                entry_at,
                tries: count("tries"),
                refusals: count("refusals"),
                open_since: millis("open_since"),
                asked_with: words("asked_with"),
                resend_id: words("resend_id"),
                sent_at: millis("sent_at"),
                also: also.collect::<BTreeSet<_>>(),
                reason: words("reason").as_deref().and_then(DropReason::from_text),
                history: history.filter_map(line_from).collect(),
            },
            expires_at: UnixMillis(item.get("expires_at").and_then(as_number).unwrap_or(0).saturating_mul(1_000)),
            seen: SeenVersion::of(Some(item)),
            id,
        })
    }

    /// Builds the row, without its version.
    pub(super) fn to_item(&self) -> Item {
        let state = &self.state;
        let mut item = followup_key(&self.email_id, &self.id);
        let mut set = |name: &str, value: Option<AttributeValue>| {
            if let Some(value) = value {
                item.insert(name.to_owned(), value);
            }
        };
        let millis = |at: UnixMillis| number(at.0);
        set("kind", Some(text("followup")));
        set("id", Some(text(&self.id)));
        set("decision", Some(text(&self.decision)));
        set("status", Some(text(state.status.as_str())));
        set("mode", Some(text(self.mode.as_str())));
        set("recipient", self.recipient.as_ref().map(|recipient| text(recipient.as_str())));
        set("campaign", self.campaign.as_ref().map(|campaign| text(campaign.as_str())));
        set("request", self.request.as_ref().map(text));
        set("not_before", Some(millis(state.not_before)));
        set("due_since", state.due_since.map(millis));
        set("entry_at", Some(millis(state.entry_at)));
        set("tries", Some(number(i64::from(state.tries))));
        set("refusals", Some(number(i64::from(state.refusals))));
        set("open_since", state.open_since.map(millis));
        set("asked_with", state.asked_with.as_ref().map(text));
        set("resend_id", state.resend_id.as_ref().map(text));
        set("sent_at", state.sent_at.map(millis));
        set("also", (!state.also.is_empty()).then(|| AttributeValue::Ss(state.also.iter().cloned().collect())));
        set("reason", state.reason.as_ref().map(|reason| text(reason.to_string())));
        set("unclear", state.is_unclear().then_some(AttributeValue::Bool(true)));
        let guards = (!self.guards.is_empty()).then(|| serde_json::to_string(&self.guards).unwrap_or_default());
        set("guards", guards.map(text));
        set("history", Some(AttributeValue::L(state.history.iter().map(line_to).collect())));
        // Never before it is settled: its entry is then kept for a while.
        let end = state.last_look().plus(days(FOLLOWUP_DONE_DAYS));
        set("expires_at", Some(number(self.expires_at.max(end).seconds())));
        item
    }

    /// The row's one agenda entry.
    pub fn entry(&self) -> AgendaEntry {
        let state = &self.state;
        let kind = if state.status.is_settled() { AgendaKind::FollowupDone } else { AgendaKind::Followup };
        let mut attributes =
            vec![("email_id", text(&self.email_id)), ("id", text(&self.id)), ("status", text(state.status.as_str()))];
        attributes.extend(state.reason.as_ref().map(|reason| ("reason", text(reason.to_string()))));
        AgendaEntry::new(kind, state.entry_at, &self.id, &attributes)
    }

    /// Returns the idempotency key of its next request, or of the one that may have been accepted. Returns `None` if
    /// the recipient was forgotten.
    pub fn idempotency_key(&self) -> Option<String> {
        let first = Followup::idempotency_key(&self.email_id, self.recipient.as_ref()?.as_str());
        Some(idempotency_key(&first, self.state.refusals))
    }

    /// The follow-up, as alerts name it.
    pub fn context<'a>(&'a self, at: UnixMillis, stack: Option<&'a str>) -> FollowupContext<'a> {
        FollowupContext {
            id: &self.id,
            email_id: &self.email_id,
            recipient: self.recipient.as_ref().map(Recipient::as_str),
            campaign: self.campaign.as_ref(),
            at,
            stack,
        }
    }
}

fn line_from(value: &AttributeValue) -> Option<HistoryLine> {
    let map = value.as_m().ok()?;
    let times = map.get("times").and_then(as_number).and_then(|times| u32::try_from(times).ok());
    Some(HistoryLine {
        at: UnixMillis(map.get("at").and_then(as_number)?),
        status: FollowupStatus::from_text(string(map, "status"))?,
        by: string(map, "by").to_owned(),
        why: string(map, "why").to_owned(),
        times: times.unwrap_or(1),
    })
}

fn line_to(line: &HistoryLine) -> AttributeValue {
    AttributeValue::M(Item::from([
        ("at".to_owned(), number(line.at.0)),
        ("status".to_owned(), text(line.status.as_str())),
        ("by".to_owned(), text(&line.by)),
        ("why".to_owned(), text(&line.why)),
        ("times".to_owned(), number(i64::from(line.times))),
    ]))
}
