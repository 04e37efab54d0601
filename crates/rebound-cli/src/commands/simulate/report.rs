//! What came of a simulation.

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
        "{} in {seconds:.1} s, {:.0} a second; {p50:.1} ms (p50), {p90:.1} (p90), {p99:.1} (p99), {most:.1} (the slowest); {} sent again",
        count(sent.micros.len(), "answer"),
        sent.micros.len() as f64 / seconds.max(0.001),
        sent.retries,
    );
    for wrong in &sent.wrong {
        println!("WRONG ANSWER {}", sanitize(wrong));
    }
    match sent.wrong_answers + sent.not_taken {
        0 => println!("Every answer is as the contract says.\n"),
        _ => println!("{}, {} not taken in the end.\n", count(sent.wrong_answers, "wrong answer"), sent.not_taken),
    }
    let findings = match findings {
        Ok(findings) => findings,
        Err(why) => return println!("{}", sanitize(why)),
    };
    table_of_findings(findings).print();
    match findings.published {
        Some(number) if findings.repeats > 0 => println!(
            "Alerts and decisions that were published: {number}; {} of them again, the very same, as after a death they may be.",
            findings.repeats
        ),
        Some(number) => println!("Alerts and decisions that were published, each id once: {number}."),
        None => println!(
            "Whether anything was published twice can't be asked of SNS; its record in the table is there once."
        ),
    }
    let (counted, judged) = (findings.counted_after.as_secs_f64(), findings.judged_after.as_secs_f64());
    println!("Everything was counted {counted:.1} s after the last answer, and judged {judged:.1} s after it.");
    for fault in &findings.faults {
        println!("FAULT {}", sanitize(fault));
    }
    println!("{} lost, {} doubled, {} otherwise wrong.", findings.lost, findings.doubled, findings.wrong);
}

fn table_of_requests(sent: &SendReport) -> Table {
    let kinds = sent.kinds.iter().map(|(kind, number)| [format!("sent, {kind}"), number.to_string()]);
    let answers =
        sent.answers.iter().map(|(answer, number)| [format!("answered {}", sanitize(answer)), number.to_string()]);
    Table::new([Column::text("requests"), Column::number("")]).with(kinds.chain(answers))
}

fn table_of_findings(findings: &VerifyReport) -> Table {
    let rows = [
        ("webhooks stored, byte for byte", findings.stored),
        ("forgeries and stale ones refused, and not stored", findings.refused),
        ("addresses that stand as they must", findings.addresses),
        ("of them suppressed", findings.suppressed),
        ("numbers of the campaign, and its brake", findings.numbers),
        ("complaints that people were told of, once", findings.alerts),
        ("opens and clicks judged", findings.verdicts),
        ("decisions", findings.decisions),
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
    fn the_tables_of_a_simulation_are_good_at_every_width() {
        let mut sent = SendReport::default();
        sent.kinds.insert("once", 1_234_567);
        sent.answers.insert("401 wrong signature; is the signing secret that of the webhook at Resend?".to_owned(), 7);
        assert_eq!(table_of_requests(&sent).faults(), Vec::<String>::new());
        let findings = VerifyReport { stored: 1_234_567, ..VerifyReport::default() };
        assert_eq!(table_of_findings(&findings).faults(), Vec::<String>::new());
    }
}
