//! The switch: sending that a person has paused, for all follow-ups or for those of a campaign.

use super::FollowupStore;
use crate::aws::CallError;
use crate::resend::campaign::Campaign;
use crate::store::client::UpdateExpression;
use crate::store::{Item, agenda, as_number, number, string, text};
use crate::time::UnixMillis;

/// Partition of the agenda.
const KIND: &str = "switch";

/// Prefix of a campaign's switch.
const CAMPAIGN: &str = "campaign#";

/// The follow-ups that are paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchOf {
    /// All follow-ups.
    All,
    /// The follow-ups of a campaign.
    Campaign(Campaign),
}

/// A pause of sending, by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The follow-ups that are paused.
    pub of: SwitchOf,
    /// Time of the pause.
    pub at: UnixMillis,
    /// The person who paused it.
    pub by: String,
    /// The reason, if one was given.
    pub reason: String,
}

impl SwitchOf {
    /// The switch's key in the agenda.
    pub(super) fn key(&self) -> Item {
        let due = match self {
            Self::All => "all".to_owned(),
            Self::Campaign(campaign) => format!("{CAMPAIGN}{campaign}"),
        };
        agenda::key(KIND, &due)
    }
}

impl Switch {
    fn from_item(item: &Item) -> Option<Self> {
        let of = match string(item, "due") {
            "all" => SwitchOf::All,
            name => SwitchOf::Campaign(Campaign::new(name.strip_prefix(CAMPAIGN)?)?),
        };
        Some(Self {
            of,
            at: UnixMillis(item.get("at").and_then(as_number).unwrap_or(0)),
            by: string(item, "by").to_owned(),
            reason: string(item, "reason").to_owned(),
        })
    }

    fn to_item(&self) -> Item {
        let mut item = self.of.key();
        item.insert("at".to_owned(), number(self.at.0));
        item.insert("by".to_owned(), text(&self.by));
        if !self.reason.is_empty() {
            item.insert("reason".to_owned(), text(&self.reason));
        }
        item
    }
}

impl FollowupStore {
    /// Reads a switch, strongly consistent. Returns `None` if sending is not paused.
    pub async fn switch(&self, of: &SwitchOf) -> Result<Option<Switch>, CallError> {
        let item = self.calls.get(&self.tables.agenda, of.key()).await?;
        Ok(item.as_ref().and_then(Switch::from_item))
    }

    /// Reads all switches that are set.
    pub async fn switches(&self) -> Result<Vec<Switch>, CallError> {
        let all = ("due", "!", "~");
        let items = self.calls.query(&self.tables.agenda, ("kind", KIND), all, usize::MAX).await?;
        Ok(items.iter().filter_map(Switch::from_item).collect())
    }

    /// Pauses sending. A pause that is there is replaced, so its reason is the newest one.
    pub async fn pause(&self, switch: &Switch) -> Result<(), CallError> {
        self.calls.put(&self.tables.agenda, &switch.to_item(), &UpdateExpression::default()).await?;
        Ok(())
    }

    /// Resumes sending.
    pub async fn resume(&self, of: &SwitchOf) -> Result<(), CallError> {
        self.calls.delete(&self.tables.agenda, of.key()).await
    }
}
