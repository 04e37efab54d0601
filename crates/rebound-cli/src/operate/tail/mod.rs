//! Webhooks and their effects, live: `rebound tail`.
//!
//! ```text
//!   events table ──its stream──▶ webhooks and the suppressions that they cause; verdicts, decisions, alerts, changes by hand
//!   campaigns table ────────────▶ the counters and the brake, read while webhooks of a campaign arrive
//!   suppressions table ─────────▶ suppressions for soft bounces, read while such bounces arrive
//! ```
//!
//! The functions log one of a hundred ordinary webhooks, and no address, so `tail` reads the tables and not the logs. It writes nothing.

mod follow;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rebound::aws::CallError;
use rebound::resend::campaign::{Campaign, CampaignTags};
use rebound::resend::event::Event;
use rebound::resend::recipient::Recipient;
use rebound::store::row::{self, RowKind};
use rebound::store::timeline::Timeline;
use rebound::store::{Item, string};
use rebound::time::UnixMillis;

use self::follow::Followed;
use self::stream::{ChangedRow, StreamReader};
use super::suppressions::List;
use super::target::Target;
use super::timeline::{ListSnapshot, TimelineEntry, concerns, entry, theirs};

/// Kinds of lines that are not types of events.
pub const KINDS: [&str; 9] =
    ["counted", "brake", "suppressed", "verdict", "decision", "alert", "quarantine", "poison", "audit"];

/// Time for the calls of one look.
const CALLS: Duration = Duration::from_secs(30);

/// Maximum number of remembered lines. A row that changes but gives the same line is not shown again.
const MAX_REMEMBERED: usize = 10_000;

/// A failure of `tail`.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The table can't be described.
    #[error("the table {table} can't be described: {why}{}", needed(why, "dynamodb:DescribeTable on it"))]
    Table {
        /// Its name.
        table: String,
        /// The message of DynamoDB.
        why: String,
    },
    /// The table has no stream.
    #[error("the table {0} has no stream; without one, protect is not invoked: deploy the stack again")]
    NoStream(String),
    /// The stream can't be read.
    #[error("the stream of {table} can't be read: {why}{}", needed(why, STREAM_PERMISSIONS))]
    Stream {
        /// The table's name.
        table: String,
        /// The message of DynamoDB.
        why: String,
    },
    /// A table can't be read.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// The permissions that reading the stream needs.
const STREAM_PERMISSIONS: &str = "dynamodb:DescribeStream, dynamodb:GetShardIterator and dynamodb:GetRecords on it";

/// The permissions that a call needs, where it is refused for want of them.
fn needed(why: &str, permissions: &str) -> String {
    if why.contains("AccessDenied") { format!("; it needs {permissions}") } else { String::new() }
}

/// The lines to show. An empty filter shows all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Types of events, and [`KINDS`].
    pub types: Vec<String>,
    /// Only lines about this campaign.
    pub campaign: Option<Campaign>,
    /// Only lines about this address.
    pub recipient: Option<Recipient>,
}

/// A line: what happened, and in which campaign, where that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct TailLine {
    /// The entry.
    pub entry: TimelineEntry,
    /// The campaign.
    pub campaign: Option<Campaign>,
}

/// The result of one poll.
#[derive(Clone, Debug, Default)]
pub struct TailUpdate {
    /// The lines, the oldest first.
    pub lines: Vec<TailLine>,
    /// The number of webhooks that came in, shown or not.
    pub webhooks: usize,
    /// AWS slows the readers of the stream down: it says why. The next look should be later.
    pub slowed: Option<String>,
}

/// The reader of the stream and of the polled tables.
#[derive(Debug)]
pub struct Tail<'a> {
    target: &'a Target,
    filter: Filter,
    tags: CampaignTags,
    reader: StreamReader,
    followed: Followed,
    remembered: VecDeque<(String, String)>,
    /// The campaign of each email, as far as it was looked up.
    campaigns: HashMap<String, Option<Campaign>>,
}

