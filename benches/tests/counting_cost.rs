//! Cost of counting: DynamoDB units per event of a campaign, at several rates of receipt.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

#[tokio::test]
async fn counting_costs_at_most_a_quarter_write_unit_per_event() {
    for (rate, events) in [("3", "700"), ("10", "1500"), ("30", "1500"), ("300", "4000")] {
        let mut bench = Command::new(env!("CARGO_BIN_EXE_bench-stream"));
        bench.env_clear().kill_on_drop(true).stdin(Stdio::null());
        let output = bench.args(["protect", "--json", "--rate", rate, "--events", events]).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let units = report["units"]["all"]["write_units_per_event"].as_f64().unwrap();
        assert!(units > 0.0 && units <= 0.25, "{units} at {rate} events a second");
        let counted: i64 = report["cohorts"].as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
        assert_eq!(counted.to_string(), events);
    }
}
