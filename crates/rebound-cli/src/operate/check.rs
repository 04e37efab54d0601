//! Checks which addresses can receive email: one address or very many, in the fewest calls.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::resend::recipient::Recipient;
use rebound::store::client::RetryClient;
use rebound::store::forgotten;
pub use rebound::store::suppressions::SendCheck;
use rebound::store::suppressions::{EmailKind, SuppressionItem};
use rebound::store::{Item, recipient_key, string};
use rebound::time::UnixMillis;

/// Maximum number of keys of one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const BATCH: usize = 100;

/// Maximum number of concurrent calls.
const MAX_CONCURRENT: usize = 16;

/// Checks whether such an email can be sent to these recipients, and returns the results in their order, duplicates
/// included. `None` is a text that is not a valid address.
///
/// While no address was ever erased, 10,000 addresses take 101 calls. After that it is twice the number, since each
/// address has two keys. `done` is called with the number of addresses of each call.
pub async fn check(
    calls: &RetryClient,
    table: &str,
    recipients: &[Option<&Recipient>],
    email: EmailKind<'_>,
    now: UnixMillis,
    done: impl Fn(usize),
) -> Result<Vec<SendCheck>, CallError> {
    let distinct: BTreeSet<&Recipient> = recipients.iter().copied().flatten().collect();

    // The addresses first, the erased ones after them: `forget` writes in the other order, so no address is missed by both reads.
    let addresses = distinct.iter().map(|recipient| recipient.as_str().to_owned()).collect();
    let mut items = read(calls, table, addresses, &done).await?;
    let key = forgotten::key(calls, table).await?;
    if let Some(key) = &key {
        let names = distinct.iter().map(|recipient| key.name_of(recipient)).collect();
        items.extend(read(calls, table, names, |_| ()).await?);
    }
    let answer = |recipient: &Option<&Recipient>| {
        let Some(recipient) = recipient else { return SendCheck::InvalidAddress };
        let own = items.get(recipient.as_str()).map(|item| SuppressionItem::from_item(item.clone()));
        let forgotten = key.as_ref().and_then(|key| items.get(&key.name_of(recipient)));
        SendCheck::of(own.as_ref(), forgotten.is_some_and(forgotten::is_no), email, now)
    };
    Ok(recipients.iter().map(answer).collect())
}

/// Reads the items of these names in batches, and returns them by their names.
async fn read(
    calls: &RetryClient,
    table: &str,
    names: Vec<String>,
    done: impl Fn(usize),
) -> Result<BTreeMap<String, Item>, CallError> {
    type BatchRead = (usize, Result<Vec<Item>, CallError>);
    let reads: Vec<BoxFuture<'_, BatchRead>> = names
        .chunks(BATCH)
        .map(|some| {
            let keys = some.iter().map(|name| recipient_key(name)).collect();
            async move { (some.len(), calls.batch_get(table, keys).await) }.boxed()
        })
        .collect();
    let mut reads = stream::iter(reads).buffer_unordered(MAX_CONCURRENT);
    let mut found = BTreeMap::new();
    while let Some((number, items)) = reads.next().await {
        found.extend(items?.into_iter().map(|item| (string(&item, "recipient").to_owned(), item)));
        done(number);
    }
    Ok(found)
}
