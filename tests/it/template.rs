//! Properties of the template: money, recovery, secrets and false alarms.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::protect::wants;
use rebound::resend::event::EventType;
use rebound::store::tables::{TABLES, TTL_ATTRIBUTE};
use serde_json::{Value, json};

const TEXT: &str = include_str!("../../template.yaml");

/// The template, with only the text of `!Ref`, `!GetAtt` and `!Sub`.
pub(crate) fn template() -> Value {
    serde_saphyr::from_str(TEXT).unwrap()
}

/// The resources of a type: their logical ids and properties.
pub(crate) fn resources(kind: &str) -> Vec<(String, Value)> {
    let template = template();
    let all = template["Resources"].as_object().unwrap();
    let of_kind = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    of_kind.map(|(id, resource)| (id.clone(), resource["Properties"].clone())).collect()
}

#[test]
fn what_can_not_be_had_again_can_always_be_recovered() {
    let template = template();
    assert_eq!(template["Parameters"]["PointInTimeRecovery"]["Default"], "no");
    for (id, table) in resources("AWS::DynamoDB::Table") {
        let recovery = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        match id.as_str() {
            "SuppressionsTable" | "CampaignsTable" => assert_eq!(*recovery, Value::Bool(true), "{id}"),
            _ => assert_eq!(recovery[0], "RecoversAll", "{id}: a parameter says so"),
        }
    }
}

#[test]
fn nothing_is_encrypted_with_a_key_that_charges() {
    // <https://aws.amazon.com/kms/pricing/>: each use of a KMS key costs. Keys owned by a service, and SQS's own keys,
    // are free.
    let fields =
        ["SSEEnabled:", "SSEType:", "KmsKeyId:", "KMSKeyId:", "KMSMasterKeyId:", "KmsMasterKeyId:", "KmsKeyArn:"];
    for line in TEXT.lines().filter(|line| !line.trim_start().starts_with('#')) {
        assert!(!fields.iter().any(|field| line.contains(field)), "{line}");
    }
    let queues = resources("AWS::SQS::Queue");
    assert!(queues.iter().all(|(_, queue)| queue["SqsManagedSseEnabled"] == true), "{queues:?}");
}

#[test]
fn no_function_may_read_the_operators_key() {
    let secrets: BTreeSet<String> = resources("AWS::SecretsManager::Secret").into_iter().map(|(id, _)| id).collect();
    assert!(secrets.contains("OperatorKeys"), "{secrets:?}");
    let mut readable = BTreeSet::new();
    for (id, role) in resources("AWS::IAM::Role") {
        for statement in role["Policies"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap().clone())
        {
            let said = statement.to_string();
            assert!(!said.contains("OperatorKeys"), "{id}: {said}");
            if said.contains("secretsmanager") {
                // One secret by its name: a star would match others.
                assert_eq!(statement["Action"], "secretsmanager:GetSecretValue", "{id}");
                readable.insert(statement["Resource"].as_str().unwrap().to_owned());
            }
        }
        assert!(role.get("ManagedPolicyArns").is_none(), "{id}");
    }
    assert_eq!(readable, secrets.iter().filter(|id| *id != "OperatorKeys").cloned().collect());
    for (id, function) in resources("AWS::Serverless::Function") {
        assert!(!function.to_string().contains("OperatorKeys"), "{id}");
    }
}

/// Returns true if the alarm `SignaturesFail` is raised in these quarter hours, each with the number of accepted
/// webhooks and of failed signatures.
fn is_raised(quarters: &[(u64, u64)]) -> bool {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let (_, alarm) = alarms.into_iter().find(|(id, _)| id == "SignaturesFail").unwrap();
    let number = |name: &str| alarm[name].as_u64().unwrap_or_else(|| panic!("{name} of {alarm}"));
    let queries = alarm["Metrics"].as_array().unwrap();
    assert!(queries.iter().filter_map(|query| query.get("MetricStat")).all(|stat| stat["Period"] == 900));
    assert!(queries.iter().any(|query| query["Expression"] == "IF(accepted > 0, 0, failures)"));
    assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold");
    let is_breach = |(accepted, failures): &(u64, u64)| *accepted == 0 && *failures >= number("Threshold");
    let breaches: Vec<bool> = quarters.iter().map(is_breach).collect();
    let (periods, datapoints) = (number("EvaluationPeriods") as usize, number("DatapointsToAlarm") as usize);
    (0..breaches.len()).any(|end| {
        let begin = (end + 1).saturating_sub(periods);
        breaches[begin..=end].iter().filter(|breach| **breach).count() >= datapoints
    })
}

