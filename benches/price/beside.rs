//! Costs outside the bill: storage, and Claude.

use aws_local::feeder::Feeder;
use aws_sdk_dynamodb::Client;
use rebound::claude::price::Price;
use rebound::config::DEFAULT_MODEL;
use rebound::policy::answer::Usage;
use rebound::policy::limits::ClaudePolicy;
use rebound::store::Item;
use rebound::store::row::item_size;
use rebound::store::tables::TABLES;
use rebound_dev::claude::{ClaudeStub, Tokens};
use rebound_dev::runner::{poll, queue_mappings};
use rebound_dev::stack::EmbeddedAws;

use crate::bill::{Bill, Line, MILLION, Used, of_function, seconds};
use crate::mix::Mix;
use crate::{Arguments, BoxError, CountedFunction, function, send, settle};

/// Bytes that DynamoDB adds to each item when it bills storage
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
const ITEM: usize = 100;

/// US dollars per GB of storage and month (<https://aws.amazon.com/dynamodb/pricing/on-demand/>).
const GB_MONTH: f64 = 0.25;

/// US dollars per GB with point-in-time recovery and month (<https://aws.amazon.com/dynamodb/pricing/on-demand/>).
const RECOVERY_GB_MONTH: f64 = 0.20;

/// The tables for which recovery is always on in the template.
const ALWAYS_RECOVERABLE: [&str; 2] = ["SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE"];

/// Number of months that events are kept by default.
const MONTHS: f64 = 3.0;

/// A budget that is never exhausted, in US dollars.
const NO_LIMIT: &str = "1000";

/// Content of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableContent {
    pub(crate) items: u64,
    /// Size as DynamoDB bills it.
    pub(crate) bytes: u64,
}

/// Reads the content of each table, by the variable with its name.
pub(crate) async fn stored(aws: &EmbeddedAws) -> Result<Vec<(&'static str, TableContent)>, BoxError> {
    let client = aws.clients().dynamodb();
    let mut all = Vec::new();
    for table in TABLES {
        let variable = table.variable;
        all.push((variable, held(&client, &aws.variable(variable).unwrap_or_default()).await?));
    }
    Ok(all)
}

async fn held(client: &Client, table: &str) -> Result<TableContent, BoxError> {
    let mut held = TableContent::default();
    let mut pages = client.scan().table_name(table).into_paginator().items().send();
    while let Some(item) = pages.next().await {
        let item: Item = item?;
        held.items += 1;
        held.bytes += (item_size(&item) + ITEM) as u64;
    }
    Ok(held)
}

/// Usage of a run with Claude.
pub(crate) struct ClaudeUsage {
    /// Number of webhooks.
    pub(crate) webhooks: f64,
    /// Usage of `engage`.
    pub(crate) engage: Used,
    /// Tokens of the Claude stub.
    pub(crate) tokens: Tokens,
}

/// Costs outside the bill for a million webhooks.
pub(crate) struct ExtraCosts {
    pub(crate) stored: Vec<(&'static str, TableContent)>,
    pub(crate) lines: Vec<Line>,
}

impl ExtraCosts {
    /// Computes the costs from the tables' content, and from a run with Claude.
    pub(crate) fn new(
        bill: &Bill,
        webhooks: f64,
        stored: Vec<(&'static str, TableContent)>,
        asking: Option<&ClaudeUsage>,
        arguments: &Arguments,
    ) -> Self {
        let gb_of = |is_meant: &dyn Fn(&str) -> bool| {
            let held = stored.iter().filter(|(table, _)| is_meant(table)).map(|(_, held)| held.bytes);
            held.sum::<u64>() as f64 / webhooks * MILLION / 1e9
        };
        let line = |what: &str, gb: f64, each: f64| Line {
            what: what.to_owned(),
            how: format!("{gb:.3} GB × {each} a GB and month × {MONTHS:.0} months"),
            usd: gb * each * MONTHS,
        };
        let is_recoverable = |table: &str| ALWAYS_RECOVERABLE.contains(&table);
        let mut lines = vec![
            line("storage", gb_of(&|_| true), GB_MONTH),
            line("point-in-time recovery of suppressions and campaigns", gb_of(&is_recoverable), RECOVERY_GB_MONTH),
            line(
                "the same of the other tables, where PointInTimeRecovery is yes",
                gb_of(&|table| !is_recoverable(table)),
                RECOVERY_GB_MONTH,
            ),
        ];
        lines.extend(asking.into_iter().flat_map(|asking| asking.lines(bill, arguments)));
        Self { stored, lines }
    }
}

impl ClaudeUsage {
    fn lines(&self, bill: &Bill, arguments: &Arguments) -> [Line; 2] {
        let factor = MILLION / self.webhooks;
        let questions = self.tokens.answers as f64 * factor;
        let each = |tokens: u64| tokens as f64 / self.tokens.answers.max(1) as f64;
        let own: f64 = of_function("engage", &self.engage, factor, arguments.call_ms).iter().map(|line| line.usd).sum();
        let waiting = seconds(questions * arguments.claude_ms / 1_000.0);
        let (input, output, price) = (each(self.tokens.input), each(self.tokens.output), price());
        [
            Line {
                what: format!("Claude ({DEFAULT_MODEL})"),
                how: format!(
                    "{questions:.0} questions × ({input:.0} tokens × {} + {output:.0} in the answer × {} a million)",
                    price.input_usd, price.output_usd
                ),
                usd: self.tokens_usd() * factor,
            },
            Line {
                what: "engage, while it asks".to_owned(),
                how: format!(
                    "its own three lines: {own:.4} in place of {:.4}; {questions:.0} × {:.0} ms of waiting × 256 MB",
                    bill.of("engage"),
                    arguments.claude_ms
                ),
                usd: own - bill.of("engage") + waiting,
            },
        ]
    }

    /// Cost of the tokens, in US dollars.
    fn tokens_usd(&self) -> f64 {
        let usage = Usage { input_tokens: self.tokens.input, output_tokens: self.tokens.output, ..Usage::default() };
        price().cost(&usage).usd()
    }
}

fn price() -> Price {
    Price::for_model(DEFAULT_MODEL, &ClaudePolicy::default())
}

/// Sends more webhooks of the mix to a service whose `engage` asks the Claude stub, without a limit.
pub(crate) async fn asking(
    arguments: &Arguments,
    aws: &EmbeddedAws,
    receive: &CountedFunction,
    feeder: &Feeder,
) -> Result<Option<ClaudeUsage>, BoxError> {
    if arguments.asked == 0 {
        return Ok(None);
    }
    let claude = ClaudeStub::start(([127, 0, 0, 1], 0).into()).await?;
    let more = [
        ("ANTHROPIC_API_KEY", "the-stub-needs-no-key"),
        ("ANTHROPIC_BASE_URL", &claude.url()),
        ("CLAUDE_DAILY_BUDGET_USD", NO_LIMIT),
    ];
    let engage = CountedFunction::start("engage", arguments, aws, &more).await?;
    let pollers = poll(aws, &queue_mappings(aws)?, |_| function::invoke(&engage.function)).await?;
    // Another seed for other emails.
    let mix = Mix::new(arguments.seed.wrapping_add(1), arguments.asked)?;
    send(arguments, &mix, &receive.function).await?;
    settle(feeder, &pollers).await;
    Ok(Some(ClaudeUsage {
        webhooks: mix.messages.len() as f64,
        engage: engage.used()?,
        tokens: claude.answered_tokens(),
    }))
}
