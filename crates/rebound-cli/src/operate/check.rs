//! Checks which addresses can receive email: one address or very many, in the fewest calls.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::forgotten::{self, ErasureKey};
use rebound::store::suppressions::{ActiveReason, SuppressionItem};
use rebound::store::{Item, recipient_key, string};
use rebound::time::UnixMillis;

/// Maximum number of keys of one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const BATCH: usize = 100;

/// Maximum number of concurrent calls.
const MAX_CONCURRENT: usize = 16;

/// The result of the check of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendCheck {
    /// The address can receive email.
    Allowed,
    /// The address is suppressed, for these active reasons.
    Suppressed(Vec<ActiveReason>),
    /// The address was erased on request, and must not get email of any kind.
    Forgotten,
    /// The text is not a valid address.
    InvalidAddress,
}

impl SendCheck {
    /// Returns true if email can be sent.
    pub fn may_send(&self) -> bool {
        *self == Self::Allowed
    }

    /// The names of the reasons.
    pub fn reasons(&self) -> Vec<&str> {
        match self {
            Self::Allowed => Vec::new(),
            Self::Suppressed(standing) => standing.iter().map(|standing| standing.reason.as_str()).collect(),
            Self::Forgotten => vec![forgotten::REASON],
            Self::InvalidAddress => vec!["not_an_address"],
        }
    }
}

/// Checks addresses, and returns the results in the order of `addresses`, duplicates included.
///
/// While no address was ever erased, 10,000 addresses take 101 calls. After that it is twice the number, since each address has two keys.
/// `done` is called with the number of addresses of each call.
pub async fn check(
    calls: &RetryClient,
    table: &str,
    addresses: &[String],
    now: UnixMillis,
    done: impl Fn(usize),
) -> Result<Vec<SendCheck>, CallError> {
    let parsed: Vec<Option<Recipient>> = addresses.iter().map(|address| Recipient::parse(address)).collect();
    let distinct: BTreeSet<&Recipient> = parsed.iter().flatten().collect();
    let distinct: Vec<&Recipient> = distinct.into_iter().collect();
    let mut found = Found::default();

    // The addresses first, the erased ones after them: `forget` writes in the other order, so no address is missed by both reads.
    let addresses = distinct.iter().map(|one| one.as_str().to_owned()).collect();
    found.read(calls, table, addresses, &done).await?;
    let key = forgotten::key(calls, table).await?;
    if let Some(key) = &key {
        let names = distinct.iter().map(|one| key.name_of(one)).collect();
        found.read(calls, table, names, |_| ()).await?;
    }
    let answer = |recipient: &Option<Recipient>| match recipient {
        Some(recipient) => found.answer(recipient, key.as_ref(), now),
        None => SendCheck::InvalidAddress,
    };
    Ok(parsed.iter().map(answer).collect())
}

/// The items of the table, by recipient.
#[derive(Default)]
struct Found(BTreeMap<String, Item>);

impl Found {
    /// Reads the items of these names, in batches.
    async fn read(
        &mut self,
        calls: &RetryClient,
        table: &str,
        names: Vec<String>,
        done: impl Fn(usize),
    ) -> Result<(), CallError> {
        type BatchRead = (usize, Result<Vec<Item>, CallError>);
        let asks: Vec<BoxFuture<'_, BatchRead>> = names
            .chunks(BATCH)
            .map(|some| {
                let keys = some.iter().map(|name| recipient_key(name)).collect();
                async move { (some.len(), calls.batch_get(table, keys).await) }.boxed()
            })
            .collect();
        let mut asks = stream::iter(asks).buffer_unordered(MAX_CONCURRENT);
        while let Some((number, items)) = asks.next().await {
            self.add(items?);
            done(number);
        }
        Ok(())
    }

    fn add(&mut self, items: Vec<Item>) {
        self.0.extend(items.into_iter().map(|item| (string(&item, "recipient").to_owned(), item)));
    }

    fn answer(&self, recipient: &Recipient, key: Option<&ErasureKey>, now: UnixMillis) -> SendCheck {
        // Checked first: no item of the address itself can change this result.
        let forgotten = key.and_then(|key| self.0.get(&key.name_of(recipient)));
        if forgotten.is_some_and(forgotten::is_no) {
            return SendCheck::Forgotten;
        }
        let item = self.0.get(recipient.as_str());
        let standing =
            item.map(|item| SuppressionItem::from_item(item.clone()).active_reasons(now)).unwrap_or_default();
        if standing.is_empty() { SendCheck::Allowed } else { SendCheck::Suppressed(standing) }
    }
}
