//! The metrics of the template's alarms and dashboard exist.

use std::collections::{BTreeMap, BTreeSet};

use rebound::metrics::{DIMENSION, Metric, NAMESPACE, Unit};

use super::alarms::{Alarm, WatchedMetric, alarms, on_dashboards};
use super::story::everything;
use super::{definitions, read};

const LAMBDA: &str = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html";
const URLS: &str = "https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html";
const SQS: &str =
    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html";

/// Metrics of AWS: namespace, name, dimension, and documentation.
const OF_AWS: [(&str, &str, &str, &str); 6] = [
    ("AWS/Lambda", "Errors", "FunctionName", LAMBDA),
    ("AWS/Lambda", "Throttles", "FunctionName", LAMBDA),
    ("AWS/Lambda", "IteratorAge", "FunctionName", LAMBDA),
    ("AWS/Lambda", "Url5xxCount", "FunctionName", URLS),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", SQS),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", SQS),
];

/// The parts of a composite alarm, which send no notifications themselves.
const PARTS: [&str; 2] = ["SilentNow", "OftenQuiet"];

fn all_watched() -> Vec<WatchedMetric> {
    let of_alarms = alarms().unwrap().into_iter().flat_map(|alarm| alarm.watched);
    of_alarms.chain(on_dashboards().unwrap()).collect()
}

fn alarm(id: &str) -> Alarm {
    alarms().unwrap().into_iter().find(|alarm| alarm.id == id).unwrap()
}

#[tokio::test]
async fn every_metric_of_alarms_and_dashboard_is_emitted() {
    let mut emitted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in read(&everything().await) {
        let dimensions = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"].as_array().unwrap().clone();
        for (name, _) in definitions(&line) {
            let dimensions = dimensions.iter().map(ToString::to_string);
            emitted.entry(name.to_owned()).or_default().extend(dimensions);
        }
    }
    let ours: Vec<WatchedMetric> = all_watched().into_iter().filter(|watched| watched.namespace == NAMESPACE).collect();
    assert!(ours.len() > 40, "{ours:#?}");
    for watched in ours {
        let names: Vec<&String> = watched.dimensions.keys().collect();
        let names = serde_json::to_string(&names).unwrap();
        let reported = emitted.get(&watched.name).unwrap_or_else(|| panic!("nobody tells of {watched:?}"));
        assert!(reported.contains(&names), "{watched:?} has other dimensions than {reported:?}");
        let stack = watched.dimensions[DIMENSION].as_str();
        assert!(["AWS::StackName", "${AWS::StackName}"].contains(&stack), "{watched:?}");
    }
}

#[test]
fn every_other_metric_is_documented_by_aws_for_this_stack() {
    let others: Vec<WatchedMetric> =
        all_watched().into_iter().filter(|watched| watched.namespace != NAMESPACE).collect();
    for watched in &others {
        let dimensions: Vec<&str> = watched.dimensions.keys().map(String::as_str).collect();
        let known = OF_AWS.iter().any(|(namespace, name, dimension, _)| {
            (*namespace, *name) == (watched.namespace.as_str(), watched.name.as_str()) && dimensions == [*dimension]
        });
        assert!(known, "{watched:?}");
    }
    for (namespace, name, _, link) in OF_AWS {
        let is_used =
            others.iter().any(|watched| (watched.namespace.as_str(), watched.name.as_str()) == (namespace, name));
        assert!(is_used && link.starts_with("https://docs.aws.amazon.com/"), "{name}");
    }
}

#[test]
fn a_metric_is_put_together_as_it_is_meant() {
    for watched in all_watched().iter().filter(|watched| watched.namespace == NAMESPACE) {
        let metric = Metric::ALL.iter().find(|metric| metric.name() == watched.name).unwrap();
        let fits: &[&str] = match (metric, metric.unit()) {
            // A level, and a number of minutes.
            (Metric::FollowupsDue | Metric::FollowupsOverdue, _) => &["Maximum"],
            (Metric::ClaudeSpentToday, _) | (_, Unit::Percent | Unit::Seconds) => &["Maximum"],
            (_, Unit::Milliseconds) => &["p50", "p99"],
            (_, Unit::Count | Unit::UsDollars) => &["Sum"],
        };
        assert!(fits.contains(&watched.statistic.as_str()), "{watched:?}");
    }
}

