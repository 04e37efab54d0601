//! The result table.

use std::time::Duration;

use rebound_dev::output::{Column, Table, paragraph};
use rebound_dev::simulate::scenario::Scenario;
use serde_json::{Value, json};

use crate::memory::{Flatness, Phase, median, plot};
use crate::{Arguments, SoakResult};

pub(crate) fn print(arguments: &Arguments, scenario: &Scenario, requests: usize, outcome: &SoakResult) {
    if arguments.json {
        println!("{:#}", as_json(arguments, scenario, requests, outcome));
        return;
    }
    table(rows(arguments, scenario, requests, outcome)).print();
    paragraph("resident memory of `rebound dev` over time; below, how often it was killed (· after the last answer)");
    for line in plot(&outcome.recorded.samples) {
        println!("{line}");
    }
    for wrong in outcome.sent.wrong.iter().chain(&outcome.findings.faults).chain(&outcome.followups.faults) {
        println!("FAULT {}", wrong.chars().filter(|c| !c.is_control()).collect::<String>());
    }
}

fn table(rows: Vec<[String; 2]>) -> Table {
    Table::new([Column::text(""), Column::number("")]).with(rows)
}

fn rows(arguments: &Arguments, scenario: &Scenario, requests: usize, outcome: &SoakResult) -> Vec<[String; 2]> {
    let SoakResult { sent, findings, recorded, followups, bytes } = outcome;
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |what: &str, number: String| rows.push([what.to_owned(), number]);
    row("webhooks", findings_total(outcome).to_string());
    row("number of emails", scenario.emails.to_string());
    row("requests, with those that chaos adds", requests.to_string());
    row("sent again, because of kills and faults", sent.retries.to_string());
    for (answer, number) in &sent.answers {
        row(&format!("answered {answer}"), number.to_string());
    }
    let seconds = sent.took.as_secs_f64();
    row("seconds of sending", format!("{seconds:.0}"));
    row("answers a second", format!("{:.0}", sent.micros.len() as f64 / seconds.max(0.001)));
    for percent in [50.0, 99.0, 100.0] {
        row(&format!("milliseconds to an answer, p{percent}"), format!("{:.1}", sent.percentile(percent)));
    }
    row("kills", recorded.kills.len().to_string());
    row("ended by itself", recorded.own_deaths.to_string());
    row("milliseconds to be back, median", format!("{:.0}", back(&recorded.starts)));
    row("calls of DynamoDB by the functions", recorded.calls.to_string());
    row(
        &format!("of them failed, {} %", arguments.faults * 100.0),
        recorded.injected.values().sum::<u64>().to_string(),
    );
    for (kind, number) in &recorded.injected {
        row(&format!("    {kind}"), number.to_string());
    }
    row("seconds from the last response until all was counted", format!("{:.0}", findings.counted_after.as_secs_f64()));
    row("all judged", format!("{:.0}", findings.judged_after.as_secs_f64()));
    row("stored, byte for byte", findings.stored.to_string());
    row("refused, and not stored", findings.refused.to_string());
    row("addresses with the right suppressions", findings.addresses.to_string());
    row("of them suppressed", findings.suppressed.to_string());
    row("complaint alerts, each sent once", findings.alerts.to_string());
    row("opens and clicks judged", findings.verdicts.to_string());
    row("alerts and decisions published", findings.published.unwrap_or_default().to_string());
    row("alerts repeated with the same id after a kill", findings.repeats.to_string());
    row("wrong answers, or none in the end", (sent.wrong_answers + sent.not_taken).to_string());
    row("LOST", findings.lost.to_string());
    row("DOUBLED", findings.doubled.to_string());
    row("WRONG", findings.wrong.to_string());
    row("follow-ups decided", followups.decided.to_string());
    for (status, number) in &followups.statuses {
        row(&format!("    {status}"), number.to_string());
    }
    row("    accepted by Resend, each once", followups.accepted.to_string());
    row("recipients who unsubscribed meanwhile", followups.stopped.to_string());
    row("    of them got the follow-up before", followups.sent_before.to_string());
    row("kills while follow-ups were sent", followups.kills.to_string());
    row("seconds of that part", format!("{:.0}", followups.seconds));
    row("WRONG FOLLOW-UPS", followups.faults.len().to_string());
    row("MiB of files in the end", (bytes / 1_048_576).to_string());
    let own = |phase: Phase| {
        let of = recorded.samples.iter().filter(move |sample| sample.phase == phase);
        of.map(|sample| sample.own / 1_024).max().unwrap_or_default().to_string()
    };
    row("MiB of this program at most, sending", own(Phase::Sending));
    row("MiB of this program at most, verifying", own(Phase::Verifying));
    if let Some(flat) = Flatness::of(&recorded.samples) {
        let quarters = flat.quarters.map(|kib| format!("{:.1}", kib / 1_024.0)).join(", ");
        row("the last life without kills: seconds", format!("{:.0}", flat.seconds));
        row("    answers in it", flat.answers.to_string());
        row("    MiB, medians of its quarters", quarters);
        row("    the last quarter by the second", format!("{:.3}", flat.ratio()));
        row("    KiB more for a thousand answers", format!("{:.2}", flat.slope));
    }
    rows
}

