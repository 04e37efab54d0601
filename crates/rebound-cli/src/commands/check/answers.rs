//! The result for each address.

use rebound::policy::brake::{Brake, Status};
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::{ActiveReason, EmailKind, TOPIC_OUT};
use rebound::time::UnixMillis;
use rebound_cli::operate::check::SendCheck;
use rebound_dev::output::{self, Cell, Column, Table, moment, sanitize};
use serde_json::{Value, json};

use crate::commands::suppressions::reason_line;

/// Maximum number of addresses that are shown in a table. If there are more, each "no" is printed on a line of its own.
const MAX_TABLE_ROWS: usize = 50;

/// An address to check.
pub(super) struct CheckedAddress {
    /// The address as it was written. `None` for a line without an address.
    pub(super) written: Option<String>,
    /// The line number in the file.
    pub(super) line: Option<u64>,
    /// The parsed address, or the reason for which there is none.
    pub(super) read: Result<Recipient, String>,
    /// The remark about an unusual address, such as a probable typing error.
    pub(super) odd: Option<&'static str>,
}

impl CheckedAddress {
    fn name(&self) -> String {
        match (&self.written, self.line) {
            (Some(written), _) => sanitize(written),
            (None, Some(line)) => format!("line {line}"),
            (None, None) => String::new(),
        }
    }
}

/// The campaign of `--campaign`, and its brake if one was computed.
type RequestedCampaign = (Campaign, Option<Brake>);

/// Prints the results. If there are many, each is printed as it arrives.
pub(super) struct Answers<'a> {
    says_all: bool,
    json: bool,
    email: EmailKind<'a>,
    brake: Option<RequestedCampaign>,
    /// The first results, as long as they fit in a table.
    first: Vec<(CheckedAddress, SendCheck)>,
    asked: usize,
    refused: usize,
    without_address: usize,
    odd: usize,
}

/// Maximum number of unusual addresses that are named.
const MAX_ODD_NAMED: usize = 20;

impl<'a> Answers<'a> {
    pub(super) fn new(says_all: bool, json: bool, email: EmailKind<'a>, brake: Option<RequestedCampaign>) -> Self {
        Self { says_all, json, email, brake, first: Vec::new(), asked: 0, refused: 0, without_address: 0, odd: 0 }
    }

    /// Adds a result.
    pub(super) fn add(&mut self, asked: CheckedAddress, answer: SendCheck) {
        self.asked += 1;
        self.refused += usize::from(!answer.may_send());
        self.without_address += usize::from(asked.read.is_err() && asked.line.is_some());
        if let Some(odd) = asked.odd {
            self.odd += 1;
            if self.odd <= MAX_ODD_NAMED {
                let line = asked.line.map(|line| format!("line {line}: ")).unwrap_or_default();
                eprintln!("{line}{:?}: {odd}", sanitize(asked.written.as_deref().unwrap_or_default()));
            }
        }
        if self.json {
            println!("{}", as_json(&asked, &answer, self.email, self.brake.as_ref()));
            return;
        }
        self.first.push((asked, answer));
        if self.asked > MAX_TABLE_ROWS {
            self.print_lines();
        }
    }

    fn print_lines(&mut self) {
        for (asked, answer) in self.first.drain(..).filter(|(_, answer)| self.says_all || !answer.may_send()) {
            let word = if answer.may_send() { "yes" } else { "no" };
            println!("{word:3} {}  {}", asked.name(), why(&asked, &answer, "; "));
        }
    }

    /// Prints the rest: the table and the sums.
    pub(super) fn finish(&mut self) {
        if self.json {
            return;
        }
        if !self.first.is_empty() {
            table(self.first.drain(..)).print();
        }
        if self.asked > 1 {
            println!("{} of {} can receive email, {} must not.", self.asked - self.refused, self.asked, self.refused);
        }
        if let Some(kind) = checked_for(self.email) {
            println!("Checked for {kind}.");
        }
        match self.without_address {
            0 => {}
            1 => println!("1 line has no readable address and counts as \"no\"."),
            lines => println!("{lines} lines have no readable address and count as \"no\"."),
        }
        match self.odd {
            0 => {}
            1 => println!("1 address looks wrong; check it."),
            odd => println!("{odd} addresses look wrong; check them."),
        }
        if let Some((campaign, brake)) = &self.brake {
            print_brake(campaign, brake.as_ref());
        }
    }

    /// Returns true if every address can receive email, and the campaign is not paused.
    pub(super) fn may_all_be_sent(&self) -> bool {
        self.refused == 0 && volume(self.brake.as_ref()).is_none_or(|volume| volume > 0.0)
    }
}

fn table(answers: impl Iterator<Item = (CheckedAddress, SendCheck)>) -> Table {
    let rows = answers.map(|(asked, answer)| {
        let word = if answer.may_send() { "yes" } else { "no" };
        let why = why(&asked, &answer, "\n");
        [Cell::new(asked.name()), output::verdict(word, answer.may_send()), Cell::new(why)]
    });
    Table::new([Column::text("address"), Column::text("send?"), Column::text("reasons")]).with(rows)
}

