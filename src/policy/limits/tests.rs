//! Tests of parsing `POLICY`.

use super::*;

#[test]
fn what_is_not_named_keeps_its_default() {
    let policy = Policy::read(r#"{"brake": {"least_volume": 0.1}, "delay": {"hours": 48}}"#).unwrap();
    assert_eq!((policy.brake.least_volume, policy.delay.hours), (0.1, 48));
    assert_eq!(policy.brake.complaint_limits, BrakePolicy::default().complaint_limits);
    assert_eq!(Policy::read("{}").unwrap(), Policy::default());
}

#[test]
fn an_invalid_policy_is_an_error_that_names_the_field() {
    for (json, word) in [
        ("", "EOF"),
        (r#"{"brakes": {}}"#, "brakes"),
        (r#"{"brake": {"least_volume": 5}}"#, "fractions"),
        (r#"{"brake": {"complaint_limits": [{"rate": -0.1, "least": 1, "of": 1}]}}"#, "fractions"),
        (r#"{"soft_bounces": {"emails": 0}}"#, "from 1 to 50"),
        (r#"{"soft_bounces": {"emails": 51}}"#, "from 1 to 50"),
        (r#"{"alerts": {"one_by_one_in_an_hour": 0}}"#, "at least 1"),
        (r#"{"delay": {"hours": 0}}"#, "hours"),
        (r#"{"domain": {"pending_minutes": 0}}"#, "pending_minutes"),
        (r#"{"verdict": {"burst_links": 1}}"#, "burst_links"),
        (r#"{"verdict": {"scan_links": 1}}"#, "scan_links"),
        (r#"{"verdict": {"scan_gap_ms": -1}}"#, "spans"),
        (r#"{"followups": {"opt_out_days": 0}}"#, "days"),
        (r#"{"followups": {"quiet_from": 25}}"#, "quiet_from"),
        (r#"{"followups": {"gap_hours": 0}}"#, "hours"),
        (r#"{"claude": {"deliveries": 10}}"#, "deliveries"),
        (r#"{"claude": {"input_usd": -1}}"#, "prices"),
    ] {
        let error = Policy::read(json).unwrap_err().to_string();
        assert!(error.contains(word), "{json}: {error}");
    }
}

#[test]
fn the_reference_has_every_limit_at_its_default() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md")).unwrap();
    let section = page.split("\n## `POLICY`\n").nth(1).expect("the section");
    let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the block");
    let mut policy = Policy::read(block).unwrap();
    let price = (policy.claude.input_usd.take(), policy.claude.output_usd.take());
    assert_eq!(price, (Some(0.10), Some(0.50)), "of the model that is asked unless another is named");
    assert_eq!(policy, Policy::default());
    let written = format!("{policy:#?}");
    let names = written.lines().filter_map(|line| line.trim().split_once(": ").map(|(name, _)| name));
    let missing: Vec<&str> = names.filter(|name| !block.contains(&format!("\"{name}\":"))).collect();
    assert!(missing.is_empty(), "the page says nothing of {missing:?}");
}
