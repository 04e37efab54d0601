//! May I send? For one address or for very many, in the fewest calls.

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

/// The most keys that one call takes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const BATCH: usize = 100;

/// How many calls are under way at once.
const AT_ONCE: usize = 16;

/// Whether an address may be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing stands against it.
    May,
    /// These reasons stand.
    MayNot(Vec<ActiveReason>),
    /// Whoever has it asked to be forgotten, and must not get email of any kind.
    Forgotten,
    /// It is no address that mail could go to.
    NotAnAddress,
}

impl Answer {
    /// Whether mail may be sent.
    pub fn may_send(&self) -> bool {
        *self == Self::May
    }

    /// The names of the reasons.
    pub fn reasons(&self) -> Vec<&str> {
        match self {
            Self::May => Vec::new(),
            Self::MayNot(standing) => standing.iter().map(|standing| standing.reason.as_str()).collect(),
            Self::Forgotten => vec![forgotten::REASON],
            Self::NotAnAddress => vec!["not_an_address"],
        }
    }
}

/// What is said about each address, in the order in which they were asked about, duplicates included.
///
/// While nobody was ever forgotten, 10,000 addresses take 101 calls. After that it is twice as many, since each has two keys.
/// `done` hears how many more addresses are answered.
///
/// # Errors
/// DynamoDB can't be asked.
pub async fn check(
    calls: &RetryClient,
    table: &str,
    addresses: &[String],
    now: UnixMillis,
    done: impl Fn(usize),
) -> Result<Vec<Answer>, CallError> {
    let parsed: Vec<Option<Recipient>> = addresses.iter().map(|address| Recipient::parse(address)).collect();
    let distinct: BTreeSet<&Recipient> = parsed.iter().flatten().collect();
    let distinct: Vec<&Recipient> = distinct.into_iter().collect();
    let mut found = Found::default();

    // The addresses first, the forgotten after them: `forget` writes them in the other order, so nobody is missed by both looks.
    let addresses = distinct.iter().map(|one| one.as_str().to_owned()).collect();
    found.read(calls, table, addresses, &done).await?;
    let key = forgotten::key(calls, table).await?;
    if let Some(key) = &key {
        let names = distinct.iter().map(|one| key.name_of(one)).collect();
        found.read(calls, table, names, |_| ()).await?;
    }
    let answer = |recipient: &Option<Recipient>| match recipient {
        Some(recipient) => found.answer(recipient, key.as_ref(), now),
        None => Answer::NotAnAddress,
    };
    Ok(parsed.iter().map(answer).collect())
}

/// What the table holds, by its key.
#[derive(Default)]
struct Found(BTreeMap<String, Item>);

impl Found {
    /// Reads the items of these names, some at a time.
    async fn read(
        &mut self,
        calls: &RetryClient,
        table: &str,
        names: Vec<String>,
        done: impl Fn(usize),
    ) -> Result<(), CallError> {
        type Asked = (usize, Result<Vec<Item>, CallError>);
        let asks: Vec<BoxFuture<'_, Asked>> = names
            .chunks(BATCH)
            .map(|some| {
                let keys = some.iter().map(|name| recipient_key(name)).collect();
                async move { (some.len(), calls.batch_get(table, keys).await) }.boxed()
            })
            .collect();
        let mut asks = stream::iter(asks).buffer_unordered(AT_ONCE);
        while let Some((number, items)) = asks.next().await {
            self.add(items?);
            done(number);
        }
        Ok(())
    }

    fn add(&mut self, items: Vec<Item>) {
        self.0.extend(items.into_iter().map(|item| (string(&item, "recipient").to_owned(), item)));
    }

    fn answer(&self, recipient: &Recipient, key: Option<&ErasureKey>, now: UnixMillis) -> Answer {
        // First, because nothing that is known of the address itself can soften it.
        let forgotten = key.and_then(|key| self.0.get(&key.name_of(recipient)));
        if forgotten.is_some_and(forgotten::is_no) {
            return Answer::Forgotten;
        }
        let item = self.0.get(recipient.as_str());
        let standing =
            item.map(|item| SuppressionItem::from_item(item.clone()).active_reasons(now)).unwrap_or_default();
        if standing.is_empty() { Answer::May } else { Answer::MayNot(standing) }
    }
}
