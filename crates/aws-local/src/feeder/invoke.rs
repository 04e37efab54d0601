//! Invocation of a function, and the result of a batch.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// Pause before a server that could not be reached is called again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Timeout of an invocation. `cargo lambda watch` compiles a function first, and may never respond if it restarts
/// meanwhile.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Invokes a function with an event. `Err` means that it failed.
pub type Invoke = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Result<Value, String>> + Send>> + Send + Sync>;

/// Invokes a function over HTTP with Lambda's API, as `cargo lambda watch` serves it
/// (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>). Waits while no server listens: a function that
/// cannot be invoked has not failed, and its batch must not be split.
pub fn over_http(url: &str, function: &str) -> Invoke {
    let client = crate::http_client("");
    let url = format!("{}/2015-03-31/functions/{function}/invocations", url.trim_end_matches('/'));
    Arc::new(move |event| {
        let (client, url, event) = (client.clone(), url.clone(), event.to_string());
        Box::pin(async move {
            let request = || {
                let request = client.post(&url).header("content-type", "application/json").body(event.clone());
                request.timeout(TIMEOUT)
            };
            let answer = loop {
                match request().send().await {
                    Err(error) if error.is_connect() => tokio::time::sleep(RETRY_PAUSE).await,
                    answer => break answer.map_err(|error| error.to_string())?,
                }
            };
            let failed = !answer.status().is_success() || answer.headers().contains_key("x-amz-function-error");
            let body = answer.text().await.map_err(|error| error.to_string())?;
            if failed {
                return Err(body);
            }
            let answer: Value = if body.trim().is_empty() { Value::Null } else { json(&body)? };
            let is_error = answer.get("errorType").is_some() && answer.get("errorMessage").is_some();
            if is_error { Err(body) } else { Ok(answer) }
        })
    })
}

fn json(body: &str) -> Result<Value, String> {
    serde_json::from_str(body).map_err(|error| format!("the answer is not JSON: {error}"))
}

/// Returns the index of the first record that failed. `None` if all are done. A failure that names no record of the
/// batch is a failure of the whole batch
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>).
pub(super) fn first_failure<'a>(answer: &Value, sequences: impl Iterator<Item = &'a str>) -> Option<usize> {
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return None,
        Some(Value::Array(failures)) if failures.is_empty() => return None,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Some(0),
    };
    let indices: HashMap<&str, usize> = sequences.enumerate().map(|(index, sequence)| (sequence, index)).collect();
    let index = |failure: &Value| indices.get(failure.get("itemIdentifier")?.as_str()?).copied();
    failures.iter().map(|failure| index(failure).unwrap_or(0)).min()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::StatusCode;
    use serde_json::json;

    use super::super::super::server::{Server, json_response};
    use super::*;

    #[tokio::test]
    async fn a_function_that_is_not_there_yet_is_waited_for() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = Server::start(any, async |_| Ok(json_response(StatusCode::OK, "application/json", "{}")));
        let address = address.await.unwrap().address();
        let answer = tokio::spawn(over_http(&format!("http://{address}"), "protect")(json!({})));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!answer.is_finished(), "nobody listens");
        let answers = async |_| Ok(json_response(StatusCode::OK, "application/json", r#"{"batchItemFailures":[]}"#));
        let _server = Server::start(address, answers).await.unwrap();
        assert_eq!(answer.await.unwrap().unwrap(), json!({ "batchItemFailures": [] }));
    }

    #[test]
    fn the_first_failure_counts_and_an_unknown_name_means_all() {
        let failure = |id: Value| json!({ "itemIdentifier": id });
        for (answer, expected) in [
            (json!(null), None),
            (json!({}), None),
            (json!("done"), None),
            (json!({ "batchItemFailures": null }), None),
            (json!({ "batchItemFailures": [] }), None),
            (json!({ "batchItemFailures": [failure(json!("12"))] }), Some(2)),
            (json!({ "batchItemFailures": [failure(json!("12")), failure(json!("11"))] }), Some(1)),
            (json!({ "batchItemFailures": [failure(json!("99"))] }), Some(0)),
            (json!({ "batchItemFailures": [failure(json!("12")), failure(json!(""))] }), Some(0)),
            (json!({ "batchItemFailures": [failure(json!(null))] }), Some(0)),
            (json!({ "batchItemFailures": [{ "id": "12" }] }), Some(0)),
            (json!({ "batchItemFailures": "12" }), Some(0)),
        ] {
            assert_eq!(first_failure(&answer, ["10", "11", "12"].into_iter()), expected, "{answer}");
        }
    }
}
