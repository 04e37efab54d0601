//! The permissions that docs/operations.md names for each command, held against the calls that the command makes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use super::connect::{KEY, World};
use super::followups::put_followup;
use super::tail::Tail;
use super::{CommandOutput, command};
use crate::support::recorder::{Action, Recorder};
use crate::support::{now, secret};

/// The page's section of permissions. Read when it is needed: a change of the page need not build the tests again.
fn section() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md")).unwrap();
    page.split_once("\n## Permissions of each command\n").expect("the section").1.to_owned()
}

const TABLES: [&str; 5] = ["events", "suppressions", "campaigns", "recipients", "agenda"];

/// Name of the events table's stream in the page. Requests to a stream name no table.
const STREAM: &str = "events' stream";

/// Returns the page's name of a resource, given the last part of its name on the embedded AWS.
fn resource(name: &str) -> &str {
    match name {
        "" => STREAM,
        "rebound" => "the stack",
        "webhook" => "WebhookSecret",
        "operator-keys" => "OperatorKeys",
        "api-keys" => "ApiKeys",
        "consent-keys" => "ConsentKeys",
        "act-keys" => "ActKeys",
        "rebound-alerts" => "AlertsTopic",
        "rebound-engage" => "EngageQueue",
        "rebound-engage-dead" => "EngageDeadLetters",
        "rebound-protect-failures" => "ProtectFailures",
        name => name.strip_prefix("rebound-").unwrap_or(name),
    }
}

fn named(actions: BTreeSet<Action>) -> BTreeSet<Action> {
    // Of the names in one service only: engage's queue and engage itself have one name here.
    let name = |action: &str, of: &str| match of.strip_prefix("rebound-") {
        Some(function) if action.starts_with("lambda:") => function.to_owned(),
        _ => resource(of).to_owned(),
    };
    actions.into_iter().map(|(action, of)| (action.clone(), name(&action, &of))).collect()
}

/// The rows of the page's table: a command, what its actions are on, and the actions. A command may have several rows.
fn documented() -> BTreeMap<String, BTreeSet<Action>> {
    let section = section();
    let mut commands: BTreeMap<String, BTreeSet<Action>> = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [command, on, actions] = cells[..] else { panic!("three cells: {line}") };
        let command = commands.entry(command.trim_matches('`').to_owned()).or_default();
        for on in on.split(", ") {
            for action in actions.split(", ").map(|action| action.trim_matches('`')) {
                let action =
                    if TABLES.contains(&on) || on == STREAM { format!("dynamodb:{action}") } else { action.to_owned() };
                assert!(command.insert((action, on.to_owned())), "twice: {line}");
            }
        }
    }
    commands
}

/// The policies of the page: each one's actions, and what they are on.
fn policies() -> Vec<BTreeSet<Action>> {
    let texts = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        other => other.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
    };
    let parse = |text: &str| {
        let policy: Value = serde_json::from_str(text).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        let mut actions = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow");
            for resource in texts(&statement["Resource"]) {
                let of = resource.trim_end_matches("-*").rsplit([':', '/']).next().unwrap().to_owned();
                let of = of.strip_prefix("rebound-").unwrap_or(&of).to_owned();
                let of = match resource.as_str() {
                    stack if stack.contains(":stack/") => "the stack".to_owned(),
                    stream if stream.ends_with(":table/rebound-events/stream/*") => STREAM.to_owned(),
                    _ => of,
                };
                actions.extend(texts(&statement["Action"]).into_iter().map(|action| (action, of.clone())));
            }
        }
        actions
    };
    section().split("```json\n").skip(1).map(|text| parse(text.split("```").next().unwrap())).collect()
}

/// The environment of a command whose calls are recorded: as on AWS, it names no table and no queue.
fn as_on_aws(recorder: &Recorder, world: &World) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> =
        recorder.variables().clone().into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect();
    // The command must not take it for `rebound dev`: that one needs no settings of a deployed function.
    for value in variables.values_mut().filter(|value| value.starts_with("http://127.0.0.1:")) {
        *value = value.replacen("127.0.0.1", "0.0.0.0", 1);
    }
    variables.insert("RESEND_BASE_URL".to_owned(), world.resend.url());
    variables
}

