//! Checks which addresses can receive email: one address or very many, in the fewest calls.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::forgotten::{self, ErasureKey};
pub use rebound::store::suppressions::SendCheck;
use rebound::store::suppressions::{EmailKind, SuppressionItem};
use rebound::store::{Item, recipient_key, string};
use rebound::time::UnixMillis;

/// Maximum number of keys of one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const BATCH: usize = 100;

/// Maximum number of concurrent calls.
const MAX_CONCURRENT: usize = 16;

/// Checks whether such an email can be sent to these addresses, and returns the results in the order of `addresses`, duplicates included.
///
/// While no address was ever erased, 10,000 addresses take 101 calls. After that it is twice the number, since each address has two keys.
/// `done` is called with the number of addresses of each call.
pub async fn check(
    calls: &RetryClient,
    table: &str,
    addresses: &[String],
    email: EmailKind<'_>,
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
        Some(recipient) => found.answer(recipient, key.as_ref(), email, now),
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

    fn answer(
        &self,
        recipient: &Recipient,
        key: Option<&ErasureKey>,
        email: EmailKind<'_>,
        now: UnixMillis,
    ) -> SendCheck {
        let own = self.0.get(recipient.as_str()).map(|item| SuppressionItem::from_item(item.clone()));
        let forgotten = key.and_then(|key| self.0.get(&key.name_of(recipient)));
        SendCheck::of(own.as_ref(), forgotten.is_some_and(forgotten::is_no), email, now)
    }
}