#[test]
fn forged_posts_in_a_quiet_quarter_of_an_hour_alarm_nobody() {
    let quiet = (0, 0);
    assert!(!is_raised(&[quiet, (0, 5), quiet, quiet]), "five");
    assert!(!is_raised(&[quiet, (0, 50_000), (0, 50_000), quiet, quiet]), "very many, across a border");
    assert!(!is_raised(&[(1, 50); 20]), "while others are accepted, the secret is right");
    assert!(!is_raised(&[(0, 1); 20]), "`rebound doctor` proves the secret with a message that is too old");
}

#[test]
fn a_wrong_secret_is_noticed_whether_much_or_little_is_sent() {
    let quiet = (0, 0);
    assert!(is_raised(&[(0, 900), (0, 900), (0, 900)]), "within three quarters of an hour");
    // Two emails, an hour apart: each with two events, tried immediately, after 5 s, 5 and 30 minutes.
    assert!(is_raised(&[(0, 6), quiet, (0, 2), quiet, (0, 6), quiet, (0, 2)]));
}

#[test]
fn the_tables_are_as_the_store_has_them() {
    let tables = rebound_dev::template::template().unwrap().tables().unwrap();
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        let made = tables.iter().find(|made| made.variable == table.variable).unwrap_or_else(|| panic!("{table:?}"));
        assert_eq!(made.name, table.name_in("rebound"));
        let keys = made.definition["KeySchema"].as_array().unwrap();
        let keys: Vec<(&str, &str)> =
            keys.iter().map(|key| (key["KeyType"].as_str().unwrap(), key["AttributeName"].as_str().unwrap())).collect();
        let expected: Vec<(&str, &str)> = ["HASH", "RANGE"].into_iter().zip(table.keys()).collect();
        assert_eq!(keys, expected, "{table:?}");
        let attributes = made.definition["AttributeDefinitions"].as_array().unwrap();
        assert!(attributes.iter().all(|attribute| attribute["AttributeType"] == "S"), "keys are texts: {table:?}");
        assert_eq!(made.ttl_attribute.as_deref(), Some(TTL_ATTRIBUTE), "{table:?}");
        let stream = made.definition.get("StreamSpecification").map(|stream| stream["StreamViewType"].clone());
        assert_eq!(stream, table.has_stream.then(|| "NEW_IMAGE".into()), "{table:?}");
        assert_eq!(made.always_recoverable, table.is_always_recoverable, "{table:?}");
    }
}

#[test]
fn the_stream_hands_over_what_protect_wants() {
    let mappings = rebound_dev::template::template().unwrap().mappings().unwrap();
    let types = EventType::ALL.iter().map(|known| known.as_str()).chain([
        "email.sentimental",
        "contactless.updated",
        "unknown",
    ]);
    let events: Vec<String> = types.map(|event_type| format!("{event_type}#msg_1")).collect();
    for kind in ["event", "quarantine", "alert", "poison", "decision", "verdict"] {
        for event in &events {
            let image = json!({ "kind": { "S": kind }, "event": { "S": event } });
            let keys = json!({ "event": { "S": event } });
            let record = json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys, "NewImage": image } });
            let row = [("kind", kind), ("event", event.as_str())];
            let row = row.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).into();
            let is_handed_over = mappings.iter().any(|mapping| mapping.wants(&record));
            assert_eq!(wants(&row), is_handed_over, "{kind} {event}");
        }
    }
}

/// The functions, by their logical ids, and the binary of each.
const FUNCTIONS: [(&str, &str); 5] = [
    ("ReceiveFunction", "receive"),
    ("ProtectFunction", "protect"),
    ("EngageFunction", "engage"),
    ("ConsentFunction", "consent"),
    ("ActFunction", "act"),
];

#[test]
fn two_stacks_in_one_account_share_no_function_and_no_log() {
    let functions = resources("AWS::Serverless::Function");
    assert_eq!(functions.len(), FUNCTIONS.len());
    for (id, binary) in FUNCTIONS {
        let (_, function) = functions.iter().find(|(found, _)| found == id).unwrap_or_else(|| panic!("no {id}"));
        assert_eq!(function["FunctionName"], format!("${{AWS::StackName}}-{binary}"));
    }
    // Whatever has a name of its own has the stack's in it.
    for (id, resource) in template()["Resources"].as_object().unwrap() {
        let properties = resource["Properties"].as_object().unwrap();
        // A permission, and a mapping, name the function that they are about.
        let is_about = resource["Type"] == "AWS::Lambda::Permission";
        for name in
            ["FunctionName", "LogGroupName", "TableName", "QueueName", "TopicName", "RoleName", "Name", "AlarmName"]
        {
            if let Some(name) = properties.get(name).filter(|_| !is_about) {
                assert!(name.as_str().unwrap().contains("${AWS::StackName}"), "{id}: {name}");
            }
        }
        assert!(properties.get("DashboardName").is_none_or(|name| name == "AWS::StackName"), "{id}");
    }
}