/// A Rebound in which much has happened, and the command's environment: as on AWS, nothing but credentials is set.
struct Scene {
    world: World,
    recorder: Recorder,
    variables: BTreeMap<String, String>,
}

impl Scene {
    async fn start() -> Self {
        let world = World::start().await;
        let aws = &world.aws;
        aws.secrets_manager
            .as_ref()
            .unwrap()
            .put("rebound/operator-keys", &json!({ "RESEND_API_KEY": KEY }).to_string());
        let key = json!({ "CONSENT_KEY": "0123456789abcdef0123456789abcdef" }).to_string();
        aws.secrets_manager.as_ref().unwrap().put("rebound/consent-keys", &key);
        let key = json!({ "RESEND_API_KEY": KEY }).to_string();
        aws.secrets_manager.as_ref().unwrap().put("rebound/act-keys", &key);
        let variable = |name: &str| aws.variable(name).unwrap();
        let outputs = [
            ("WebhookUrl", world.url.clone()),
            ("WebhookSecretArn", variable("WEBHOOK_SECRET_ARN")),
            ("ApiKeysArn", variable("API_KEYS_ARN")),
            ("OperatorKeysArn", variable("OPERATOR_KEYS_ARN")),
            // Nothing answers there.
            ("ConsentUrl", "http://127.0.0.1:1/".to_owned()),
            ("ConsentKeysArn", "rebound/consent-keys".to_owned()),
            ("AlertsTopicArn", variable("ALERTS_TOPIC_ARN")),
            ("ReceiveFunctionName", "rebound-receive".to_owned()),
            ("ProtectFunctionName", "rebound-protect".to_owned()),
            ("EngageFunctionName", "rebound-engage".to_owned()),
            ("ActFunctionName", "rebound-act".to_owned()),
            ("ActKeysArn", "rebound/act-keys".to_owned()),
        ];
        let recorder = Recorder::start(aws.variables()).await;
        let variables = as_on_aws(&recorder, &world);
        let queue = |name: &str| {
            let sqs = &recorder.variables()["AWS_ENDPOINT_URL_SQS"];
            format!("{sqs}/000000000000/{}", variable(name).rsplit('/').next().unwrap())
        };
        let queues = [
            ("EngageQueueUrl", queue("ENGAGE_QUEUE_URL")),
            ("ProtectFailuresUrl", queue("PROTECT_FAILURES_URL")),
            ("EngageDeadLettersUrl", queue("ENGAGE_DEAD_LETTERS_URL")),
        ];
        let outputs = outputs.into_iter().chain(queues).map(|(name, value)| (name.to_owned(), value)).collect();
        aws.control.as_ref().unwrap().set(|controls| {
            controls.outputs = outputs;
            controls.environment.insert("RESEND_BASE_URL".to_owned(), world.resend.url());
        });
        Self { world, recorder, variables }
    }

    /// Starts `tail` twice behind a recorder of its own: for everything, and for one address.
    async fn tails(&self) -> (Recorder, [Tail; 2]) {
        let recorder = Recorder::start(self.world.aws.variables()).await;
        let variables = as_on_aws(&recorder, &self.world);
        let all = Tail::start(&variables, &["--json"]).await;
        let of_ann = Tail::start(&variables, &["--json", "--address", "ann@example.com"]).await;
        (recorder, [all, of_ann])
    }

