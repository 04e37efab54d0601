//! May I send? For one address or for very many, in the fewest calls.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use crate::recipient::Recipient;
use crate::store::calls::{Calls, Trouble};
use crate::store::forgotten::{self, ForgottenKey, KEY_ITEM};
use crate::store::suppressions::{Standing, Stored, names};
use crate::store::{Item, recipient_key, string};
use crate::time::UnixMillis;

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
    MayNot(Vec<Standing>),
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
    calls: &Calls,
    table: &str,
    addresses: &[String],
    now: UnixMillis,
    done: impl Fn(usize),
) -> Result<Vec<Answer>, Trouble> {
    let parsed: Vec<Option<Recipient>> = addresses.iter().map(|address| Recipient::parse(address)).collect();
    let distinct: BTreeSet<&Recipient> = parsed.iter().flatten().collect();
    let distinct: Vec<&Recipient> = distinct.into_iter().collect();
    let mut found = Found::default();

    // The key of the forgotten comes with the first of them.
    let (first, rest) = distinct.split_at(distinct.len().min(BATCH - 1));
    let keys = std::iter::once(KEY_ITEM.to_owned()).chain(first.iter().map(|recipient| recipient.as_str().to_owned()));
    let items = calls.get_all(table, keys.map(|name| recipient_key(&name)).collect()).await?;
    let key = items.iter().find(|item| string(item, "recipient") == KEY_ITEM).and_then(ForgottenKey::from_item);
    found.add(items);
    done(first.len());
    if let Some(key) = &key {
        found.add(calls.get_all(table, first.iter().map(|one| recipient_key(&key.name_of(one))).collect()).await?);
    }
    let each = if key.is_some() { BATCH / 2 } else { BATCH };
    type Asked = (usize, Result<Vec<Item>, Trouble>);
    let asks: Vec<BoxFuture<'_, Asked>> = rest
        .chunks(each)
        .map(|some| {
            let keys = some.iter().flat_map(|one| names(one, key.as_ref())).map(|name| recipient_key(&name)).collect();
            async move { (some.len(), calls.get_all(table, keys).await) }.boxed()
        })
        .collect();
    let mut asks = stream::iter(asks).buffer_unordered(AT_ONCE);
    while let Some((number, items)) = asks.next().await {
        found.add(items?);
        done(number);
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
    fn add(&mut self, items: Vec<Item>) {
        self.0.extend(items.into_iter().map(|item| (string(&item, "recipient").to_owned(), item)));
    }

    fn answer(&self, recipient: &Recipient, key: Option<&ForgottenKey>, now: UnixMillis) -> Answer {
        // First, because nothing that is known of the address itself can soften it.
        let forgotten = key.and_then(|key| self.0.get(&key.name_of(recipient)));
        if forgotten.is_some_and(forgotten::is_no) {
            return Answer::Forgotten;
        }
        let item = self.0.get(recipient.as_str());
        let standing = item.map(|item| Stored::from_item(item.clone()).standing(now)).unwrap_or_default();
        if standing.is_empty() { Answer::May } else { Answer::MayNot(standing) }
    }
}