/// Frozen: a URL is another one when its own id, its function's id or its function's name is another.
#[test]
fn an_update_keeps_the_function_url() {
    let urls: BTreeMap<String, Value> = resources("AWS::Lambda::Url").into_iter().collect();
    let url = |function: &str| json!({ "TargetFunctionArn": function, "AuthType": "NONE" });
    let expected = ["ReceiveFunction", "ConsentFunction"].map(|function| (format!("{function}Url"), url(function)));
    assert_eq!(urls, expected.into());
    assert_eq!(template()["Outputs"]["WebhookUrl"]["Value"], "ReceiveFunctionUrl.FunctionUrl");
    assert_eq!(template()["Outputs"]["ConsentUrl"]["Value"], "ConsentFunctionUrl.FunctionUrl");
}

#[test]
fn anybody_may_invoke_both_urls_and_sam_asks_nothing() {
    let allowed: Vec<Value> =
        resources("AWS::Lambda::Permission").into_iter().map(|(_, permission)| permission).collect();
    for (action, only) in [
        ("lambda:InvokeFunctionUrl", ("FunctionUrlAuthType", json!("NONE"))),
        ("lambda:InvokeFunction", ("InvokedViaFunctionUrl", json!(true))),
    ] {
        for function in ["ReceiveFunction", "ConsentFunction"] {
            let expected = json!({ "Action": action, "FunctionName": function, "Principal": "*", only.0: only.1 });
            assert!(allowed.contains(&expected), "{expected} of {allowed:?}");
        }
    }
    assert_eq!(allowed.len(), 4);
    // Of a function that has it, sam asks whether it may be without authentication, and no setting answers that.
    assert!(!TEXT.lines().any(|line| line.trim_start().starts_with("FunctionUrlConfig:")));
}

#[test]
fn parameters_are_in_groups_in_order_and_have_defaults() {
    // `sam deploy --guided` asks in the order of the text, which a map of the values does not keep.
    let section = TEXT.split_once("\nParameters:\n").unwrap().1.split_once("\nConditions:\n").unwrap().0;
    let name = |line: &str| Some(line.strip_prefix("  ")?.strip_suffix(':')?.to_owned());
    let asked: Vec<String> = section.lines().filter_map(name).filter(|name| !name.starts_with(' ')).collect();
    let template = template();
    let groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"].as_array().unwrap();
    let grouped = groups.iter().flat_map(|group| group["Parameters"].as_array().unwrap());
    let grouped: Vec<&str> = grouped.map(|name| name.as_str().unwrap()).collect();
    assert_eq!(asked, grouped);
    assert_eq!(asked[0], "AlertEmail", "what concerns everybody comes first");
    assert!(groups.iter().all(|group| !group["Label"]["default"].as_str().unwrap().is_empty()));
    assert!(asked.len() <= 28, "a further one is a further question to everybody: {asked:?}");
    for (name, parameter) in template["Parameters"].as_object().unwrap() {
        assert!(parameter.get("Default").is_some() && parameter.get("Description").is_some(), "{name}");
    }
}

#[test]
fn the_stack_outputs_its_version_and_its_dashboard() {
    let outputs = &template()["Outputs"];
    assert_eq!(outputs["Version"]["Value"], env!("CARGO_PKG_VERSION"), "as in Cargo.toml");
    let dashboard = &outputs["DashboardUrl"];
    assert_eq!(dashboard["Condition"], "HasDashboard", "without one there is no URL");
    let url = dashboard["Value"].as_str().unwrap();
    assert!(
        url.starts_with("https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}#"),
        "{url}"
    );
    assert!(url.ends_with("/${Overview}"), "{url}");
}