    async fn post(&self, id: &str, event_type: &str, data: Value) {
        // Each later than the one before.
        let ago = Duration::from_millis(100 - id[1..].parse::<u64>().unwrap());
        let at = UnixMillis::now().minus(ago).to_text();
        let body = json!({ "type": event_type, "created_at": at, "data": data }).to_string();
        let message = SignedMessage::new(id, now(), body, &secret());
        let request = message.request(&rebound::web::client(), reqwest::Method::POST, &self.world.url);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    async fn says(&self, arguments: &[&str]) -> CommandOutput {
        let said = command(&self.variables, arguments, "").await;
        assert!(said.code != 2, "{arguments:?}: {said:#?}");
        said
    }

    /// Returns the AWS calls of the command's runs with each of these arguments.
    async fn asks(&self, runs: &[&[&str]]) -> BTreeSet<Action> {
        self.recorder.take();
        for run in runs {
            self.says(run).await;
        }
        named(self.recorder.take())
    }
}

#[tokio::test]
async fn each_command_needs_the_permissions_that_its_page_names() {
    let scene = Scene::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "recipient\nnew@example.com\n").unwrap();
    let list = file.path().to_str().unwrap();
    let documented = documented();
    let mut left: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    let mut says = |name: &'static str, asked: BTreeSet<Action>| {
        left.remove(name);
        let row = documented.get(name).cloned().unwrap_or_default();
        let missing: Vec<_> = asked.difference(&row).collect();
        let unused: Vec<_> = if name == "replay" { Vec::new() } else { row.difference(&asked).collect() };
        (missing.is_empty() && unused.is_empty())
            .then_some(())
            .ok_or_else(|| format!("{name}: the page lacks {missing:?}, and has {unused:?}, which was not asked\n"))
    };
    let why = ["--reason", "a test"];
    let with = |arguments: &[&'static str]| -> Vec<&'static str> { [arguments, &why].concat() };
    let mut wrong = Vec::new();

    wrong.push(says("connect", scene.asks(&[&["connect"]]).await));
    // Connected, it accepts what is signed with this secret too.
    scene
        .world
        .aws
        .secrets_manager
        .as_ref()
        .unwrap()
        .put("rebound/webhook", &json!({ "RESEND_WEBHOOK_SECRET": rebound_dev::LOCAL_SECRET }).to_string());
    let (asked_by_tail, [mut tail, mut tail_of_ann]) = scene.tails().await;
    let ann =
        |n: u8| json!({ "email_id": format!("e{n}"), "to": ["ann@example.com"], "tags": { "campaign": "spring" } });
    for (id, kind, data) in [
        ("m1", "email.delivered", ann(1)),
        ("m2", "email.opened", ann(1)),
        ("m3", "email.complained", ann(1)),
        ("m4", "email.delivery_delayed", ann(2)),
        (
            "m5",
            "email.delivered",
            json!({ "email_id": "e3", "to": ["bob@example.com"], "subject": "for ann@example.com" }),
        ),
        (
            "m6",
            "email.bounced",
            json!({ "email_id": "e4", "to": ["bob@example.com"], "bounce": { "type": "Permanent", "message": "as ann@example.com" } }),
        ),
        ("m7", "contact.updated", json!({ "id": "c1", "email": "carl@example.com", "unsubscribed": true })),
        ("m8", "contact.updated", json!({ "id": "c1", "email": "carl@example.com", "unsubscribed": false })),
    ] {
        scene.post(id, kind, data).await;
    }
    wrong.push(says("doctor", scene.asks(&[&["doctor"]]).await));
    let replays: [&[&str]; 3] =
        [&["replay", "--all", "--dry-run"], &["replay", "--all"], &["replay", "e1", "--function", "engage"]];
    wrong.push(says("replay", scene.asks(&replays).await));
    // `replay` counted, set the brake and sent alerts: `tail` has read everything that it ever reads.
    tail.until(|lines| lines.iter().any(|line| line["what"] == "brake")).await;
    tail_of_ann.until(|lines| lines.iter().any(|line| line["what"] == "alert")).await;
    drop((tail, tail_of_ann));
    wrong.push(says("tail", named(asked_by_tail.take())));
    wrong.push(says("campaigns", scene.asks(&[&["campaigns"], &["campaigns", "spring"]]).await));
    wrong.push(says("check", scene.asks(&[&["check", "ann@example.com", "--campaign", "spring"]]).await));
    wrong.push(says(
        "timeline",
        scene.asks(&[&["timeline", "e1"], &["timeline", "--address", "ann@example.com"]]).await,
    ));
    wrong.push(says("unsubscribe-link", scene.asks(&[&["unsubscribe-link", "ann@example.com"]]).await));
    wrong.push(says("suppressions list", scene.asks(&[&["suppressions", "list"]]).await));
    wrong.push(says("suppressions export", scene.asks(&[&["suppressions", "export"]]).await));
    let aws = &scene.world.aws;
    let first = put_followup(aws, "bob@example.com", "due", &[]).await;
    let second = put_followup(aws, "cem@example.com", "due", &[]).await;
    put_followup(aws, "ann@example.com", "due", &[]).await;
    wrong.push(says("followups list", scene.asks(&[&["followups", "list"]]).await));
    wrong.push(says("followups show", scene.asks(&[&["followups", "show", &first]]).await));
    wrong.push(says("followups reject", scene.asks(&[&["followups", "reject", &second]]).await));
    wrong.push(says("followups stop", scene.asks(&[&["followups", "stop", "bob@example.com"]]).await));
    let pause = ["followups", "pause", "--by", "ann@example.com"];
    wrong.push(says("followups pause", scene.asks(&[&pause]).await));
    wrong.push(says("followups resume", scene.asks(&[&["followups", "resume", "--campaign", "spring"]]).await));
    let forget = with(&["forget", "ann@example.com", "--yes"]);
    wrong.push(says("forget", scene.asks(&[&forget]).await));
    wrong.push(says("suppressions show", scene.asks(&[&["suppressions", "show", "ann@example.com"]]).await));
    wrong.push(says("suppressions add", scene.asks(&[&with(&["suppressions", "add", "zoe@example.com"])]).await));
    let remove: [&[&str]; 2] =
        [&with(&["suppressions", "remove", "zoe@example.com"]), &with(&["suppressions", "remove", "ann@example.com"])];
    wrong.push(says("suppressions remove", scene.asks(&remove).await));
    let restore = ["suppressions", "restore", "--since", "2026-01-01T00:00:00Z"];
    wrong.push(says("suppressions restore", scene.asks(&[&restore]).await));
    let import: [&[&str]; 2] = [&["suppressions", "import", list], &["suppressions", "import", "--from-resend"]];
    wrong.push(says("suppressions import", scene.asks(&import).await));

    let wrong: String = wrong.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(left.is_empty(), "{left:?} were not tried");
}

