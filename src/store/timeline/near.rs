//! What is read of an email for one of its opens or clicks: all of it, mostly; and where there are very many, what matters for it.
//!
//! An email's rows are read in one Query, of [`AT_ONCE`] at most. Hardly an email has more. One that has, has them by machines, or by a
//! link that thousands share, and each of its clicks has to be looked at: so what is read for each is bounded, or the work would grow with
//! the square of the clicks.
//!
//! ```text
//!   decision#…   email.bounced#…   email.clicked#……………………………………………………   email.complained#…   email.opened#……………   email.sent#…
//!   └──────────── the first rows ───────────────┘   └─ 40 ──┤this├── 40 ─┘   └── all ──┘   └ 20 ┤├ 20 ┘    └─── all ───┘
//! ```
//!
//! Svix's ids of webhooks are KSUIDs, which sort by time (<https://github.com/segmentio/ksuid>), so the rows beside this one are those that
//! are near to it in time: those that a burst or a scan is told by. The first rows are the earliest, by which a scan begins. Outcomes are
//! read by prefixes of their own, all of them, so the bound hides none.
//!
//! # Why rows may be missing
//!
//! These reads are of several moments, and most are eventually consistent: a row that was put within the last second may not be among what
//! is read, and one that is may be deleted by now. Nothing that must hold follows from a row that is missing:
//!
//! | what is missing | why it holds |
//! | --- | --- |
//! | the open or click itself | it is read again as it is now; where it is gone then, nothing is to be done |
//! | its verdict or its decision | each is put on the condition that there is none, so the one that is stored counts |
//! | an outcome, such as a complaint | what it suppresses stands in the recipient's own item, which the decision's transaction checks |
//! | a click on an opt-out link | its own message stores the fact, which the decision's transaction checks |
//! | another open or click of a scan | the verdict is a judgement of what was known 90 s after; a later delivery judges again before it decides |

use futures_util::{FutureExt, future};

use super::super::calls::{AsOf, Order, Range};
use super::super::{Item, event_key, string};
use super::Timeline;
use crate::aws::CallError;

/// How many rows are read at once, at first.
const AT_ONCE: usize = 100;

/// How many opens or clicks are read before this one, and after it.
const BESIDE: usize = 40;

/// How many of the other kind.
const BESIDE_OTHERS: usize = 20;

/// The sort keys of opens and of clicks, without the id of the webhook. A `$` is what follows a `#`.
const OPENED: &str = "email.opened";
const CLICKED: &str = "email.clicked";

/// The beginning of an email's rows.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The rows.
    pub rows: Vec<Item>,
    /// Whether these are all.
    pub is_whole: bool,
}

impl Timeline {
    /// The first rows of an email, and the row `event`, if it is there: as they were lately, which costs half as much; or as they are now,
    /// where the row was not there then. Who writes on what is read here must do so on a condition.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn begin(&self, partition: &str, event: &str) -> Result<Begun, CallError> {
        let holds = |begun: &Begun| begun.rows.iter().any(|row| string(row, "event") == event);
        let mut begun = self.first_rows(AsOf::Lately, partition).await?;
        if begun.is_whole && !holds(&begun) {
            begun = self.first_rows(AsOf::Now, partition).await?;
        }
        if !begun.is_whole && !holds(&begun) {
            begun.rows.extend(self.row(partition, event).await?);
        }
        Ok(begun)
    }

    async fn first_rows(&self, as_of: AsOf, partition: &str) -> Result<Begun, CallError> {
        let page = self.calls.first_page(&self.range(as_of, partition, ("!", "~"), Order::Ascending), AT_ONCE).await?;
        Ok(Begun { rows: page.items, is_whole: page.next.is_none() })
    }

    /// One row, as it is now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn row(&self, partition: &str, event: &str) -> Result<Option<Item>, CallError> {
        self.calls.get(&self.table, event_key(partition, event)).await
    }

    /// The rows that matter for an open or a click of an email that has very many: those beside it, and all outcomes, as they were lately.
    /// Some may be among the first rows too.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn near(&self, partition: &str, event: &str) -> Result<Vec<Item>, CallError> {
        let (kind, message) = event.split_once('#').unwrap_or((event, ""));
        let other = if kind == OPENED { CLICKED } else { OPENED };
        let beside = [(kind, BESIDE), (other, BESIDE_OTHERS)].map(|(kind, at_most)| async move {
            let (from, this, to) = (format!("{kind}#"), format!("{kind}#{message}"), format!("{kind}$"));
            let before = self.range(AsOf::Lately, partition, (&from, &this), Order::Descending);
            let after = self.range(AsOf::Lately, partition, (&this, &to), Order::Ascending);
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
            self.calls.range_as_of(AsOf::Lately, &self.table, range.0, range.1, usize::MAX).await
        });
        let beside = beside.map(FutureExt::boxed).into_iter();
        let found = future::try_join_all(beside.chain(outcomes.map(FutureExt::boxed))).await?;
        Ok(found.concat())
    }

    fn range<'a>(&'a self, as_of: AsOf, partition: &'a str, sort: (&'a str, &'a str), order: Order) -> Range<'a> {
        Range { as_of, table: &self.table, partition: ("email_id", partition), sort: ("event", sort.0, sort.1), order }
    }
}