impl<'a> Tail<'a> {
    /// Begins at the end of the stream: whatever comes in from now on is seen.
    ///
    /// # Errors
    /// The table or its stream can't be read.
    pub async fn start(target: &'a Target, filter: Filter) -> Result<Self, TailError> {
        let reader = StreamReader::open(target, target.table("EVENTS_TABLE")).await?;
        let tags = CampaignTags::new(target.variable("CAMPAIGN_TAG").as_deref());
        let followed = Followed::new(if target.is_local() { Duration::from_secs(1) } else { Duration::from_secs(5) });
        Ok(Self { target, filter, tags, reader, followed, remembered: VecDeque::new(), campaigns: HashMap::new() })
    }

    /// The number of shards of the stream, each of which is read in each look.
    pub fn shards(&self) -> usize {
        self.reader.shards()
    }

    /// Looks once.
    ///
    /// # Errors
    /// The stream or a table can't be read.
    pub async fn look(&mut self) -> Result<TailUpdate, TailError> {
        let look = self.reader.look().await?;
        let (list, now) = (self.list(), UnixMillis::now());
        let mut seen = TailUpdate { slowed: look.slowed, ..TailUpdate::default() };
        let rows: Vec<Item> = look.changes.iter().map(|change| change.row.clone()).collect();
        let known = if rows.is_empty() { None } else { Some(ListSnapshot::of(&list, &rows, now).await?) };
        for (number, change) in look.changes.iter().enumerate() {
            let Some(known) = &known else { break };
            seen.webhooks += usize::from(change.is_new && is_webhook(&change.row));
            // Of a row that is changed twice within one look, the last change says it.
            let later = look.changes.get(number + 1..).unwrap_or_default();
            if later.iter().any(|later| key(&later.row) == key(&change.row)) {
                continue;
            }
            if let Some(line) = self.line(&list, change, known).await? {
                seen.lines.push(line);
            }
        }
        for entry in self.followed.look(self.target, &list, now).await? {
            if let Some(line) = self.shown_if_wanted(entry) {
                seen.lines.push(line);
            }
        }
        Ok(seen)
    }

    fn list(&self) -> List {
        List {
            calls: self.target.calls(CALLS),
            suppressions: self.target.table("SUPPRESSIONS_TABLE").to_owned(),
            events: self.target.table("EVENTS_TABLE").to_owned(),
        }
    }

    /// A change as a line. `None`: it says nothing new, or nobody wants to see it.
    async fn line(
        &mut self,
        list: &List,
        change: &ChangedRow,
        known: &ListSnapshot,
    ) -> Result<Option<TailLine>, TailError> {
        let row = &change.row;
        // A webhook's row is changed only when somebody is forgotten.
        let Some(entry) = entry(row, known).filter(|_| change.is_new || !is_webhook(row)) else { return Ok(None) };
        let campaign = self.campaign(list, row, &entry).await?;
        if is_webhook(row) {
            self.follow(list, row, campaign.as_ref(), known).await?;
        }
        let remembered = (format!("{:?}", key(row)), entry.text.clone());
        if self.remembered.contains(&remembered) || !self.is_wanted(list, row, &entry, campaign.as_ref()).await? {
            return Ok(None);
        }
        self.remembered.push_back(remembered);
        if self.remembered.len() > MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        Ok(Some(TailLine { entry, campaign }))
    }

    /// Follows what will be done about a webhook in other tables, as far as somebody wants to see it.
    async fn follow(
        &mut self,
        list: &List,
        row: &Item,
        campaign: Option<&Campaign>,
        known: &ListSnapshot,
    ) -> Result<(), TailError> {
        let wants = |wanted: &Campaign| Some(wanted) == campaign;
        let is_wanted = self.filter.campaign.as_ref().is_none_or(wants) && self.filter.recipient.is_none();
        if let Some(campaign) = campaign.filter(|_| is_wanted) {
            self.followed.campaign(campaign, known.now);
        }
        let body = row::payload(row).unwrap_or_default();
        if let Ok(event) = Event::read(&body) {
            self.followed.soft_bounce(list, &event, known.now).await?;
        }
        Ok(())
    }

