//! `forget`.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::local::stack::EmbeddedAws;
use rebound::recipient::Recipient;
use rebound::store::forgotten::{ForgottenKey, KEY_ITEM};

/// Puts what `forget` leaves of somebody.
pub(super) async fn put_forgotten(aws: &EmbeddedAws, key: &ForgottenKey, recipient: &Recipient) {
    let (dynamodb, table) = (aws.clients().unwrap().dynamodb(), aws.variable("SUPPRESSIONS_TABLE").unwrap());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = dynamodb.put_item().table_name(&table).item("recipient", text(KEY_ITEM));
    put.item("key", AttributeValue::B(Blob::new(key.bytes()))).send().await.unwrap();
    let put = dynamodb.put_item().table_name(&table).item("recipient", text(&key.name_of(recipient)));
    put.item("reasons", AttributeValue::Ss(vec!["opted_out".to_owned()])).send().await.unwrap();
}
