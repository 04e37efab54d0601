//! Erasing everything about an address, on request: every row about it, in every table. What stays is that it must not be written to,
//! under a keyed hash ([`forgotten`](crate::store::forgotten)).
//!
//! - [`cut`]: finding an address in texts, and cutting it out.
//! - [`mod@fate`]: what becomes of a row.
//!
//! # Why it may be broken off
//!
//! The hash is written first, and the address itself goes last from the list, so at no moment may it be written to. Everything in
//! between is done again by the next run, which finds what is left. A webhook that comes meanwhile, or later, is stored as any
//! other: run it again.

pub mod cut;
pub mod fate;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use self::cut::Cutter;
use self::fate::{Fate, cut_attributes, fate, fate_with_all};
use super::audit::{Note, partition};
use super::scan::{Wanted, scan};
use crate::recipient::Recipient;
use crate::store::calls::{Calls, Change, Trouble, Written};
use crate::store::forgotten::{ForgottenKey, KEY_ITEM};
use crate::store::timeline::Timeline;
use crate::store::{Item, number, recipient_key, string, text};

/// How many days point-in-time recovery keeps what was there
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html>).
pub const RECOVERABLE_DAYS: u32 = 35;

/// Why somebody can't be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A table can't be read or written.
    #[error("{0}; what is done is done: run it again for the rest")]
    Trouble(#[from] Trouble),
    /// The note would keep what is to be forgotten.
    #[error("the reason has the address in it, and is kept: write it without")]
    NoteHasIt,
    /// No random numbers are to be had.
    #[error("this machine gives no random numbers, so no key can be made")]
    NoRandomness,
    /// The address can't be looked for.
    #[error("the address can't be looked for: {0}")]
    Pattern(#[from] regex::Error),
}

/// The tables' names.
#[derive(Clone, Debug)]
pub struct Tables {
    /// `EVENTS_TABLE`.
    pub events: String,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions: String,
    /// `CAMPAIGNS_TABLE`.
    pub campaigns: String,
    /// `RECIPIENTS_TABLE`.
    pub recipients: String,
    /// `AGENDA_TABLE`.
    pub agenda: String,
}

/// What became of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// How many were read.
    pub read: usize,
    /// How many are gone.
    pub deleted: usize,
    /// Of how many only the key is left.
    pub emptied: usize,
    /// Of how many the address was cut out.
    pub cut: usize,
}

/// Whether it is done, or only looked what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is done.
    Forget,
    /// It is only looked.
    DryRun,
}

struct Forgetting<'a> {
    calls: &'a Calls,
    tables: &'a Tables,
    recipient: &'a Recipient,
    cutter: Cutter,
    mode: Mode,
}

/// Forgets an address. Answers what became of the rows of each table. `read` hears of each row that is read.
///
/// # Errors
/// It may be done in part. To do it again is safe, and does the rest.
pub async fn forget(
    calls: &Calls,
    tables: &Tables,
    recipient: &Recipient,
    note: &Note,
    mode: Mode,
    read: impl Fn(usize),
) -> Result<BTreeMap<&'static str, Counts>, ForgetError> {
    let cutter = Cutter::new(recipient)?;
    if cutter.is_in(&note.why) || cutter.is_in(&note.by) {
        return Err(ForgetError::NoteHasIt);
    }
    let forgetting = Forgetting { calls, tables, recipient, cutter, mode };
    if mode == Mode::Forget {
        forgetting.keep_the_hash(note).await?;
    }
    let mut report = BTreeMap::new();
    report.insert("recipients", forgetting.recipients(&read).await?);
    report.insert("agenda", forgetting.keyed(&tables.agenda, ["kind", "due"], &read).await?);
    report.insert("campaigns", forgetting.keyed(&tables.campaigns, ["campaign", "cohort"], &read).await?);
    report.insert("events", forgetting.events(&read).await?);
    report.insert("suppressions", forgetting.suppressions(&read).await?);
    Ok(report)
}

