//! The lock of `act`: one function sends at a time, and the rate and the rests are kept from run to run. One item of the
//! agenda, `lock` / `act`, without a TTL. All its times are real times.
//!
//! | attribute | value |
//! | --- | --- |
//! | `holder` | the run that holds it |
//! | `until` | ms: it is free from then on, whatever happened to its holder |
//! | `next_request_at` | ms: no request to Resend before |
//! | `resting_until`, `resting_because` | ms, and the reason: no follow-up is sent before |
//! | `push_resting_until` | ms: no contact is unsubscribed at Resend before |
//! | `refused_in_a_row` | the follow-ups that Resend refused since it accepted the last one |
//! | `contacts_not_found` | number of opted-out recipients who are no contacts at Resend |
//!
//! ```text
//!   acquire ─▶ work: each try checks the lock in its own transaction ─▶ release
//!     ✗ killed here            the lock is free 55 s after it was acquired; no run lasts longer than 50 s
//! ```

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use strum::{EnumString, IntoStaticStr};

use super::agenda::key;
use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::time::UnixMillis;

/// Reason why all sending rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, EnumString)]
pub enum RestReason {
    /// Resend refuses the API key.
    #[strum(serialize = "key")]
    Key,
    /// The account's quota is used up.
    #[strum(serialize = "quota")]
    Quota,
    /// Requests come too fast.
    #[strum(serialize = "too_fast")]
    TooFast,
    /// Several different emails were refused in a row.
    #[strum(serialize = "refusals")]
    Refusals,
}

impl RestReason {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// State of the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockState {
    /// Earliest time of the next request.
    pub next_request_at: Option<UnixMillis>,
    /// Time until which all sending rests, with the reason.
    pub rest: Option<(UnixMillis, RestReason)>,
    /// Time until which contacts are not unsubscribed.
    pub push_resting_until: Option<UnixMillis>,
    /// Ids of the follow-ups that were refused since the last accepted one.
    pub refused_in_a_row: BTreeSet<String>,
    /// Number of recipients who opted out and are no contacts at Resend.
    pub contacts_not_found: i64,
}

/// The lock.
#[derive(Clone, Debug)]
pub struct ActLock {
    calls: RetryClient,
    table: String,
}

/// The lock in the hands of one run. What it writes has no effect once another run holds the lock.
#[derive(Debug)]
pub struct HeldActLock {
    lock: ActLock,
    holder: String,
}

impl LockState {
    fn from_item(item: &Item) -> Self {
        let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
        let refused = item.get("refused_in_a_row").and_then(|set| set.as_ss().ok());
        let because = string(item, "resting_because").parse().unwrap_or(RestReason::Refusals);
        Self {
            next_request_at: millis("next_request_at"),
            rest: millis("resting_until").map(|until| (until, because)),
            push_resting_until: millis("push_resting_until"),
            refused_in_a_row: refused.into_iter().flatten().cloned().collect(),
            contacts_not_found: item.get("contacts_not_found").and_then(as_number).unwrap_or(0),
        }
    }
}

impl ActLock {
    /// Creates a handle of the lock in the agenda table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Reads the state, without acquiring the lock.
    pub async fn read(&self) -> Result<LockState, CallError> {
        let item = self.calls.get(&self.table, lock_key()).await?;
        Ok(item.as_ref().map(LockState::from_item).unwrap_or_default())
    }

    /// Acquires the lock until `until`, in the name of `holder`. Returns `None` if another run holds it. Acquiring it again
    /// is safe.
    pub async fn acquire(
        self,
        holder: String,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<(HeldActLock, LockState)>, CallError> {
        let values = [(":until", number(until.0)), (":now", number(now.0))];
        let condition = "attribute_not_exists(holder) OR #until <= :now OR holder = :me";
        let change = change("SET holder = :me, #until = :until", condition, &holder, &values);
        match self.calls.update(&self.table, lock_key(), &change).await? {
            ConditionalWrite::Applied(item) => {
                Ok(Some((HeldActLock { lock: self, holder }, LockState::from_item(&item))))
            }
            ConditionalWrite::ConditionFailed(_) => Ok(None),
        }
    }
}

impl HeldActLock {
    /// The name of the run that holds it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Releases the lock.
    pub async fn release(self, next_request_at: UnixMillis) -> Result<(), CallError> {
        let values = [(":next", number(next_request_at.0))];
        self.set("SET next_request_at = :next REMOVE holder, #until", &values).await
    }

    /// Lets all sending rest until `until`.
    pub async fn rest(&self, until: UnixMillis, because: RestReason) -> Result<(), CallError> {
        // After a rest because of refusals, their count begins at 0.
        let update = match because {
            RestReason::Refusals => {
                "SET resting_until = :rest, resting_because = :because, #until = #until REMOVE refused_in_a_row"
            }
            _ => "SET resting_until = :rest, resting_because = :because, #until = #until",
        };
        self.set(update, &[(":rest", number(until.0)), (":because", text(because.as_str()))]).await
    }

    /// Lets the unsubscription of contacts rest until `until`.
    pub async fn rest_pushes(&self, until: UnixMillis) -> Result<(), CallError> {
        self.set("SET push_resting_until = :rest, #until = #until", &[(":rest", number(until.0))]).await
    }

    /// Counts a refusal of this follow-up.
    pub async fn count_refusal(&self, id: &str) -> Result<(), CallError> {
        let id = AttributeValue::Ss(vec![id.to_owned()]);
        self.set("ADD refused_in_a_row :id SET #until = #until", &[(":id", id)]).await
    }

    /// Counts a recipient who opted out and is no contact at Resend.
    pub async fn count_missing_contact(&self) -> Result<(), CallError> {
        self.set("ADD contacts_not_found :one SET #until = #until", &[(":one", number(1))]).await
    }

    /// Forgets the refusals: a follow-up was accepted.
    pub async fn clear_refusals(&self) -> Result<(), CallError> {
        self.set("SET #until = #until REMOVE refused_in_a_row", &[]).await
    }

    async fn set(&self, update: &str, values: &[(&str, AttributeValue)]) -> Result<(), CallError> {
        let change = change(update, "holder = :me", &self.holder, values);
        self.lock.calls.update(&self.lock.table, lock_key(), &change).await?;
        Ok(())
    }
}

fn lock_key() -> Item {
    key("lock", "act")
}

fn change(update: &str, condition: &'static str, holder: &str, values: &[(&str, AttributeValue)]) -> UpdateExpression {
    let mut all = vec![(":me".to_owned(), text(holder))];
    all.extend(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    UpdateExpression {
        update: update.to_owned(),
        condition: Some(condition),
        names: vec![("#until".to_owned(), "until".to_owned())],
        values: all,
    }
}
