//! Each line conforms to the specification, and contains nothing from outside.

use rebound::metrics::{Metric, NAMESPACE};
use rebound::resend::signed::SignedMessage;
use serde_json::{Value, json};

use super::{Lines, STACK, definitions, read};
use crate::protect::{MINUTE, NOW, ProtectHarness, after, deliver, receive};
use crate::support::secret;

/// CloudWatch's units (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>),
/// without multiples of each other.
const UNITS: [&str; 6] = ["Seconds", "Microseconds", "Milliseconds", "Bytes", "Percent", "Count"];

/// Maximum size of a log event (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>),
/// and its limits in the format.
const LARGEST_LINE: usize = 256 * 1024;

/// Checks a line against the specification
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>),
/// and that all its words are Rebound's.
pub(super) fn conforms(line: &str) {
    assert!(line.len() <= LARGEST_LINE && !line.contains('\n'), "{line}");
    let line: Value = serde_json::from_str(line).unwrap();
    let root = line.as_object().unwrap();
    assert_eq!(root["level"], "INFO", "or Lambda leaves it out");
    let timestamp = root["_aws"]["Timestamp"].as_i64().unwrap();
    assert_eq!(rebound::time::UnixMillis::parse(root["timestamp"].as_str().unwrap()).unwrap().0, timestamp);
    assert_eq!(root["_aws"].as_object().unwrap().len(), 2, "{line}");
    let directives = root["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert_eq!(directives.len(), 1);
    let directive = directives[0].as_object().unwrap();
    assert_eq!(directive.keys().collect::<Vec<_>>(), ["Dimensions", "Metrics", "Namespace"]);
    let namespace = directive["Namespace"].as_str().unwrap();
    assert!(namespace == NAMESPACE && (1..=1024).contains(&namespace.len()));

    let sets = directive["Dimensions"].as_array().unwrap();
    assert!(!sets.is_empty());
    for set in sets {
        let set = set.as_array().unwrap();
        assert!(set.len() <= 30);
        for dimension in set {
            let name = dimension.as_str().unwrap();
            let value = root[name].as_str().unwrap();
            assert!((1..=250).contains(&name.len()) && (1..=1024).contains(&value.len()) && value.is_ascii());
            assert_eq!((name, value), ("Stack", STACK));
        }
    }

    let metrics = directive["Metrics"].as_array().unwrap();
    assert!((1..=100).contains(&metrics.len()), "{}", metrics.len());
    let mut names = Vec::new();
    for metric in metrics {
        let fields = metric.as_object().unwrap();
        assert!(fields.keys().all(|key| ["Name", "Unit"].contains(&key.as_str())), "{metric}");
        let name = fields["Name"].as_str().unwrap();
        let known = Metric::ALL.iter().find(|known| known.name() == name).unwrap();
        let unit = fields.get("Unit").map(|unit| unit.as_str().unwrap());
        assert_eq!(unit, known.unit().as_str());
        assert!(unit.is_none_or(|unit| UNITS.contains(&unit)), "{metric}");
        is_a_target(&root[name]);
        names.push(name);
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each is defined once");
    let fixed = ["Stack", "_aws", "level", "timestamp"];
    let others = root.keys().filter(|key| !names.contains(&key.as_str()) && !fixed.contains(&key.as_str()));
    assert_eq!(others.count(), 0, "nothing else is in it: {line}");
}

/// A number, or values with their counts.
fn is_a_target(value: &Value) {
    let is_right = |number: &Value| number.as_f64().is_some_and(|number| number.is_finite() && number >= 0.0);
    let Some(distribution) = value.as_object() else { return assert!(is_right(value), "{value}") };
    let list = |name: &str| distribution[name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
    let (values, counts): (Vec<f64>, Vec<f64>) = (list("Values"), list("Counts"));
    assert!(values.len() == counts.len() && (1..=100).contains(&values.len()), "{value}");
    assert!(values.windows(2).all(|two| two[0] < two[1]) && counts.iter().all(|count| *count >= 1.0), "{value}");
    let number = |name: &str| distribution[name].as_f64().unwrap();
    assert_eq!((number("Min"), number("Max")), (values[0], values[values.len() - 1]));
    assert_eq!(number("Count"), counts.iter().sum::<f64>());
    assert_eq!(number("Sum"), values.iter().zip(&counts).map(|(value, count)| value * count).sum::<f64>());
}

#[tokio::test]
async fn nothing_from_outside_is_ever_in_a_line() {
    let lines = Lines::default();
    let mut stage = ProtectHarness::start().await;
    let receiver = std::sync::Arc::into_inner(stage.receiver).unwrap();
    stage.receiver = std::sync::Arc::new(receiver.with_metrics(lines.metrics()));
    let protector = stage.protector.as_ref().clone().with_metrics(lines.metrics());
    let odd = "ann@example.com";
    let types = [
        odd,
        "email.ann@example.com",
        "Accepted",
        "_aws",
        "Stack",
        "\",\"Stack\":\"other",
        "email.complained\u{0}",
        "line\nbreak",
        "\u{1F600}",
        "",
        "email.bounced",
        "email.complained",
        "email.failed",
        "domain.updated",
    ];
    let long = "x".repeat(3_000);
    for (index, event_type) in types.into_iter().chain([long.as_str()]).enumerate() {
        let data = json!({
            "email_id": format!("{odd}-{index}"), "id": odd, "name": odd, "status": "failed", "to": [odd], "subject": odd,
            "tags": { "campaign": odd, "_aws": odd }, "bounce": { "type": "Permanent", "message": odd },
            "failed": { "reason": odd }, "created_at": after(-MINUTE).to_text(),
        });
        let body = json!({ "type": event_type, "created_at": after(-MINUTE).to_text(), "data": data }).to_string();
        let message = SignedMessage::new(format!("msg-{odd}-{index}"), NOW.seconds(), body, &secret());
        receive(&stage.receiver, &message, after(index as i64 * MINUTE / 30)).await;
        let mut forged = message;
        forged.headers.insert("svix-signature".to_owned(), format!("v1,{odd}"));
        receive(&stage.receiver, &forged, NOW).await;
    }
    deliver(&protector, &stage.records().await, after(MINUTE)).await;
    protector.tick(after(10 * MINUTE), crate::protect::soon()).await;
    receive(&stage.receiver, &SignedMessage::new("m", NOW.seconds() + 120, "{}", &secret()), after(2 * MINUTE)).await;

    let written = lines.take();
    assert!(written.len() >= 4, "{written:#?}");
    for line in &written {
        conforms(line);
        for outside in ["@", "ann", "example", "xxx", "msg", "other\"", "v1,"] {
            assert!(!line.contains(outside), "{outside} in {line}");
        }
    }
    let reported: usize = read(&written).iter().map(|line| definitions(line).len()).sum();
    assert!(reported > 30, "{reported}: the story brought something about");
}

#[test]
fn a_stack_name_has_only_letters_digits_and_hyphens() {
    use rebound::metrics::Metrics;
    let shown = |stack: &str| format!("{:?}", Metrics::new(stack, |_| {}));
    assert_eq!(shown("my-stack2"), r#"Metrics(Some("my-stack2"))"#);
    assert_eq!(shown("a\",\"b\n@c"), r#"Metrics(Some("abc"))"#);
    assert_eq!(shown(""), r#"Metrics(Some("rebound"))"#);
    let environment = |name: &'static str| {
        Metrics::from_environment(move |asked| match asked {
            "AWS_LAMBDA_FUNCTION_NAME" => Some(name.to_owned()),
            "REBOUND_STACK" => Some("mine".to_owned()),
            _ => None,
        })
    };
    assert_eq!(format!("{:?}", environment("receive")), r#"Metrics(Some("mine"))"#);
    assert_eq!(format!("{:?}", environment("")), "Metrics(None)", "not on Lambda");
    assert_eq!(format!("{:?}", Metrics::from_environment(|_| None)), "Metrics(None)");
}
