//! The report of a simulation.

use rebound_dev::output::{Column, Table, count, sanitize};
use rebound_dev::simulate::scenario::Scenario;
use rebound_dev::simulate::send::SendReport;
use rebound_dev::simulate::verify::VerifyReport;
use serde_json::json;

pub(super) fn print(json: bool, story: &Scenario, sent: &SendReport, findings: &Result<VerifyReport, String>) {
    if json {
        return print_json(story, sent, findings);
    }
    println!("Campaign {} of {}, seed {}.\n", story.campaign, count(story.emails, "email"), story.seed);
    table_of_requests(sent).print();
    let seconds = sent.took.as_secs_f64();
    let [p50, p90, p99, most] = [50.0, 90.0, 99.0, 100.0].map(|percent| sent.percentile(percent));
    println!(
        "{} in {seconds:.1} s, {:.0} per second; {p50:.1} ms (p50), {p90:.1} (p90), {p99:.1} (p99), {most:.1} (maximum); {} retries",
        count(sent.micros.len(), "response"),
        sent.micros.len() as f64 / seconds.max(0.001),
        sent.retries,
    );
    for wrong in &sent.wrong {
        println!("WRONG RESPONSE {}", sanitize(wrong));
    }
    match sent.wrong_answers + sent.not_taken {
        0 => println!("Every response is correct.\n"),
        _ => println!("{}, {} not accepted in the end.\n", count(sent.wrong_answers, "wrong response"), sent.not_taken),
    }
    let findings = match findings {
        Ok(findings) => findings,
        Err(why) => return println!("{}", sanitize(why)),
    };
    table_of_findings(findings).print();
    match findings.published {
        Some(number) if findings.repeats > 0 => println!(
            "Published alerts and decisions: {number}; {} of them were published twice with the same id, which is allowed after a crash, or with a fast clock (--clock).",
            findings.repeats
        ),
        Some(number) => println!("Published alerts and decisions, each id once: {number}."),
        None => println!(
            "SNS cannot list what it published, so duplicates were checked in the table only: each alert and decision has one record."
        ),
    }
    let (counted, judged) = (findings.counted_after.as_secs_f64(), findings.judged_after.as_secs_f64());
    println!(
        "All events were counted {counted:.1} s, and all opens and clicks classified {judged:.1} s, after the last response."
    );
    for fault in &findings.faults {
        println!("FAULT {}", sanitize(fault));
    }
    println!("{} lost, {} duplicated, {} with other errors.", findings.lost, findings.doubled, findings.wrong);
}

fn table_of_requests(sent: &SendReport) -> Table {
    let kinds = sent.kinds.iter().map(|(kind, number)| [format!("sent, {kind}"), number.to_string()]);
    let answers =
        sent.answers.iter().map(|(answer, number)| [format!("response {}", sanitize(answer)), number.to_string()]);
    Table::new([Column::text("requests"), Column::number("")]).with(kinds.chain(answers))
}

fn table_of_findings(findings: &VerifyReport) -> Table {
    let rows = [
        ("webhooks stored, byte for byte", findings.stored),
        ("forged and stale webhooks, refused and not stored", findings.refused),
        ("addresses with the correct suppressions", findings.addresses),
        ("of them suppressed", findings.suppressed),
        ("counts of the campaign, and its brake", findings.numbers),
        ("complaints with exactly one alert", findings.alerts),
        ("opens and clicks with a verdict", findings.verdicts),
        ("decisions", findings.decisions),
        ("follow-ups sent, each once", findings.followups.sent),
        ("follow-ups dropped", findings.followups.dropped),
        ("follow-ups of which it is not known, with an alert", findings.followups.unknown),
        ("follow-ups not due yet", findings.followups.waiting),
    ];
    let columns = [Column::text("in the tables"), Column::number("")];
    Table::new(columns).with(rows.map(|(what, number)| [what.to_owned(), number.to_string()]))
}

fn print_json(story: &Scenario, sent: &SendReport, findings: &Result<VerifyReport, String>) {
    let percentiles = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0)];
    let latency: serde_json::Map<_, _> =
        percentiles.iter().map(|(name, percent)| ((*name).to_owned(), json!(sent.percentile(*percent)))).collect();
    let found = findings.as_ref().ok().map(|findings| {
        json!({
            "right": findings.is_right(),
            "lost": findings.lost, "doubled": findings.doubled, "wrong": findings.wrong, "faults": findings.faults,
            "stored": findings.stored, "refused": findings.refused, "addresses": findings.addresses,
            "suppressed": findings.suppressed, "numbers": findings.numbers, "alerts": findings.alerts,
            "verdicts": findings.verdicts, "decisions": findings.decisions, "published": findings.published, "repeats": findings.repeats,
            "followups": {
                "sent": findings.followups.sent, "dropped": findings.followups.dropped,
                "unknown": findings.followups.unknown, "waiting": findings.followups.waiting,
                "accepted": findings.accepted,
            },
            "counted_after_s": findings.counted_after.as_secs_f64(), "judged_after_s": findings.judged_after.as_secs_f64(),
        })
    });
    let report = json!({
        "campaign": story.campaign, "emails": story.emails, "seed": story.seed,
        "sent": sent.kinds, "answers": sent.answers, "latency_ms": latency, "seconds": sent.took.as_secs_f64(),
        "retries": sent.retries, "not_taken": sent.not_taken,
        "wrong_answers": sent.wrong_answers, "wrong": sent.wrong,
        "tables": found, "tables_not_read": findings.as_ref().err(),
    });
    println!("{report:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_simulation_fit_every_width() {
        let mut sent = SendReport::default();
        sent.kinds.insert("once", 1_234_567);
        sent.answers.insert("401 wrong signature; is the signing secret that of the webhook at Resend?".to_owned(), 7);
        assert_eq!(table_of_requests(&sent).faults(), Vec::<String>::new());
        let findings = VerifyReport { stored: 1_234_567, ..VerifyReport::default() };
        assert_eq!(table_of_findings(&findings).faults(), Vec::<String>::new());
    }
}