#[test]
fn replay_needs_what_protects_role_has_and_to_scan() {
    let roles = rebound_dev::template::template().unwrap().resources("AWS::IAM::Role");
    let role = &roles.iter().find(|(id, _)| id == "ProtectRole").unwrap().1["Properties"];
    let mut needed = BTreeSet::new();
    for statement in role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap() {
        if ["ReadTheStream", "Log"].contains(&statement["Sid"].as_str().unwrap()) {
            continue;
        }
        let all = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for resource in all(&statement["Resource"]) {
            let resource = resource.as_str().unwrap().trim_end_matches(".Arn");
            // Only Lambda itself writes there, as this role.
            if resource == "ProtectFailures" {
                continue;
            }
            let table = resource.strip_suffix("Table").map(str::to_lowercase);
            let of = table.unwrap_or_else(|| resource.to_owned());
            needed.extend(
                all(&statement["Action"]).iter().map(|action| (action.as_str().unwrap().to_owned(), of.clone())),
            );
        }
    }
    for (action, of) in [
        ("dynamodb:Scan", "events"),
        ("lambda:GetFunctionConfiguration", "protect"),
        ("cloudformation:DescribeStacks", "the stack"),
    ] {
        needed.insert((action.to_owned(), of.to_owned()));
    }
    assert_eq!(documented()["replay"], needed);
}

#[test]
fn the_policies_to_paste_allow_what_commands_need_and_no_more() {
    let documented = documented();
    let union = |names: &[&str]| -> BTreeSet<Action> {
        documented
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
            .flat_map(|(_, row)| row.clone())
            .collect()
    };
    let look = [
        "check",
        "timeline",
        "tail",
        "campaigns",
        "suppressions list",
        "suppressions show",
        "suppressions export",
        "unsubscribe-link",
        "followups list",
        "followups show",
        "doctor",
    ];
    let [looking, everything] = policies().try_into().unwrap_or_else(|all: Vec<_>| panic!("{} policies", all.len()));
    assert_eq!(looking, union(&look));
    assert_eq!(everything, union(&[]));
}