/// Number of webhooks of the scenario that had to be stored.
fn findings_total(outcome: &SoakResult) -> usize {
    outcome.sent.kinds.get("once").copied().unwrap_or_default()
}

fn back(starts: &[Duration]) -> f64 {
    median(starts.iter().skip(1).map(|start| u64::try_from(start.as_millis()).unwrap_or(u64::MAX)))
}

fn as_json(arguments: &Arguments, scenario: &Scenario, requests: usize, outcome: &SoakResult) -> Value {
    let SoakResult { sent, findings, recorded, followups, bytes } = outcome;
    let samples: Vec<Value> = recorded
        .samples
        .iter()
        .map(|sample| {
            json!({
                "seconds": sample.seconds, "answered": sample.answered, "sending": sample.phase == Phase::Sending,
                "life": sample.life, "age": sample.age, "resident_kib": sample.dev.resident,
                "anonymous_kib": sample.dev.anonymous, "own_kib": sample.own,
            })
        })
        .collect();
    let flat = Flatness::of(&recorded.samples).map(|flat| {
        json!({
            "seconds": flat.seconds, "answers": flat.answers, "quarters_kib": flat.quarters,
            "last_by_second": flat.ratio(), "kib_per_thousand": flat.slope,
        })
    });
    json!({
        "right": outcome.is_right(), "events": findings_total(outcome), "emails": scenario.emails, "requests": requests,
        "seed": arguments.seed, "retries": sent.retries, "answers": sent.answers, "seconds": sent.took.as_secs_f64(),
        "latency_ms": { "p50": sent.percentile(50.0), "p99": sent.percentile(99.0), "max": sent.percentile(100.0) },
        "kills": recorded.kills, "ended_by_itself": recorded.own_deaths, "back_ms": back(&recorded.starts),
        "calls": recorded.calls, "faults": recorded.injected,
        "counted_after_s": findings.counted_after.as_secs_f64(), "judged_after_s": findings.judged_after.as_secs_f64(),
        "stored": findings.stored, "refused": findings.refused, "addresses": findings.addresses,
        "suppressed": findings.suppressed, "alerts": findings.alerts, "verdicts": findings.verdicts,
        "published": findings.published, "repeats": findings.repeats,
        "wrong_answers": sent.wrong_answers, "not_taken": sent.not_taken,
        "lost": findings.lost, "doubled": findings.doubled, "wrong": findings.wrong,
        "followups": {
            "decided": followups.decided, "statuses": followups.statuses, "accepted": followups.accepted,
            "stopped": followups.stopped, "sent_before": followups.sent_before, "kills": followups.kills,
            "seconds": followups.seconds, "faults": followups.faults,
        },
        "found": sent.wrong.iter().chain(&findings.faults).collect::<Vec<_>>(),
        "bytes": bytes, "flat": flat, "samples": samples,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_soak_is_good_at_every_width() {
        let rows = [
            ["all counted, seconds after the last answer", "1234567"],
            ["    MiB, medians of its quarters", "123.4, 234.5, 345.6, 456.7"],
        ];
        assert_eq!(table(rows.map(|row| row.map(str::to_owned)).to_vec()).faults(), Vec::<String>::new());
    }
}
