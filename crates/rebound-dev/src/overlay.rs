//! A DynamoDB for a dry run: it copies each item that is touched, so that the same code runs without a change to the real tables.
//!
//! ```text
//!   protect ─▶ this proxy ─▶ an embedded DynamoDB, empty at first
//!                 │ before the first access to a key or a range:
//!                 └─▶ the real table, which is only read; its items are copied
//! ```
//!
//! An item that was copied or written is never copied again, so the code sees its own writes. SNS and SQS are stubs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use aws_local::server::{Reply, Server, json_response};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use rebound::aws::describe;
use rebound::store::tables::{TABLES, TableDefinition};
use rebound::store::{Item, string};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::stack::{EmbeddedAws, LocalAwsOptions, StartError};

/// The content type of DynamoDB's protocol.
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The overlay could not be started.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The embedded AWS can't be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No port is free, or no file can be created.
    #[error("the copy for the dry run can't be started: {0}")]
    Io(#[from] std::io::Error),
}

/// The proxy, and the embedded AWS behind it.
#[derive(Debug)]
pub struct Overlay {
    proxy: Server,
    aws: Arc<EmbeddedAws>,
    _folder: tempfile::TempDir,
}

struct Copier {
    real: Client,
    copy: Client,
    /// The URL of the copy.
    url: String,
    http: reqwest::Client,
    /// The tables by their names.
    tables: BTreeMap<String, TableDefinition>,
    copied: Mutex<Copied>,
}

#[derive(Default)]
struct Copied {
    keys: BTreeSet<(String, Vec<String>)>,
    ranges: BTreeSet<String>,
}

impl Overlay {
    /// Starts an overlay over the DynamoDB `real`. `names` returns a table's name there by its variable.
    pub async fn start(real: Client, names: impl Fn(&str) -> String) -> Result<Self, OverlayError> {
        // In a file: the copy of a long dry run may be larger than the memory.
        let folder = tempfile::tempdir()?;
        let by_variable: BTreeMap<&str, String> =
            TABLES.iter().map(|table| (table.variable, names(table.variable))).collect();
        let options = LocalAwsOptions { data: Some(folder.path().join("copy.db")), ..LocalAwsOptions::in_memory() };
        let aws = Arc::new(EmbeddedAws::start(&options, |name| by_variable.get(name).cloned()).await?);
        let copier = Arc::new(Copier {
            real,
            copy: aws.clients().dynamodb(),
            url: aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default(),
            http: rebound::web::client(),
            tables: TABLES.into_iter().map(|table| (names(table.variable), table)).collect(),
            copied: Mutex::default(),
        });
        let proxy = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let copier = Arc::clone(&copier);
            async move { copier.answer(request).await }
        })
        .await?;
        Ok(Self { proxy, aws, _folder: folder })
    }

    /// The environment for the code of the dry run.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.aws.variables().clone();
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.proxy.url());
        variables.remove("AWS_SESSION_TOKEN");
        variables
    }
}

impl Copier {
    async fn answer(&self, request: Request<Bytes>) -> Reply {
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if let Err(why) = self.copy_what_is_touched(&operation, &body).await {
            // As an error of DynamoDB, which the code of the dry run can handle.
            let error = serde_json::json!({ "__type": "com.amazonaws.dynamodb#AccessDeniedException", "message": why });
            return Ok(json_response(StatusCode::BAD_REQUEST, CONTENT_TYPE, error.to_string()));
        }
        let forwarded = self.http.post(&self.url).header("x-amz-target", target).header("content-type", CONTENT_TYPE);
        let signed =
            ["authorization", "x-amz-date"].iter().filter_map(|name| Some((*name, request.headers().get(*name)?)));
        let forwarded = signed.fold(forwarded, |forwarded, (name, value)| forwarded.header(name, value.as_bytes()));
        let answer =
            forwarded.body(request.body().clone()).send().await.map_err(|_| aws_local::server::CloseConnection)?;
        let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        let body = answer.bytes().await.map_err(|_| aws_local::server::CloseConnection)?;
        Ok(json_response(status, CONTENT_TYPE, body))
    }