/// The value without what it has only where follow-ups are sent, which needs `consent`.
fn without_sending(value: &Value) -> Value {
    match value {
        Value::Array(parts) if parts.first().is_some_and(|first| first == "SendsFollowups") => {
            parts.get(2).map_or(Value::Null, without_sending)
        }
        Value::Array(parts) => parts.iter().map(without_sending).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), without_sending(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// The functions `consent` and `act` and their parts are made only where `Consent` is on, so that they cost nothing
/// where it is off.
#[test]
fn nothing_of_consent_and_act_is_made_where_it_is_off() {
    let template = template();
    assert_eq!(template["Parameters"]["Consent"]["Default"], "off");
    assert_eq!(template["Parameters"]["ConsentConcurrency"]["Default"], 0);
    let mut ours = BTreeMap::new();
    for section in ["Resources", "Outputs"] {
        for (id, made) in template[section].as_object().unwrap() {
            let alarms = ["FollowupsOverdue", "ResendKeyRefused"].contains(&id.as_str());
            let is_ours = alarms || ["Consent", "Act"].iter().any(|function| id.starts_with(function));
            assert_eq!(made.get("Condition").is_some_and(|condition| condition == "HasConsent"), is_ours, "{id}");
            *ours.entry(section).or_insert(0) += usize::from(is_ours);
            // What is always there must not refer to what may not be.
            let refers = without_sending(made).to_string();
            for part in ["ConsentFunction", "ConsentKeys", "ActFunction", "ActKeys"] {
                assert!(is_ours || !refers.contains(part), "{id}: {part}");
            }
        }
    }
    assert_eq!(ours, [("Resources", 9 + 9), ("Outputs", 3 + 2)].into());
    for (secret, kept) in [("ConsentKeys", "Retain"), ("ActKeys", "Delete")] {
        let key = &template["Resources"][secret];
        assert_eq!((&key["DeletionPolicy"], &key["UpdateReplacePolicy"]), (&json!(kept), &json!(kept)), "{secret}");
        assert!(key["Properties"].get("SecretString").is_none(), "a value here could be written over the real one");
        assert!(key["Properties"].get("GenerateSecretString").is_none(), "nor a generated one");
    }
}

#[test]
fn sending_without_unsubscribe_links_is_refused() {
    let template = template();
    let rule = &template["Rules"]["SendingNeedsUnsubscribeLinks"];
    assert_eq!(rule["RuleCondition"], json!(["Followups", "send"]));
    let assertion = &rule["Assertions"][0];
    assert_eq!(assertion["Assert"], json!(["Consent", "on"]));
    assert!(assertion["AssertDescription"].as_str().unwrap().contains("Deploy with Consent=on"), "it says what to do");
    assert_eq!(template["Conditions"]["SendsFollowups"], json!(["HasConsent", ["Followups", "send"]]));
    assert_eq!(template["Parameters"]["Followups"]["Default"], "propose", "nothing is sent unless somebody says so");
}

/// One run a minute, none of them repeated or late: 43,200 a month.
#[test]
fn act_runs_every_minute_and_nothing_tries_a_run_again() {
    let functions: BTreeMap<String, Value> = resources("AWS::Serverless::Function").into_iter().collect();
    let act = &functions["ActFunction"];
    assert_eq!(act["Events"].as_object().unwrap().len(), 1);
    let tick = &act["Events"]["Tick"]["Properties"];
    assert_eq!(tick["Schedule"], "rate(1 minute)");
    let once = json!({ "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60 });
    assert_eq!((&tick["RetryPolicy"], &act["EventInvokeConfig"]), (&once, &once));
    let sample: Value = serde_json::from_str(include_str!("../../events/act/tick.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(tick["Input"].as_str().unwrap()).unwrap(), sample);
    let timeout = std::time::Duration::from_secs(act["Timeout"].as_u64().unwrap());
    assert!(timeout > rebound::act::BUDGET && timeout.as_secs() <= 60, "a run ends before the next one begins");
    assert!(act.get("ReservedConcurrentExecutions").is_none());
}

/// The variables that a configuration looks up, and those that the template sets.
fn looked_up(function: &str, read: impl Fn(&dyn Fn(&str) -> Option<String>)) -> [BTreeSet<String>; 2] {
    let functions: BTreeMap<String, Value> = resources("AWS::Serverless::Function").into_iter().collect();
    let set = functions[function]["Environment"]["Variables"].as_object().unwrap();
    let asked = std::cell::RefCell::new(BTreeSet::new());
    read(&|name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        set.contains_key(name).then(|| match name {
            "FOLLOWUPS" => "send".to_owned(),
            "CONSENT_URL" => "https://mail.example.com".to_owned(),
            "RESEND_RATE" => "4".to_owned(),
            "FOLLOWUPS_PER_DAY" => "200".to_owned(),
            "FOLLOWUP_RECIPIENTS" => "*".to_owned(),
            "CLAUDE_CONCURRENCY" | "CLAUDE_DAILY_BUDGET_USD" => "2".to_owned(),
            "RETENTION_DAYS" => "90".to_owned(),
            "FOLLOWUP_TIMEZONE" => "UTC".to_owned(),
            "POLICY" => String::new(),
            name => name.to_lowercase(),
        })
    });
    [asked.into_inner(), set.keys().cloned().collect()]
}

#[test]
fn engage_and_act_can_send_with_the_variables_of_the_template() {
    // The name of the stack is set for all functions.
    let only_by_hand = [
        "REBOUND_STACK",
        "CONSENT_KEY",
        "RESEND_API_KEY",
        "RESEND_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
    ];
    let [act, engage] = [
        looked_up("ActFunction", |variable| drop(rebound::config::ActConfig::read(variable).unwrap())),
        looked_up("EngageFunction", |variable| drop(rebound::config::EngageConfig::read(variable).unwrap())),
    ];
    for (function, [mut asked, set]) in [("act", act), ("engage", engage)] {
        asked.retain(|name| !only_by_hand.contains(&name.as_str()));
        assert_eq!(asked, set, "{function}");
    }
}