    /// The campaign that a row belongs to: the webhook's own, the alert's, or that of the email's webhooks.
    async fn campaign(
        &mut self,
        list: &List,
        row: &Item,
        entry: &TimelineEntry,
    ) -> Result<Option<Campaign>, TailError> {
        if is_webhook(row) {
            let campaign = self.campaign_of(row);
            self.keep(&entry.about, campaign.clone());
            return Ok(campaign);
        }
        if let Some(alert) = entry.fields.get("alert") {
            let named = alert.get("campaign").and_then(|name| name.as_str()).and_then(Campaign::new);
            if named.is_some() {
                return Ok(named);
            }
        }
        if !matches!(entry.what.as_str(), "verdict" | "decision" | "alert" | "poison") {
            return Ok(None);
        }
        if let Some(known) = self.campaigns.get(&entry.about) {
            return Ok(known.clone());
        }
        let rows = Timeline::new(list.calls.clone(), &list.events).all(&entry.about).await?;
        let campaign = rows.iter().filter(|row| is_webhook(row)).find_map(|row| self.campaign_of(row));
        self.keep(&entry.about, campaign.clone());
        Ok(campaign)
    }

    fn campaign_of(&self, row: &Item) -> Option<Campaign> {
        let body = row::payload(row)?;
        Event::read(&body).ok().and_then(|event| self.tags.counted_for(&event))
    }

    fn keep(&mut self, email: &str, campaign: Option<Campaign>) {
        if self.campaigns.len() >= MAX_REMEMBERED {
            self.campaigns.clear();
        }
        self.campaigns.insert(email.to_owned(), campaign);
    }

    async fn is_wanted(
        &self,
        list: &List,
        row: &Item,
        entry: &TimelineEntry,
        campaign: Option<&Campaign>,
    ) -> Result<bool, TailError> {
        let Filter { types, campaign: wanted, recipient } = &self.filter;
        let is_type = types.is_empty() || types.contains(&entry.what);
        if !is_type || wanted.as_ref().is_some_and(|wanted| Some(wanted) != campaign) {
            return Ok(false);
        }
        let Some(recipient) = recipient else { return Ok(true) };
        if is_webhook(row) {
            return Ok(concerns(row, recipient));
        }
        let rows = Timeline::new(list.calls.clone(), &list.events).all(&entry.about).await?;
        let is_about_them = rows.iter().any(|row| concerns(row, recipient)) || entry.what == "audit";
        let theirs = theirs(rows, recipient);
        Ok(is_about_them && theirs.iter().any(|theirs| key(theirs) == key(row)) && names(entry, recipient))
    }

    /// A line about a change in another table, if the filter passes it.
    fn shown_if_wanted(&self, (entry, campaign): (TimelineEntry, Option<Campaign>)) -> Option<TailLine> {
        let Filter { types, campaign: wanted, recipient } = &self.filter;
        let is_type = types.is_empty() || types.contains(&entry.what);
        let is_theirs = recipient.as_ref().is_none_or(|recipient| entry.about == recipient.as_str());
        let is_of_campaign = wanted.is_none() || *wanted == campaign;
        (is_type && is_theirs && is_of_campaign).then_some(TailLine { entry, campaign })
    }
}

/// Returns true unless the entry is an operator's, about somebody else.
fn names(entry: &TimelineEntry, recipient: &Recipient) -> bool {
    entry.what != "audit" || entry.about == super::audit::partition(recipient.as_str())
}

fn is_webhook(row: &Item) -> bool {
    string(row, "kind") == RowKind::Event.as_str()
}

fn key(row: &Item) -> (&str, &str) {
    (string(row, "email_id"), string(row, "event"))
}