#[test]
fn an_alarm_looks_back_no_longer_than_cloudwatch_allows() {
    // <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>: a day, and seven if a
    // period has an hour or more.
    const DAY: u64 = 86_400;
    for alarm in alarms().unwrap() {
        // The parameter's maximum.
        let periods = alarm.periods.unwrap_or_else(|| {
            assert_eq!(
                (alarm.id.as_str(), &alarm.properties["EvaluationPeriods"]),
                ("SilentNow", &"SilenceHours".into())
            );
            168
        });
        let most = if alarm.period >= 3_600 { 7 * DAY } else { DAY };
        let (id, period) = (&alarm.id, alarm.period);
        assert!(period >= 60 && period.is_multiple_of(60) && period * periods <= most, "{id}: {periods} of {period} s");
        if let Some(datapoints) = alarm.properties["DatapointsToAlarm"].as_u64() {
            assert!(datapoints <= periods, "{id}");
        }
    }
}

#[test]
fn every_alarm_says_what_it_means_and_what_to_do() {
    let all = alarms().unwrap();
    assert_eq!(all.len(), 23);
    for alarm in &all {
        let (id, says) = (alarm.id.as_str(), alarm.properties["AlarmDescription"].as_str().unwrap());
        let is_part = PARTS.contains(&id);
        assert!(says.len() > if is_part { 80 } else { 150 } && says.len() <= 1_024, "{id}: {says}");
        let reported = alarm.properties["AlarmActions"].as_array();
        match reported {
            Some(topics) => assert_eq!((topics.len(), &topics[0], is_part), (1, &"AlertsTopic".into(), false), "{id}"),
            None => assert!(is_part, "{id} tells nobody"),
        }
        let missing = if id == "SilentNow" || id == "OftenQuiet" { "breaching" } else { "notBreaching" };
        assert_eq!(alarm.properties["TreatMissingData"], missing, "{id}");
    }
    // The cost in docs/cost.md and the template: 0.10 US dollars a month for each metric.
    assert_eq!(all.iter().map(|alarm| alarm.watched.len()).sum::<usize>(), 24);
}

#[test]
fn what_the_issue_of_a_silent_service_needs_has_an_alarm() {
    let watches = |id: &str, name: &str| alarm(id).watched.iter().any(|watched| watched.name == name);
    for (id, name) in [
        ("ReceiveFails", "Url5xxCount"),
        ("ReceiveIsThrottled", "Throttles"),
        ("ProtectIsThrottled", "Throttles"),
        ("EngageIsThrottled", "Throttles"),
        ("ConsentFails", "Url5xxCount"),
        ("ConsentIsThrottled", "Throttles"),
        ("SignaturesFail", "SignatureFailures"),
        ("SignaturesFail", "Accepted"),
        ("ProtectIsBehind", "IteratorAge"),
        ("ProtectGaveUp", "ApproximateNumberOfMessagesVisible"),
        ("EngageGaveUp", "ApproximateNumberOfMessagesVisible"),
        ("EngageIsBehind", "ApproximateAgeOfOldestMessage"),
        ("SilentNow", "Accepted"),
        ("OftenQuiet", "Accepted"),
        ("ComplaintRateIsHigh", "ComplaintRate"),
        ("ClaudeSpends", "ClaudeSpentToday"),
        ("ClaudeRefuses", "ClaudeRefusals"),
        ("ActFails", "Errors"),
        ("ActIsThrottled", "Throttles"),
        ("ActUnknown", "FollowupsUnknown"),
        ("FollowupsOverdue", "FollowupsOverdue"),
        ("ResendKeyRefused", "ResendKeyRefusals"),
    ] {
        assert!(watches(id, name), "{id} does not look at {name}");
    }
}

#[test]
fn the_dashboard_has_no_more_metrics_than_are_free() {
    // <https://aws.amazon.com/cloudwatch/pricing/>: three dashboards of up to 50 metrics each.
    let shown = on_dashboards().unwrap();
    assert!((30..=50).contains(&shown.len()), "{}", shown.len());
    let distinct: BTreeSet<&WatchedMetric> = shown.iter().collect();
    assert_eq!(distinct.len(), shown.len(), "none twice");
}
