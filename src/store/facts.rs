//! What is remembered of a recipient for a while: the recipients table.
//!
//! | sort key `fact` | says | attributes |
//! | --- | --- | --- |
//! | `delayed#<email>` | an email to this recipient was delayed | `first`, `last` (ms), `message_id` |
//! | `soft#<email>` | an email to this recipient bounced softly | `first`, `last` (ms), `message_id` |
//!
//! Each keeps the earliest and the latest time that any message tells, and the earliest message, so order doesn't matter.

use super::calls::{Calls, Change, Trouble, Written};
use super::{Item, as_number, number, string, text};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::time::{UnixMillis, days};

/// How long a fact stays: a window of 30 days may end with it, and what completes the window may come 30 days late.
const FACT_DAYS: u32 = 65;

/// The most facts of a kind that are looked at.
const AT_MOST: usize = 1_000;

/// How often a write that was overtaken is tried again.
const TRIES: u32 = 20;

/// What kind of fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The email was delayed.
    Delayed,
    /// The email bounced softly.
    Soft,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::Soft => "soft",
        }
    }
}

/// A fact about one email of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The email.
    pub email_id: String,
    /// When it was so first.
    pub first: UnixMillis,
    /// When it was so last.
    pub last: UnixMillis,
    /// Which message said so first.
    pub message: MessageId,
}

impl Fact {
    /// Both, of one email: order doesn't matter.
    fn and(&self, other: &Self) -> Self {
        let earlier = if (other.first, &other.message) < (self.first, &self.message) { other } else { self };
        Self { last: self.last.max(other.last), ..earlier.clone() }
    }

    fn from_item(item: &Item) -> Option<Self> {
        let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
        Some(Self {
            email_id: string(item, "fact").split_once('#')?.1.to_owned(),
            first: millis("first")?,
            last: millis("last")?,
            message: MessageId::already_verified(string(item, "message_id")),
        })
    }
}

/// The recipients table.
#[derive(Clone, Debug)]
pub struct Facts {
    calls: Calls,
    table: String,
}

impl Facts {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Remembers a fact, and answers all of its kind that are remembered of the recipient then.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn remember(&self, recipient: &Recipient, what: What, fact: &Fact) -> Result<Vec<Fact>, Trouble> {
        self.write(recipient, what, fact).await?;
        let (from, to) = (format!("{}#", what.as_str()), format!("{}$", what.as_str()));
        let partition = ("recipient", recipient.as_str());
        let items = self.calls.range(&self.table, partition, ("fact", &from, &to), AT_MOST).await?;
        Ok(items.iter().filter_map(Fact::from_item).collect())
    }

    async fn write(&self, recipient: &Recipient, what: What, fact: &Fact) -> Result<(), Trouble> {
        let key = format!("{}#{}", what.as_str(), fact.email_id);
        let mut seen: Option<Fact> = None;
        for _ in 0..TRIES {
            let known = seen.as_ref().map_or_else(|| fact.clone(), |seen| seen.and(fact));
            if seen.as_ref() == Some(&known) {
                return Ok(());
            }
            let item = Item::from([
                ("recipient".to_owned(), text(recipient.as_str())),
                ("fact".to_owned(), text(&key)),
                ("first".to_owned(), number(known.first.0)),
                ("last".to_owned(), number(known.last.0)),
                ("message_id".to_owned(), text(known.message.as_str())),
                ("expires_at".to_owned(), number(known.last.plus(days(FACT_DAYS)).seconds())),
            ]);
            let condition = match &seen {
                None => Change { condition: Some("attribute_not_exists(recipient)"), ..Change::default() },
                Some(seen) => Change {
                    condition: Some("#first = :first AND #last = :last"),
                    names: vec![("#first".to_owned(), "first".to_owned()), ("#last".to_owned(), "last".to_owned())],
                    values: vec![
                        (":first".to_owned(), number(seen.first.0)),
                        (":last".to_owned(), number(seen.last.0)),
                    ],
                    ..Change::default()
                },
            };
            match self.calls.put(&self.table, &item, &condition).await? {
                Written::Done(()) => return Ok(()),
                Written::Refused(item) => seen = item.as_ref().and_then(Fact::from_item),
            }
        }
        Err(Trouble::Passing("others kept changing the same fact".to_owned()))
    }
}