fn print_brake(campaign: &Campaign, brake: Option<&Brake>) {
    let campaign = sanitize(campaign.as_str());
    let Some(brake) = brake else { return println!("Campaign {campaign}: no sending limit is set.") };
    let volume = match brake.status {
        Status::Open => "all of it may be sent".to_owned(),
        Status::Slowed => format!("send at most {} % of it", (brake.volume * 100.0).round()),
        Status::Paused => "send nothing".to_owned(),
    };
    println!("Campaign {campaign} is {}: {volume}. {}", brake.status.as_str(), sanitize(&brake.reason));
}

/// Returns the share of the campaign that may be sent, 0 to 1. Returns `None` without `--campaign`.
fn volume(brake: Option<&RequestedCampaign>) -> Option<f64> {
    brake.map(|(_, brake)| brake.as_ref().map_or(1.0, |brake| brake.volume))
}

/// Returns the kind of email that was asked about, as text. `None` without `--transactional` and `--topic`.
fn checked_for(email: EmailKind<'_>) -> Option<String> {
    let topic = email.topic.map(|topic| format!(" of the topic {}", sanitize(topic))).unwrap_or_default();
    match (email.transactional, email.topic) {
        (false, None) => None,
        (true, _) => Some(format!("transactional email{topic}")),
        (false, Some(_)) => Some(format!("email{topic}")),
    }
}

fn as_json(
    asked: &CheckedAddress,
    answer: &SendCheck,
    email: EmailKind<'_>,
    brake: Option<&RequestedCampaign>,
) -> Value {
    let reasons: Vec<Value> = match (&asked.read, answer) {
        (Err(why), _) => {
            answer.reasons().into_iter().map(|reason| json!({ "reason": reason, "detail": why })).collect()
        }
        (_, SendCheck::Suppressed(active)) => active.iter().map(reason_json).collect(),
        (_, SendCheck::OutOfTopic { topic, at }) => {
            vec![json!({ "reason": TOPIC_OUT, "at": at.to_text(), "topic": topic })]
        }
        _ => answer.reasons().into_iter().map(|reason| json!({ "reason": reason })).collect(),
    };
    let volume = volume(brake);
    let mut line = json!({
        "address": asked.written,
        "recipient": asked.read.as_ref().ok(),
        "may_send": answer.may_send() && volume.is_none_or(|volume| volume > 0.0),
        "reasons": reasons,
    });
    let Some(fields) = line.as_object_mut() else { return line };
    fields.extend(asked.odd.map(|odd| ("odd".to_owned(), json!(odd))));
    fields.extend(email.transactional.then(|| ("transactional".to_owned(), json!(true))));
    fields.extend(email.topic.map(|topic| ("topic".to_owned(), json!(topic))));
    fields.extend(asked.line.map(|number| ("line".to_owned(), json!(number))));
    if let Some((campaign, brake)) = brake {
        let status = brake.as_ref().map_or(Status::Open, |brake| brake.status);
        let reason = brake.as_ref().map(|brake| brake.reason.as_str());
        let campaign = json!({ "name": campaign, "status": status, "volume": volume, "reason": reason });
        fields.insert("campaign".to_owned(), campaign);
    }
    line
}

fn reason_json(active: &ActiveReason) -> Value {
    let time = |at: Option<UnixMillis>| at.map(UnixMillis::to_text);
    json!({
        "reason": active.reason, "at": time(active.at), "until": time(active.until),
        "email_id": active.email_id, "detail": active.detail,
    })
}

/// Returns the reasons against sending, as text.
fn why(asked: &CheckedAddress, answer: &SendCheck, between: &str) -> String {
    let prefix =
        asked.line.filter(|_| asked.written.is_some()).map(|line| format!("line {line}: ")).unwrap_or_default();
    match (&asked.read, answer) {
        (Err(why), _) => format!("{prefix}{}", sanitize(why)),
        (_, SendCheck::Allowed) => String::new(),
        (_, SendCheck::InvalidAddress) => "this is not a valid email address".to_owned(),
        (_, SendCheck::Forgotten) => "forgotten: erased on request, and must not get email of any kind".to_owned(),
        (_, SendCheck::Suppressed(active)) => active.iter().map(reason_line).collect::<Vec<_>>().join(between),
        (_, SendCheck::OutOfTopic { topic, at }) => {
            format!("opted out of the topic {} at {}", sanitize(topic), moment(*at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_table_fits_every_width() {
        let asked = |written: &str| CheckedAddress {
            written: Some(written.to_owned()),
            line: Some(1_234_567),
            read: Recipient::parse(written).ok_or_else(|| "this is not a valid email address".to_owned()),
            odd: None,
        };
        let active = ActiveReason {
            reason: "complaint".to_owned(),
            at: UnixMillis::parse("2026-11-23T13:05:00Z"),
            until: None,
            email_id: None,
            detail: Some("reported as spam by the recipient, as the provider says".to_owned()),
        };
        let answers = [
            (asked("Ann Lee <ann.lee.of.the.long.name@mail.example.com>"), SendCheck::Suppressed(vec![active])),
            (asked("bob@example.com"), SendCheck::Allowed),
            (asked("nobody"), SendCheck::InvalidAddress),
        ];
        assert_eq!(table(answers.into_iter()).faults(), Vec::<String>::new());
    }
}