    async fn copy_what_is_touched(&self, operation: &str, body: &Value) -> Result<(), String> {
        // One request after another: each must see the copies of those before it.
        let mut copied = self.copied.lock().await;
        if operation == "Query" {
            return self.copy_range(&mut copied, body).await;
        }
        for (table, key) in self.touched(operation, body) {
            let values: Vec<String> = key.values().map(|value| format!("{value:?}")).collect();
            let mut sorted = values;
            sorted.sort_unstable();
            if !copied.keys.insert((table.clone(), sorted)) {
                continue;
            }
            let get = self.real.get_item().table_name(&table).set_key(Some(key)).consistent_read(true).send().await;
            let item = get.map_err(|error| describe(&error))?.item;
            if let Some(item) = item {
                self.put(&table, item).await?;
            }
        }
        Ok(())
    }

    /// The keys that an operation accesses.
    fn touched(&self, operation: &str, body: &Value) -> Vec<(String, Item)> {
        let table = |body: &Value| body.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let of_item =
            |body: &Value| Some((table(body), self.key_of(&table(body), body.get("Item").or(body.get("Key"))?)?));
        match operation {
            "BatchGetItem" => {
                let tables = body.get("RequestItems").and_then(Value::as_object);
                let keys = |(table, wanted): (&String, &Value)| {
                    let keys = wanted.get("Keys").and_then(Value::as_array).cloned().unwrap_or_default();
                    keys.iter().filter_map(|key| Some((table.clone(), self.key_of(table, key)?))).collect::<Vec<_>>()
                };
                tables.into_iter().flatten().flat_map(keys).collect()
            }
            "TransactWriteItems" => {
                let items = body.get("TransactItems").and_then(Value::as_array);
                let parts = items.into_iter().flatten().filter_map(Value::as_object).flat_map(|item| item.values());
                parts.filter_map(of_item).collect()
            }
            _ => of_item(body).into_iter().collect(),
        }
    }

    /// The key attributes of an item, or of a key, in the SDK's type. All keys are strings.
    fn key_of(&self, table: &str, item: &Value) -> Option<Item> {
        let text = |name: &str| {
            let text = item.get(name)?.get("S")?.as_str()?;
            Some((name.to_owned(), AttributeValue::S(text.to_owned())))
        };
        self.tables.get(table)?.keys().map(text).collect()
    }

    /// Copies the items that a query reads, without those that were copied before.
    async fn copy_range(&self, copied: &mut Copied, body: &Value) -> Result<(), String> {
        let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let table = field("TableName");
        let names: HashMap<String, String> =
            serde_json::from_value(body.get("ExpressionAttributeNames").cloned().unwrap_or_default())
                .unwrap_or_default();
        let values = body.get("ExpressionAttributeValues").and_then(Value::as_object).cloned().unwrap_or_default();
        let text = |(name, value): (&String, &Value)| {
            Some((name.clone(), AttributeValue::S(value.get("S")?.as_str()?.to_owned())))
        };
        let texts: HashMap<String, AttributeValue> = values.iter().filter_map(text).collect();
        let range = format!("{table} {} {values:?}", field("KeyConditionExpression"));
        if !copied.ranges.insert(range) {
            return Ok(());
        }
        let query = self.real.query().table_name(&table).consistent_read(true);
        let query = query.key_condition_expression(field("KeyConditionExpression"));
        let query = query.set_expression_attribute_names((!names.is_empty()).then_some(names));
        let query = query.set_expression_attribute_values((!texts.is_empty()).then_some(texts));
        let mut items = query.into_paginator().items().send();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| describe(&error))?;
            let Some(table_keys) = self.tables.get(&table) else { continue };
            let mut key: Vec<String> = table_keys
                .keys()
                .map(|name| format!("{:?}", AttributeValue::S(string(&item, name).to_owned())))
                .collect();
            key.sort_unstable();
            if copied.keys.insert((table.clone(), key)) {
                self.put(&table, item).await?;
            }
        }
        Ok(())
    }

    async fn put(&self, table: &str, item: Item) -> Result<(), String> {
        let put = self.copy.put_item().table_name(table).set_item(Some(item)).send().await;
        put.map(|_| ()).map_err(|error| describe(&error))
    }
}
