//! Reads of an email for one of its opens or clicks: usually all rows; if there are very many, only those that matter.
//!
//! An email's rows are read in one Query, of [`FIRST_PAGE`] at most. Few emails have more. Such an email has rows by
//! machines, or by a link that thousands share, and each of its clicks must be classified. So the read for each click
//! is bounded; otherwise the work would grow with the square of the clicks.
//!
//! ```text
//!   decision#…   email.bounced#…   email.clicked#……………………………………………………   email.complained#…   email.opened#……………   email.sent#…
//!   └──────────── the first rows ───────────────┘   └─ 40 ──┤this├── 40 ─┘   └── all ──┘   └ 20 ┤├ 20 ┘    └─── all ───┘
//! ```
//!
//! Svix's webhook ids are KSUIDs, which sort by time (<https://github.com/segmentio/ksuid>). So the rows next to this
//! one are close in time: they show a burst or a scan. The first rows are the earliest, where a scan begins. Outcomes
//! are read by prefixes of their own, all of them, so the bound hides none.
//!
//! # Why rows may be missing
//!
//! These reads are of several moments, and most are eventually consistent. A row that was put within the last second
//! may be missing, and one that was read may be deleted by now. No guarantee depends on a missing row:
//!
//! | missing row | why the result is still correct |
//! | --- | --- |
//! | the open or click itself | it is read again, strongly consistent; if it is gone, there is nothing to do |
//! | its verdict or its decision | each is put only if there is none, so the stored one counts |
//! | an outcome, such as a complaint | its suppression is in the recipient's own item, which the decision's transaction checks |
//! | a click on an opt-out link | its own message stores the fact, which the decision's transaction checks |
//! | another open or click of a scan | the verdict uses the rows known 90 s after; a redelivery classifies again before it decides |

use futures_util::{FutureExt, future};

use super::super::client::{Consistency, Order, Range};
use super::super::{Item, event_key, string};
use super::Timeline;
use crate::aws::CallError;

/// Maximum number of rows in the first read.
const FIRST_PAGE: usize = 100;

/// Number of opens or clicks read before this one, and after it.
const MAX_NEIGHBOURS: usize = 40;

/// Number of rows of the other type read before, and after.
const MAX_OTHER_NEIGHBOURS: usize = 20;

/// The sort keys of opens and of clicks, without the webhook's id. '$' follows '#'.
const OPENED: &str = "email.opened";
const CLICKED: &str = "email.clicked";

/// The first rows of an email.
#[derive(Clone, Debug)]
pub struct FirstRows {
    /// The rows.
    pub rows: Vec<Item>,
    /// True if these are all rows.
    pub is_whole: bool,
}

impl Timeline {
    /// Reads the first rows of an email, and the row `event` if it exists. Eventually consistent, which costs half as
    /// much; strongly consistent if that row was missing. A writer that depends on these rows must use a condition.
    pub async fn read_first(&self, partition: &str, event: &str) -> Result<FirstRows, CallError> {
        let holds = |first: &FirstRows| first.rows.iter().any(|row| string(row, "event") == event);
        let mut first = self.first_rows(Consistency::Eventual, partition).await?;
        if first.is_whole && !holds(&first) {
            first = self.first_rows(Consistency::Strong, partition).await?;
        }
        if !first.is_whole && !holds(&first) {
            first.rows.extend(self.row(partition, event).await?);
        }
        Ok(first)
    }

    async fn first_rows(&self, consistency: Consistency, partition: &str) -> Result<FirstRows, CallError> {
        let page = self
            .calls
            .first_page(&self.range(consistency, partition, ("!", "~"), Order::Ascending), FIRST_PAGE)
            .await?;
        Ok(FirstRows { rows: page.items, is_whole: page.next.is_none() })
    }

    /// Reads one row, strongly consistent.
    pub async fn row(&self, partition: &str, event: &str) -> Result<Option<Item>, CallError> {
        self.calls.get(&self.table, event_key(partition, event)).await
    }

    /// Reads the rows that matter for an open or a click of an email with very many rows: those next to it, and all
    /// outcomes. Eventually consistent. Some may be among the first rows too.
    pub async fn near(&self, partition: &str, event: &str) -> Result<Vec<Item>, CallError> {
        let (kind, message) = event.split_once('#').unwrap_or((event, ""));
        let other = if kind == OPENED { CLICKED } else { OPENED };
        let beside = [(kind, MAX_NEIGHBOURS), (other, MAX_OTHER_NEIGHBOURS)].map(|(kind, at_most)| async move {
            let (from, this, to) = (format!("{kind}#"), format!("{kind}#{message}"), format!("{kind}$"));
            let before = self.range(Consistency::Eventual, partition, (&from, &this), Order::Descending);
            let after = self.range(Consistency::Eventual, partition, (&this, &to), Order::Ascending);
            let (before, after) =
                future::try_join(self.calls.first_page(&before, at_most), self.calls.first_page(&after, at_most))
                    .await?;
            Ok([before.items, after.items].concat())
        });
        let (to_clicks, past_clicks) = (CLICKED.to_owned(), format!("{CLICKED}$"));
        let (to_opens, past_opens) = (OPENED.to_owned(), format!("{OPENED}$"));
        let between = [("email.", to_clicks), (&past_clicks, to_opens), (&past_opens, "email/".to_owned())];
        let outcomes = between.map(|(from, to)| async move {
            let range = (("email_id", partition), ("event", from, to.as_str()));
            self.calls.query_with(Consistency::Eventual, &self.table, range.0, range.1, usize::MAX).await
        });
        let beside = beside.map(FutureExt::boxed).into_iter();
        let found = future::try_join_all(beside.chain(outcomes.map(FutureExt::boxed))).await?;
        Ok(found.concat())
    }

    fn range<'a>(
        &'a self,
        consistency: Consistency,
        partition: &'a str,
        sort: (&'a str, &'a str),
        order: Order,
    ) -> Range<'a> {
        Range {
            consistency,
            table: &self.table,
            partition: ("email_id", partition),
            sort: ("event", sort.0, sort.1),
            order,
        }
    }
}
