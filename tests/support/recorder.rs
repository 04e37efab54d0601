//! Recording proxies: they record a program's AWS calls, by IAM's action names, and forward them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_local::server::{CloseConnection, Reply, Server};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::any_port;

const SERVICES: [&str; 7] = ["DYNAMODB", "SECRETS_MANAGER", "SNS", "SQS", "CLOUDFORMATION", "CLOUDWATCH", "LAMBDA"];

/// A call in IAM's terms: `dynamodb:PutItem`, and the last part of its resource: `rebound-events`.
pub(crate) type Action = (String, String);

#[derive(Default)]
struct RecordedCalls {
    actions: BTreeSet<Action>,
    /// Operation and body of each call.
    calls: Vec<(String, Value)>,
    /// Reads of DynamoDB that are not strongly consistent.
    eventual: Vec<Value>,
}

/// Proxies in front of a whole embedded AWS.
pub(crate) struct Recorder {
    noted: Arc<Mutex<RecordedCalls>>,
    variables: BTreeMap<String, String>,
    _servers: Vec<Server>,
}

impl Recorder {
    /// Starts proxies for these variables. An eventually consistent read finds nothing here: DynamoDB may respond so
    /// for every item that was written shortly before.
    pub(crate) async fn start(variables: &BTreeMap<String, String>) -> Self {
        let noted = Arc::new(Mutex::new(RecordedCalls::default()));
        let mut variables = variables.clone();
        let mut servers = Vec::new();
        for service in SERVICES {
            let variable = format!("AWS_ENDPOINT_URL_{service}");
            let upstream = variables[&variable].clone();
            let (noted, client) = (Arc::clone(&noted), rebound::web::client_for(&upstream));
            let answer = move |request| {
                let (noted, client, upstream) = (Arc::clone(&noted), client.clone(), upstream.clone());
                async move { pass_on(service, &noted, &client, &upstream, request).await }
            };
            let server = Server::start(any_port(), answer).await.unwrap();
            variables.insert(variable, server.url());
            servers.push(server);
        }
        Self { noted, variables, _servers: servers }
    }

    /// The variables of a program whose calls are recorded.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The calls since the last use of this function.
    pub(crate) fn take(&self) -> BTreeSet<Action> {
        std::mem::take(&mut self.noted.lock().unwrap().actions)
    }

    /// Operation (`DYNAMODB.GetItem`) and body of each call since the last use of this function.
    pub(crate) fn take_calls(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.noted.lock().unwrap().calls)
    }

    /// The reads of DynamoDB that were not strongly consistent.
    pub(crate) fn eventual(&self) -> Vec<Value> {
        self.noted.lock().unwrap().eventual.clone()
    }
}

async fn pass_on(
    service: &str,
    noted: &Mutex<RecordedCalls>,
    client: &reqwest::Client,
    upstream: &str,
    request: Request<Bytes>,
) -> Reply {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.path();
    let is_eventual = service == "DYNAMODB"
        && match operation.as_str() {
            "Scan" | "Query" | "GetItem" => json["ConsistentRead"] != true,
            "BatchGetItem" => {
                json["RequestItems"].as_object().unwrap().values().any(|one| one["ConsistentRead"] != true)
            }
            _ => false,
        };
    {
        let mut noted = noted.lock().unwrap();
        noted.actions.extend(actions(service, &operation, &json, path, &body));
        noted.calls.push((format!("{service}.{operation}"), json.clone()));
        noted.eventual.extend(is_eventual.then(|| json.clone()));
    }
    let mut headers = parts.headers.clone();
    for of_one_connection in [HOST, CONTENT_LENGTH, CONNECTION] {
        headers.remove(of_one_connection);
    }
    let url =
        format!("{}{}", upstream.trim_end_matches('/'), parts.uri.path_and_query().map_or("/", |path| path.as_str()));
    let answer =
        client.request(parts.method, url).headers(headers).body(body).send().await.map_err(|_| CloseConnection)?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let mut body = answer.bytes().await.map_err(|_| CloseConnection)?;
    for of_one_connection in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(of_one_connection);
    }
    if is_eventual && matches!(operation.as_str(), "Scan" | "Query") && status.is_success() {
        // The proxy counts the bytes that it sends.
        headers.remove("x-amz-crc32");
        body = json!({ "Items": [], "Count": 0, "ScannedCount": 0 }).to_string().into();
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The IAM actions that a call needs.
fn actions(service: &str, operation: &str, json: &Value, path: &str, body: &[u8]) -> Vec<Action> {
    let text = |name: &str| last_part(json[name].as_str().unwrap_or_default());
    let one = |action: &str, of: String| vec![(action.to_owned(), of)];
    let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let asked = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match service {
        "DYNAMODB" => of_dynamodb(operation, json),
        "SECRETS_MANAGER" => one(&format!("secretsmanager:{operation}"), text("SecretId")),
        // <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html>: batches have no action of their own.
        "SQS" => one(&format!("sqs:{}", operation.trim_end_matches("Batch")), text("QueueUrl")),
        "SNS" => one(&format!("sns:{}", asked("Action").trim_end_matches("Batch")), last_part(asked("TopicArn"))),
        "CLOUDFORMATION" => one(&format!("cloudformation:{}", asked("Action")), asked("StackName").to_owned()),
        "CLOUDWATCH" => one(&format!("cloudwatch:{}", last_part(path)), "*".to_owned()),
        _ if path.ends_with("/configuration") => {
            one("lambda:GetFunctionConfiguration", path.split('/').nth(3).unwrap_or_default().to_owned())
        }
        _ if path.contains("event-source-mappings") => one("lambda:ListEventSourceMappings", "*".to_owned()),
        _ if path.contains("account-settings") => one("lambda:GetAccountSettings", "*".to_owned()),
        _ => one(&format!("{service}:{path}"), "*".to_owned()),
    }
}

fn of_dynamodb(operation: &str, json: &Value) -> Vec<Action> {
    let table = |body: &Value| body["TableName"].as_str().unwrap_or_default().to_owned();
    match operation {
        // <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
        "TransactWriteItems" => {
            let parts = json["TransactItems"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap());
            let action = |part: &str| match part {
                "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                part => format!("dynamodb:{part}Item"),
            };
            parts.map(|(part, body)| (action(part), table(body))).collect()
        }
        // It needs the action of each of its items, and none of its own.
        "TransactGetItems" => {
            let items = json["TransactItems"].as_array().unwrap().iter();
            items.map(|item| ("dynamodb:GetItem".to_owned(), table(&item["Get"]))).collect()
        }
        "BatchGetItem" => {
            let tables = json["RequestItems"].as_object().unwrap().keys();
            tables.map(|table| (format!("dynamodb:{operation}"), table.clone())).collect()
        }
        _ => vec![(format!("dynamodb:{operation}"), table(json))],
    }
}

/// The part after the last `:` or `/`.
fn last_part(name: &str) -> String {
    name.rsplit([':', '/']).next().unwrap_or_default().to_owned()
}
