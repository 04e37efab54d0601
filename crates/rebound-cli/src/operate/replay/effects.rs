//! What was new when events were handled again: told by the calls that wrote something, as the SDK saw them succeed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use aws_sdk_sns::operation::publish::PublishInput;
use aws_sdk_sqs::operation::send_message_batch::SendMessageBatchInput;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde::Serialize;

use crate::operate::place::Place;
use rebound::resend::campaign::Cohort;
use rebound::store::{Item, as_number, string};

/// What was new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// The alerts that were published: their titles.
    pub published: Vec<String>,
    /// The ids of alerts that were folded into a digest.
    pub folded: BTreeSet<String>,
    /// Whose suppressions changed.
    pub suppressions: BTreeSet<String>,
    /// What was counted: `campaign cohort counter`, and how many.
    pub counted: BTreeMap<String, i64>,
    /// The campaigns whose brakes changed: to what.
    pub brakes: BTreeMap<String, String>,
    /// The events that can't be handled, recorded now.
    pub poison: BTreeSet<String>,
    /// How many opens and clicks were handed on to engage, which decides about each happening once.
    pub handed_on: usize,
}

impl Effects {
    /// Whether nothing was new. That opens and clicks are handed on again is nothing new.
    pub fn is_nothing_new(&self) -> bool {
        Self { handed_on: 0, ..self.clone() } == Self::default()
    }
}

/// A write that succeeded.
#[derive(Clone, Debug)]
enum Write {
    Put(String, Item),
    Update(Box<Update>),
    Published(String),
    Sent(usize),
}

/// Watches a client's calls.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Vec<Write>>>);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    /// Keeps what is to be written: afterwards the SDK has it no more.
    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let writes = if let Some(put) = input.downcast_ref::<PutItemInput>() {
            let (table, item) = (put.table_name.clone(), put.item.clone());
            table.zip(item).map(|(table, item)| Write::Put(table, item)).into_iter().collect()
        } else if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
            transaction.transact_items.iter().flatten().filter_map(written).collect()
        } else if let Some(publish) = input.downcast_ref::<PublishInput>() {
            vec![Write::Published(publish.subject.clone().unwrap_or_default())]
        } else if let Some(sent) = input.downcast_ref::<SendMessageBatchInput>() {
            vec![Write::Sent(sent.entries.as_ref().map_or(0, Vec::len))]
        } else {
            Vec::new()
        };
        bag.interceptor_state().store_put(Begun(writes));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(Ok(_)), Some(Begun(begun))) = (context.output_or_error(), bag.load::<Begun>()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(begun.iter().cloned());
        }
        Ok(())
    }
}

/// What a call is about to write.
#[derive(Debug)]
struct Begun(Vec<Write>);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

fn written(item: &TransactWriteItem) -> Option<Write> {
    match (&item.put, &item.update) {
        (Some(put), _) => Some(Write::Put(put.table_name.clone(), put.item.clone())),
        (_, Some(update)) => Some(Write::Update(Box::new(update.clone()))),
        _ => None,
    }
}

impl Watch {
    /// What all that comes to, in the tables of a place.
    pub fn effects(&self, place: &Place) -> Effects {
        let mut effects = Effects::default();
        let tables = ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE"].map(|name| place.table(name));
        for write in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            effects.add(write, tables);
        }
        effects.published.sort();
        effects
    }
}

impl Effects {
    fn add(&mut self, write: &Write, [events, suppressions, campaigns]: [&str; 3]) {
        match write {
            Write::Published(title) => self.published.push(title.clone()),
            Write::Sent(number) => self.handed_on += number,
            Write::Put(table, item) if table == events => {
                if string(item, "kind") == "poison" {
                    self.poison.insert(string(item, "event").trim_start_matches("poison#").to_owned());
                }
            }
            Write::Put(table, item) if table == suppressions => {
                self.suppressions.insert(string(item, "recipient").to_owned());
            }
            Write::Put(table, item) if table == campaigns => {
                if string(item, "cohort") == "state" {
                    self.brakes.insert(string(item, "campaign").to_owned(), string(item, "status").to_owned());
                }
            }
            Write::Update(update) if update.table_name == campaigns => self.add_counts(update),
            Write::Update(update) if update.table_name == events => {
                if update.update_expression.contains("folded_into") {
                    let alert = string(&update.key, "event").trim_start_matches("alert#");
                    self.folded.insert(alert.to_owned());
                }
            }
            Write::Put(..) | Write::Update(_) => {}
        }
    }

    /// Reads `ADD sent :n0, delivered :n1 SET …`, which is how a cohort is added to.
    fn add_counts(&mut self, update: &Update) {
        let (campaign, cohort) = (string(&update.key, "campaign"), string(&update.key, "cohort"));
        let added = update.update_expression.strip_prefix("ADD ").and_then(|rest| rest.split(" SET ").next());
        let (Some(added), Some(_), Some(values)) =
            (added, Cohort::parse(cohort), update.expression_attribute_values.as_ref())
        else {
            return;
        };
        for part in added.split(", ") {
            let Some((counter, value)) = part.split_once(' ') else { continue };
            let number = values.get(value).and_then(as_number).unwrap_or(0);
            *self.counted.entry(format!("{campaign} {cohort} {counter}")).or_default() += number;
        }
        self.counted.retain(|_, number| *number != 0);
    }
}
