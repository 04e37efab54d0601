//! The published form of a decision: text for people, JSON for programs, attributes for filters.

use serde_json::{Value, json};

use super::{DecidedBy, DecisionResult, Followup, Receipt};
use crate::message::command::command;
use crate::message::notification::{Notification, sms, subject};
use crate::policy::answer::{Choice, Interest};

/// Returns the notification of a decision, or `None` if nothing is published. `stack` is the name of the stack, for the
/// commands in the text.
pub fn notification(receipt: &Receipt, stack: Option<&str>) -> Result<Option<Notification>, serde_json::Error> {
    let Some(kind) = receipt.done.kind() else { return Ok(None) };
    let (title, text) = (title(receipt), text(receipt, stack));
    let severity = if receipt.done == DecisionResult::HandedToHuman { "warning" } else { "info" };
    let json = json!({
        "id": id(kind, receipt),
        "kind": kind,
        "severity": severity,
        "at": receipt.at,
        "title": title,
        "text": text,
        "campaign": receipt.campaign,
        "recipient": recipient(receipt),
        "email_id": receipt.email_id,
        "figures": figures(receipt),
        "followup": followup(receipt)?,
    });
    Ok(Some(Notification {
        subject: subject(&title),
        sms: sms(&title),
        email: text,
        json: serde_json::to_string(&json)?,
        attributes: vec![
            ("kind", kind.to_owned()),
            ("severity", severity.to_owned()),
            ("campaign", receipt.campaign.as_str().to_owned()),
        ],
    }))
}

/// Returns the follow-up as it is published. One that Rebound sends itself has no `idempotency_key` and no `tags`: a program
/// that obeys proposals must not send it too.
fn followup(receipt: &Receipt) -> Result<Value, serde_json::Error> {
    let mut json = serde_json::to_value(&receipt.followup)?;
    if receipt.done == DecisionResult::FollowupScheduled
        && let Some(followup) = json.as_object_mut()
    {
        followup.remove("idempotency_key");
        followup.remove("tags");
        followup.insert("id".to_owned(), Followup::id(&receipt.id).into());
        followup.insert("mode".to_owned(), "send".into());
    }
    Ok(json)
}

/// Returns the published id: the decision's own, with the kind in front.
fn id(kind: &str, receipt: &Receipt) -> String {
    receipt.id.replacen("decision", kind, 1)
}

/// Returns the recipient of the notification, if exactly one person is concerned.
fn recipient(receipt: &Receipt) -> Option<&str> {
    match (&receipt.followup, receipt.recipients.as_slice()) {
        (Some(followup), _) => Some(&followup.recipient),
        (None, [one]) => Some(one),
        (None, _) => None,
    }
}

fn figures(receipt: &Receipt) -> Value {
    let interest = match &receipt.choice {
        Choice::LogEngagement { interest, .. } if !receipt.opt_out_click => Some(interest.as_str()),
        _ => None,
    };
    json!({
        "event": receipt.event,
        "event_at": receipt.event_at,
        "verdict": receipt.verdict.as_str(),
        "score": receipt.score,
        "interest": interest,
        "opt_out_click": receipt.opt_out_click,
        "decided_by": receipt.asked.by,
        "model": receipt.asked.model,
        "cost_usd": receipt.asked.cost_usd,
    })
}

/// Returns the title, one line.
pub fn title(receipt: &Receipt) -> String {
    let who = recipient(receipt).map_or_else(|| format!("one of {}", receipt.recipients.len()), str::to_owned);
    let campaign = &receipt.campaign;
    match (&receipt.done, &receipt.choice) {
        (DecisionResult::EngagementLogged, _) if receipt.opt_out_click => {
            format!("Opt-out click: {who}, campaign {campaign}")
        }
        (DecisionResult::FollowupProposed, _) => format!("Follow-up proposed: {who}, campaign {campaign}"),
        (DecisionResult::FollowupScheduled, _) => format!("Follow-up scheduled: {who}, campaign {campaign}"),
        (DecisionResult::EngagementLogged, Choice::LogEngagement { interest: Interest::High, .. }) => {
            format!("High interest: {who}, campaign {campaign}")
        }
        (DecisionResult::EngagementLogged, _) => format!("Interest: {who}, campaign {campaign}"),
        (DecisionResult::HandedToHuman, _) => format!("For a person to decide: {who}, campaign {campaign}"),
        (DecisionResult::Nothing(_), _) => format!("Nothing to do: {who}, campaign {campaign}"),
    }
}

/// Returns the whole text.
pub fn text(receipt: &Receipt, stack: Option<&str>) -> String {
    let mut lines = vec![title(receipt)];
    let did = if receipt.event == "email.clicked" { "clicked" } else { "opened" };
    let mut say = |what: &str, text: &str| lines.push(format!("{what}: {text}"));
    say("What happened", &format!("{} {did} at {}", receipt.who(), receipt.event_at));
    let verdict = receipt.verdict.as_str();
    say("Verdict", &format!("{verdict}, score {} of 100: {}", receipt.score, receipt.reasons.join("; ")));
    say("Reason", receipt.choice.reason());
    match (&receipt.done, &receipt.followup) {
        (DecisionResult::FollowupScheduled, Some(followup)) => {
            say("Sent by", &format!("Rebound, not before {}", followup.not_before));
            say("Subject", &followup.subject);
            say("Text", &format!("\n\n{}\n", followup.text));
            let stop = command(stack, &format!("followups reject {}", Followup::id(&receipt.id)));
            say("What you can do", &format!("nothing is needed. To stop the follow-up, run `{stop}`."));
        }
        (_, Some(followup)) => {
            say("Not before", &followup.not_before);
            say("Subject", &followup.subject);
            say("Text", &format!("\n\n{}\n", followup.text));
            say(
                "What you can do",
                "send it yourself, or let your program send it. This is a proposal: Rebound does not send it.",
            );
        }
        (DecisionResult::Nothing(why), None) => say("What was done", &format!("nothing: {why}")),
        (DecisionResult::HandedToHuman, None) => {
            say("What you can do", "look at what this recipient did, and decide what to do next.")
        }
        (_, None) => say("What was done", "the engagement was recorded and published"),
    }
    let by = match (receipt.asked.by, &receipt.asked.model, &receipt.asked.because) {
        (DecidedBy::Claude, Some(model), _) => format!("{model}, for {:.5} US dollars", receipt.asked.cost_usd),
        (_, _, Some(because)) => format!("the built-in rules, because {because}"),
        _ => "the built-in rules".to_owned(),
    };
    say("Decided by", &by);
    say("Email", &receipt.email_id);
    say("Decision", &receipt.id);
    lines.join("\n")
}
