//! A receipt as text.

use super::{DecidedBy, DecisionResult, Receipt};
use crate::message::text::one_line;
use crate::policy::count::count;

/// Width of the names at the beginning of the lines, in characters.
const NAME: usize = 12;

/// Returns the whole receipt as text: the event, the verdict, the source of the choice and its cost, the guards, and
/// the result.
pub fn render(receipt: &Receipt) -> String {
    let mut lines = ReceiptLines(vec![one_line(&format!("Receipt {}, of {}", receipt.id, receipt.at))]);
    let did = if receipt.event == "email.clicked" { "clicked" } else { "opened" };
    lines.say("happened", &format!("{} {did} at {}", receipt.who(), receipt.event_at));
    lines.say("", &format!("email {}, campaign {}, message {}", receipt.email_id, receipt.campaign, receipt.message));
    lines.say("verdict", &format!("{}, score {} of 100", receipt.verdict.as_str(), receipt.score));
    for reason in &receipt.reasons {
        lines.say("", &format!("- {reason}"));
    }
    lines.asked(receipt);
    lines.say("chosen", &format!("{}: {}", receipt.choice.as_str(), receipt.choice.reason()));
    for (index, guard) in receipt.guards.iter().enumerate() {
        let name = if index == 0 { "guards" } else { "" };
        lines.say(name, &format!("{:8}{:22}{}", guard.ruling.as_str(), guard.guard.as_str(), guard.why));
    }
    let done = match &receipt.done {
        DecisionResult::FollowupProposed => "follow-up proposed",
        DecisionResult::FollowupScheduled => "follow-up scheduled: Rebound sends it",
        DecisionResult::EngagementLogged => "engagement recorded and published",
        DecisionResult::HandedToHuman => "handed to a person",
        DecisionResult::Nothing(_) => "nothing",
    };
    lines.say("done", done);
    if let DecisionResult::Nothing(why) = &receipt.done {
        lines.say("", &format!("because {why}"));
    }
    if let Some(followup) = &receipt.followup {
        lines.say("follow-up", &format!("to {}, not before {}", followup.recipient, followup.not_before));
        lines.say("", &format!("key {}", followup.idempotency_key));
        lines.say("", &format!("Subject: {}", followup.subject));
        for line in followup.text.lines() {
            lines.say("", line);
        }
    }
    let facts = serde_json::to_string_pretty(&receipt.facts).unwrap_or_default();
    for (index, line) in facts.lines().enumerate() {
        lines.say(if index == 0 { "facts" } else { "" }, line);
    }
    lines.0.join("\n")
}

struct ReceiptLines(Vec<String>);

impl ReceiptLines {
    fn say(&mut self, name: &str, text: &str) {
        self.0.push(format!("  {name:NAME$}{}", one_line(text)).trim_end().to_owned());
    }

    fn asked(&mut self, receipt: &Receipt) {
        let asked = &receipt.asked;
        if let Some(model) = asked.model.as_ref().filter(|_| asked.tries > 0) {
            let tries = count(asked.tries, "attempt");
            let tokens = asked.usage.as_ref().map_or_else(
                || "tokens unknown".to_owned(),
                |usage| {
                    let read = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
                    format!("{read} input tokens, {} output tokens", usage.output_tokens)
                },
            );
            let cost = format!("{:.6} US dollars, {} ms, {tries}", asked.cost_usd, asked.ms);
            self.say("asked", &format!("{model}: {tokens}, {cost}"));
        }
        if let Some(answer) = &asked.answer {
            self.say("answered", answer);
        }
        if let Some(refused) = &asked.refused {
            self.say("rejected", refused);
        }
        let by = match asked.by {
            DecidedBy::Claude => "Claude",
            DecidedBy::Rules => "the built-in rules",
        };
        let because = asked.because.as_ref().map(|because| format!(", because: {because}")).unwrap_or_default();
        self.say("decided by", &format!("{by}{because}"));
    }
}
