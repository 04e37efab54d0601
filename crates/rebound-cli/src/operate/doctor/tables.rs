//! The tables, compared with the template.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{KeyType, StreamViewType, TableStatus, TimeToLiveStatus};
use futures_util::future::join_all;
use rebound::aws::describe;
use rebound::policy::count::count;
use rebound::store::tables::{TABLES, TTL_ATTRIBUTE, TableDefinition};

use super::Check;
use crate::operate::target::Target;

const DEPLOY: &str = "deploy the stack again; if the table was created by hand, create it as template.yaml defines it";

pub(super) async fn check(target: &Target) -> Vec<Check> {
    join_all(TABLES.iter().map(|table| one(target, table))).await
}

/// Returns the error if DynamoDB can't be reached: no connection, or an unknown host. `None` after any response.
pub(super) async fn out_of_reach(target: &Target) -> Option<String> {
    let table = target.table(TABLES[0].variable);
    let error = target.aws().dynamodb().describe_table().table_name(table).send().await.err()?;
    let is_out_of_reach = matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io());
    is_out_of_reach.then(|| describe(&error))
}

async fn one(target: &Target, table: &TableDefinition) -> Check {
    let name = target.table(table.variable);
    let title = format!("table {name}");
    let dynamodb = target.aws().dynamodb();
    let described = match dynamodb.describe_table().table_name(name).send().await {
        Ok(described) => described.table,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
            let to_do = format!("deploy the stack, or name it with --stack, or set {}", table.variable);
            return Check::fault(&title, "it does not exist", to_do);
        }
        Err(error) => return Check::not_checked(&title, describe(&error)),
    };
    let Some(described) = described else { return Check::not_checked(&title, "DynamoDB returned no description") };
    if !matches!(described.table_status(), Some(TableStatus::Active)) {
        let status = described.table_status().map_or("unknown", TableStatus::as_str);
        return Check::warning(&title, format!("its status is {status}"), "wait until it is active");
    }
    let key = |kind: &KeyType| {
        let found = described.key_schema().iter().find(|key| key.key_type() == kind);
        found.map(|key| key.attribute_name().to_owned())
    };
    if key(&KeyType::Hash).as_deref() != Some(table.partition_key) || key(&KeyType::Range).as_deref() != table.sort_key
    {
        return Check::fault(&title, "its keys are not those that template.yaml defines", DEPLOY);
    }
    let mut found = vec![count(described.item_count().unwrap_or(0), "item")];
    if table.has_stream {
        let stream = described.stream_specification().filter(|stream| stream.stream_enabled());
        match stream.and_then(|stream| stream.stream_view_type()) {
            Some(StreamViewType::NewImage) => found.push("its stream is on".to_owned()),
            Some(_) => return Check::fault(&title, "its stream does not contain the new image of a row", DEPLOY),
            None => {
                return Check::fault(&title, "its stream is off, so nothing is counted and no alerts are sent", DEPLOY);
            }
        }
    }
    let asked = dynamodb.describe_time_to_live().table_name(name).send().await;
    let ttl = match asked {
        Ok(ttl) => ttl.time_to_live_description,
        Err(error) => return Check::not_checked(&title, format!("its time to live: {}", describe(&error))),
    };
    let on = [TimeToLiveStatus::Enabled, TimeToLiveStatus::Enabling];
    let is_on = ttl.as_ref().and_then(|ttl| ttl.time_to_live_status()).is_some_and(|status| on.contains(status));
    if !is_on || ttl.and_then(|ttl| ttl.attribute_name).as_deref() != Some(TTL_ATTRIBUTE) {
        let said = format!("nothing in it expires: time to live is not enabled for {TTL_ATTRIBUTE}");
        return Check::fault(&title, said, DEPLOY);
    }
    found.push("rows expire".to_owned());
    if target.is_local() {
        return Check::ok(&title, found.join(", "));
    }
    let asked = dynamodb.describe_continuous_backups().table_name(name).send().await;
    let recovers = asked.ok().and_then(|backups| backups.continuous_backups_description).and_then(|backups| {
        let recovery = backups.point_in_time_recovery_description?;
        Some(recovery.point_in_time_recovery_status?.as_str() == "ENABLED")
    });
    match recovery(recovers, table.is_always_recoverable) {
        Ok(said) => found.push(said.to_owned()),
        Err(said) => return Check::warning(&title, said, DEPLOY),
    }
    Check::ok(&title, found.join(", "))
}

/// The finding about a table's point-in-time recovery; an error if it is off and must be on.
fn recovery(is_on: Option<bool>, must_be_on: bool) -> Result<&'static str, &'static str> {
    match (is_on, must_be_on) {
        (Some(true), _) => Ok("point-in-time recovery is on"),
        (Some(false), true) => Err("point-in-time recovery is off"),
        (Some(false), false) => Ok("point-in-time recovery is off, as the parameter PointInTimeRecovery says"),
        (None, _) => Ok("point-in-time recovery is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_not_be_had_again_must_be_recoverable() {
        for table in TABLES {
            let must_be_on = ["SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE"].contains(&table.variable);
            assert_eq!(recovery(Some(false), table.is_always_recoverable).is_err(), must_be_on, "{}", table.variable);
            assert!(recovery(Some(true), table.is_always_recoverable).is_ok());
            assert!(recovery(None, table.is_always_recoverable).is_ok());
        }
    }
}