impl Forgetting<'_> {
    /// That it must not be written to, before anything goes.
    async fn keep_the_hash(&self, note: &Note) -> Result<(), ForgetError> {
        let key = self.key().await?;
        let name = key.name_of(self.recipient);
        let mut item = recipient_key(&name);
        item.insert("reasons".to_owned(), AttributeValue::Ss(vec!["opted_out".to_owned()]));
        item.insert("opted_out".to_owned(), AttributeValue::M(Item::from([("at".to_owned(), number(note.at.0))])));
        item.insert("version".to_owned(), number(1));
        if let Written::Done(()) = self.calls.put(&self.tables.suppressions, &item, &absent()).await? {
            self.calls.put(&self.tables.events, &note.row(&name, "forgotten", &[]), &Change::default()).await?;
        }
        Ok(())
    }

    /// The key, made now if nobody was ever forgotten.
    async fn key(&self) -> Result<ForgottenKey, ForgetError> {
        let mut bytes = [0; 32];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| ForgetError::NoRandomness)?;
        let mut item = recipient_key(KEY_ITEM);
        item.insert("key".to_owned(), AttributeValue::B(Blob::new(bytes)));
        let made = self.calls.put(&self.tables.suppressions, &item, &absent()).await?;
        let stored = match made {
            Written::Done(()) => item,
            Written::Refused(stored) => stored.unwrap_or_default(),
        };
        let unusable = || Trouble::Never(format!("the item {KEY_ITEM} holds no key of 32 bytes or more"));
        Ok(ForgottenKey::from_item(&stored).ok_or_else(unusable)?)
    }

    async fn recipients(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let (table, who) = (&self.tables.recipients, self.recipient.as_str());
        let facts = self.calls.range(table, ("recipient", who), ("fact", "!", "~"), usize::MAX).await?;
        let mut counts = Counts { read: facts.len(), ..Counts::default() };
        read(facts.len());
        for fact in &facts {
            self.delete(table, fact, ["recipient", "fact"], &mut counts).await?;
        }
        Ok(counts)
    }

    /// A table whose rows about somebody have the address in their keys, or among few attributes: they go.
    async fn keyed(&self, table: &str, keys: [&str; 2], read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in &found {
            self.delete(table, item, keys, &mut counts).await?;
        }
        Ok(counts)
    }

    /// The items of a table that have the address in them.
    async fn mentioning(&self, table: &str, read: &impl Fn(usize)) -> Result<(Vec<Item>, Counts), ForgetError> {
        let mut counts = Counts::default();
        let mut found = Vec::new();
        scan(self.calls, table, &Wanted::default(), async |items, number| {
            counts.read += number;
            read(number);
            found.extend(items.into_iter().filter(|item| cut_attributes(item, &self.cutter).is_some()));
            Ok::<(), ForgetError>(())
        })
        .await?;
        Ok((found, counts))
    }

    async fn events(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let table = &self.tables.events;
        let mut counts = Counts::default();
        let mut alone = BTreeSet::new();
        let audit = partition(self.recipient.as_str());
        scan(self.calls, table, &Wanted::default(), async |rows, number| {
            counts.read += number;
            read(number);
            for row in rows {
                let fate = match string(&row, "email_id") == audit {
                    true => Fate::Deleted,
                    false => fate(&row, self.recipient, &self.cutter),
                };
                if matches!(fate, Fate::Emptied(_)) {
                    alone.insert(string(&row, "email_id").to_owned());
                }
                self.meets(&row, fate, &mut counts).await?;
            }
            Ok::<(), ForgetError>(())
        })
        .await?;
        // What was made of a mail that went to nobody else has not always the address in it: verdicts, what could not be handled.
        for email in alone {
            for row in Timeline::new(self.calls.clone(), table).all(&email).await? {
                let fate = fate_with_all(&row, self.recipient, &self.cutter);
                self.meets(&row, fate, &mut counts).await?;
            }
        }
        Ok(counts)
    }

    /// Lets a row of the events table meet its fate, unless it has changed since it was read: then the next run sees to it.
    async fn meets(&self, row: &Item, fate: Fate, counts: &mut Counts) -> Result<(), ForgetError> {
        let (left, count) = match fate {
            Fate::Kept => return Ok(()),
            Fate::Deleted => return self.delete(&self.tables.events, row, ["email_id", "event"], counts).await,
            Fate::Emptied(left) => (left, &mut counts.emptied),
            Fate::Cut(left) => (left, &mut counts.cut),
        };
        if self.mode == Mode::DryRun {
            *count += 1;
            return Ok(());
        }
        let unchanged = match row.get("payload") {
            Some(payload) => Change {
                condition: Some("payload = :payload"),
                values: vec![(":payload".to_owned(), payload.clone())],
                ..Change::default()
            },
            None => Change { condition: Some("attribute_exists(email_id)"), ..Change::default() },
        };
        if self.calls.put(&self.tables.events, &left, &unchanged).await? == Written::Done(()) {
            *count += 1;
        }
        Ok(())
    }

    /// The list itself, last: the address, and whatever mentions it.
    async fn suppressions(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let table = &self.tables.suppressions;
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in &found {
            let name = string(item, "recipient");
            if self.cutter.is_in(name) {
                if Recipient::parse(name).as_ref() == Some(self.recipient) {
                    self.delete(table, item, ["recipient", ""], &mut counts).await?;
                }
                continue;
            }
            let Some(mut cut) = cut_attributes(item, &self.cutter) else { continue };
            counts.cut += 1;
            if self.mode == Mode::DryRun {
                continue;
            }
            let seen = item.get("version").cloned();
            let condition = match &seen {
                Some(version) => Change {
                    condition: Some("#version = :seen"),
                    names: vec![("#version".to_owned(), "version".to_owned())],
                    values: vec![(":seen".to_owned(), version.clone())],
                    ..Change::default()
                },
                None => Change { condition: Some("attribute_exists(recipient)"), ..Change::default() },
            };
            let version = seen.as_ref().and_then(crate::store::as_number).unwrap_or(0).saturating_add(1);
            cut.insert("version".to_owned(), number(version));
            self.calls.put(table, &cut, &condition).await?;
        }
        Ok(counts)
    }

    async fn delete(&self, table: &str, item: &Item, keys: [&str; 2], counts: &mut Counts) -> Result<(), ForgetError> {
        counts.deleted += 1;
        if self.mode == Mode::DryRun {
            return Ok(());
        }
        let keys = keys.iter().filter(|name| !name.is_empty());
        let key: Item = keys.map(|name| ((*name).to_owned(), text(string(item, name)))).collect();
        Ok(self.calls.delete(table, key).await?)
    }
}

fn absent() -> Change {
    Change { condition: Some("attribute_not_exists(recipient)"), ..Change::default() }
}
