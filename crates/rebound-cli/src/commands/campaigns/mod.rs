//! `rebound campaigns`: results, rates and brakes of campaigns.

mod plot;

use std::process::ExitCode;
use std::time::Duration;

use rebound::policy::brake::{BrakeState, Status};
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::limits::{BrakePolicy, Limit, Policy};
use rebound::resend::campaign::Campaign;
use rebound::time::{UnixMillis, days, hours};
use rebound_cli::operate::campaigns::{
    CampaignSummary, bounce_rate, complaint_rate, load_campaign, load_campaigns, rate, similar_names,
};
use rebound_dev::commands::{CommandError, variable};
use rebound_dev::output::{self, Cell, Color, Column, Table, count, moment, sanitize};
use serde_json::{Value, json};

use crate::commands::target::TargetArguments;

/// Maximum number of rows by hour. If there are more hours, the rows are days.
const MAX_HOUR_ROWS: usize = 48;

/// Show the results of a campaign, its rates against their limits, and its brake.
///
/// Without a name, the command shows all campaigns.
/// The brake is the sending limit of a campaign. A cohort is the set of emails of a campaign that were created in the same hour.
/// Every event counts in the cohort of its email, whenever it happens. An older cohort is included if at least a tenth of it was sent
/// in the period; this is known for the last eight days. The limits come from POLICY if it is set.
/// One campaign takes three calls. Without a name, the command reads the whole campaigns table: one read unit per 4 KB.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Name of the campaign
    name: Option<String>,
    /// Number of days to look back
    #[arg(long, value_name = "NUMBER", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// One row per hour or per day [default: hour, or day if there are more than 48 hours]
    #[arg(long, value_name = "WHAT", value_parser = ["hour", "day"])]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let calls = target.calls(Duration::from_secs(3_600));
    let table = target.table("CAMPAIGNS_TABLE");
    let policy = variable("POLICY").or_else(|| target.variable("POLICY"));
    let policy = policy.as_deref().map_or_else(|| Ok(Policy::default()), Policy::read)?.brake;
    let now = UnixMillis::now();
    let Some(name) = &arguments.name else {
        let progress = output::counting("items read");
        let known = load_campaigns(&calls, table, now, arguments.days, |items| progress.inc(items as u64)).await?;
        progress.finish_and_clear();
        let mut known: Vec<(String, CampaignSummary)> = known.into_iter().collect();
        let latest = |known: &CampaignSummary| known.cohorts.last().map(|(cohort, _)| *cohort);
        known.sort_by_key(|(_, known)| std::cmp::Reverse(latest(known)));
        if arguments.json {
            let all: Vec<Value> = known.iter().map(|(name, known)| as_json(name, known, now)).collect();
            println!("{:#}", json!({ "campaigns": all }));
        } else {
            print_all(arguments, &known);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let campaign = Campaign::new(name).ok_or(
        "this is not a valid campaign name: 1 to 256 characters; Resend's tags allow letters, digits, - and _",
    )?;
    let since = now.minus(days(arguments.days));
    match load_campaign(&calls, table, &campaign, since).await? {
        Some(known) if arguments.json => println!("{:#}", as_json(name, &known, now)),
        Some(known) => print_one(arguments, name, &known, &policy, now),
        None => {
            let known = load_campaigns(&calls, table, now, 400, |_| {}).await?;
            let like = similar_names(name, known.keys()).join(", ");
            let all = arguments.target.command("campaigns");
            let like =
                if like.is_empty() { format!("{all} lists the campaigns") } else { format!("similar names: {like}") };
            eprintln!("rebound: there is no campaign {} in the table; {}", sanitize(name), sanitize(&like));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn figures_json(figures: &CounterTotals) -> Value {
    let mut counts: serde_json::Map<String, Value> =
        Counter::ALL.iter().map(|counter| (counter.as_str().to_owned(), json!(figures.get(*counter)))).collect();
    counts.insert("complaint_rate".to_owned(), json!(complaint_rate(figures)));
    counts.insert("hard_bounce_rate".to_owned(), json!(bounce_rate(figures)));
    counts.into()
}

fn as_json(name: &str, known: &CampaignSummary, now: UnixMillis) -> Value {
    let cohorts = known.cohorts.iter().map(|(cohort, figures)| {
        let mut line = figures_json(figures);
        if let Some(line) = line.as_object_mut() {
            line.insert("cohort".to_owned(), json!(cohort.to_string()));
        }
        line
    });
    let brake = known.state.as_ref().map(|state| {
        let brake = &state.brake;
        json!({
            "status": brake.status, "volume": brake.volume, "reason": brake.reason, "at": state.at.to_text(),
            "until": brake.until.map(UnixMillis::to_text), "warning": brake.warning,
        })
    });
    json!({
        "campaign": name, "total": figures_json(&known.total()), "last_24_hours": figures_json(&known.since(now.minus(hours(24)))),
        "brake": brake, "cohorts": cohorts.collect::<Vec<_>>(),
    })
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| "–".to_owned(), |rate| format!("{:.2} %", rate * 100.0))
}

fn status(state: Option<&BrakeState>) -> Cell {
    match state.map(|state| &state.brake) {
        None => Cell::new("open"),
        Some(brake) => {
            let colour = match brake.status {
                Status::Open => Color::Green,
                Status::Slowed => Color::Yellow,
                Status::Paused => Color::Red,
            };
            let text = match brake.status {
                Status::Slowed => format!("slowed to {} %", (brake.volume * 100.0).round()),
                other => other.as_str().to_owned(),
            };
            Cell::new(text).fg(colour)
        }
    }
}

fn print_all(arguments: &Arguments, known: &[(String, CampaignSummary)]) {
    if known.is_empty() {
        println!(
            "No campaign has emails of the last {}. Give emails a tag: `campaign`, or the tag that CAMPAIGN_TAG names.",
            count(arguments.days, "day")
        );
        return;
    }
    table_of_all(known).print();
    output::paragraph(&format!(
        "These are emails that were created in the last {}, or were scheduled and sent in this time. Opens and clicks are as Resend reports them, including those by machines.",
        count(arguments.days, "day")
    ));
}

/// A row for each campaign.
fn table_of_all(known: &[(String, CampaignSummary)]) -> Table {
    let columns = [
        Column::text("campaign"),
        Column::text("brake"),
        Column::number("sent"),
        Column::number("delivered"),
        Column::number("hard bounces"),
        Column::number("complaints"),
        Column::number("opens").least(2),
        Column::number("clicks").least(3),
        Column::text("last created (UTC)").least(1),
    ];
    let rows = known.iter().map(|(name, known)| {
        let total = known.total();
        let number = |counter| total.get(counter);
        let of_delivered = |counter| percent(rate(number(counter), number(Counter::Delivered)));
        let last = known.cohorts.last().map(|(cohort, _)| cohort.to_string()).unwrap_or_default();
        let mut row: Vec<Cell> = vec![Cell::new(sanitize(name)), status(known.state.as_ref())];
        let texts = [
            number(Counter::Sent).to_string(),
            number(Counter::Delivered).to_string(),
            percent(bounce_rate(&total)),
            percent(complaint_rate(&total)),
            of_delivered(Counter::Opened),
            of_delivered(Counter::Clicked),
            last,
        ];
        row.extend(texts.into_iter().map(Cell::new));
        row
    });
    Table::new(columns).with(rows)
}

fn print_one(arguments: &Arguments, name: &str, known: &CampaignSummary, policy: &BrakePolicy, now: UnixMillis) {
    let is_by_day = match arguments.by.as_deref() {
        Some(by) => by == "day",
        None => known.cohorts.len() > MAX_HOUR_ROWS,
    };
    let parts: Vec<(String, CounterTotals)> = match is_by_day {
        true => known.by_day(),
        false => known.cohorts.iter().map(|(cohort, figures)| (cohort.to_string(), figures.clone())).collect(),
    };
    println!("Campaign {}", sanitize(name));
    print_brake(known.state.as_ref());
    table_of_one(&parts, is_by_day, known, arguments.days, now).print();
    plot::emails(&parts);
    plot::rates(
        &known.since(now.minus(hours(24))),
        &known.total(),
        limit(&policy.bounce_limits),
        limit(&policy.complaint_limits),
        arguments.days,
    );
}

/// One row per hour or day, and two rows with the sums that the brake uses.
fn table_of_one(
    parts: &[(String, CounterTotals)],
    is_by_day: bool,
    known: &CampaignSummary,
    days: u32,
    now: UnixMillis,
) -> Table {
    let row = |(when, figures): &(String, CounterTotals)| {
        let rates = [percent(bounce_rate(figures)), percent(complaint_rate(figures))];
        let counts = Counter::ALL.iter().map(|counter| figures.get(*counter).to_string());
        std::iter::once(when.clone()).chain(counts).chain(rates).collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = parts.iter().map(row).collect();
    rows.push(row(&("24 hours".to_owned(), known.since(now.minus(hours(24))))));
    rows.push(row(&(count(days, "day"), known.total())));
    let columns = [
        Column::text(if is_by_day { "day (UTC)" } else { "hour (UTC)" }),
        Column::number("sent"),
        Column::number("delivered"),
        Column::number("delayed").least(4),
        Column::number("hard"),
        Column::number("soft").least(3),
        Column::number("complained"),
        Column::number("failed").least(5),
        Column::number("skipped").least(6),
        Column::number("opened").least(1),
        Column::number("clicked").least(2),
        Column::number("hard %"),
        Column::number("complaints %"),
    ];
    Table::new(columns).with(rows)
}

/// Returns the lowest rate that pauses a campaign.
fn limit(limits: &[Limit]) -> f64 {
    limits.iter().map(|limit| limit.rate).fold(f64::INFINITY, f64::min)
}

fn print_brake(state: Option<&BrakeState>) {
    let Some(state) = state else { return println!("No sending limit is set.\n") };
    let brake = &state.brake;
    let volume = (brake.volume * 100.0).round();
    println!("{}: {volume} % of the campaign may be sent. {}", brake.status.as_str(), sanitize(&brake.reason));
    if let Some(until) = brake.until {
        println!("It reopens automatically at {} UTC if there are no more complaints or bounces.", moment(until));
    }
    if let Some(warning) = &brake.warning {
        println!("Warning: {}", sanitize(warning));
    }
    println!();
}

#[cfg(test)]
mod tests {
    use rebound::resend::campaign::Cohort;

    use super::*;

    fn known() -> CampaignSummary {
        let mut figures = CounterTotals::default();
        for (counter, number) in
            Counter::ALL.iter().zip([1_234_567, 1_200_001, 31, 12_345, 4, 321, 1, 0, 654_321, 98_765])
        {
            figures.add(*counter, number);
        }
        let at = UnixMillis::parse("2026-11-23T13:05:00Z").unwrap();
        let cohorts = [Cohort::containing(at), Cohort::containing(at.plus(hours(1)))]
            .map(|cohort| (cohort, figures.clone()))
            .to_vec();
        CampaignSummary { cohorts, ..CampaignSummary::default() }
    }

    #[test]
    fn the_campaign_tables_fit_every_width() {
        let names = ["launch", "spring-bulbs-2026-the-second-mail-of-three", "c"];
        let all: Vec<(String, CampaignSummary)> = names.iter().map(|name| ((*name).to_owned(), known())).collect();
        assert_eq!(table_of_all(&all).faults(), Vec::<String>::new());
        let known = known();
        let parts: Vec<(String, CounterTotals)> =
            known.cohorts.iter().map(|(cohort, figures)| (cohort.to_string(), figures.clone())).collect();
        let now = UnixMillis::parse("2026-11-23T20:00:00Z").unwrap();
        let table = table_of_one(&parts, false, &known, 1, now);
        assert_eq!(table.faults(), Vec::<String>::new());
        assert!(table.render(140, false).contains(" 1 day "), "{}", table.render(140, false));
    }
}
