//! The words that are stored and published. Other programs and later versions read them, so none may change.

use rebound::message::alert::{self, Severity};
use rebound::metrics::Metric;
use rebound::policy::answer::{Choice, Interest, RecipientToken};
use rebound::policy::brake::Status;
use rebound::policy::consent_link::ConsentPurpose;
use rebound::policy::counting::Counter;
use rebound::policy::followup::{FollowupMode, Guard, Ineligible, Ruling};
use rebound::policy::suppression::Reason;
use rebound::policy::verdict::user_agent::Class;
use rebound::policy::verdict::{Action, Verdict};
use rebound::resend::event::EventType;
use rebound::store::opt_out_write::OptOutWay;
use rebound::store::row::RowKind;
use rebound::store::{agenda, audit};
use serde::Serialize;

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(word).collect()
}

/// The words, which are also the names in JSON.
fn names<T: Copy + Serialize>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    for one in all {
        assert_eq!(serde_json::to_value(one).unwrap(), word(*one));
    }
    words(all, word)
}

#[test]
fn of_resends_events() {
    let types = [
        "email.sent",
        "email.scheduled",
        "email.delivered",
        "email.delivery_delayed",
        "email.complained",
        "email.bounced",
        "email.opened",
        "email.clicked",
        "email.received",
        "email.failed",
        "email.suppressed",
        "contact.created",
        "contact.updated",
        "contact.deleted",
        "contact.topics.updated",
        "domain.created",
        "domain.updated",
        "domain.deleted",
        "topic.created",
        "topic.updated",
        "topic.deleted",
        "suppression.added",
        "suppression.removed",
        "inbox.created",
        "inbox.updated",
        "inbox.deleted",
        "inbox.thread.created",
        "inbox.thread.folder.updated",
        "inbox.thread.assigned",
        "inbox.thread.unassigned",
        "inbox.thread.labels.updated",
        "inbox.email.received",
        "inbox.email.sent",
        "inbox.draft.created",
        "inbox.draft.updated",
        "inbox.draft.sent",
        "inbox.draft.deleted",
    ];
    assert_eq!(words(EventType::ALL, EventType::as_str), types);
}

#[test]
fn of_rows() {
    assert_eq!(words(&[RowKind::Event, RowKind::Quarantine], RowKind::as_str), ["event", "quarantine"]);
    use agenda::AgendaKind::{Brake, Delay, Digest, Domain, Lift, Publish, Push};
    let entries = [Delay, Brake, Domain, Digest, Publish, Lift, Push];
    let kinds = ["delay", "brake", "domain", "digest", "publish", "lift", "push"];
    assert_eq!(words(&entries, agenda::AgendaKind::as_str), kinds);
}

#[test]
fn of_suppressions() {
    let reasons = ["complaint", "hard_bounce", "unsubscribed", "opted_out", "soft_bounce", "provider", "manual"];
    assert_eq!(words(Reason::ALL, Reason::as_str), reasons);
    assert!(Reason::ALL.iter().all(|reason| Reason::from_text(reason.as_str()) == Some(*reason)));
    assert_eq!(Reason::from_text("Complaint"), None);
}

#[test]
fn of_consent() {
    assert_eq!(words(&[OptOutWay::OneClick, OptOutWay::Page], OptOutWay::as_str), ["one_click", "page"]);
    assert_eq!(ConsentPurpose::OptOut.as_str(), "u");
    assert_eq!(audit::RECIPIENT, "recipient");
    let metrics = [Metric::OptOuts, Metric::WrongLinks, Metric::OptOutsNotStored];
    assert_eq!(words(&metrics, Metric::name), ["OptOuts", "WrongLinks", "OptOutsNotStored"]);
}

#[test]
fn of_campaigns() {
    let counters = [
        "sent",
        "delivered",
        "delayed",
        "bounced_hard",
        "bounced_soft",
        "complained",
        "failed",
        "suppressed",
        "opened",
        "clicked",
    ];
    assert_eq!(words(Counter::ALL, Counter::as_str), counters);
    let all = [Status::Open, Status::Slowed, Status::Paused];
    assert_eq!(names(&all, Status::as_str), ["open", "slowed", "paused"]);
    assert!(all.into_iter().all(|status| Status::from_text(status.as_str()) == Some(status)));
    assert_eq!(Status::from_text("Open"), None);
}

#[test]
fn of_alerts() {
    use alert::AlertKind::{
        AmbiguousBounce, Brake, Complaint, Delay, Digest, Domain, Failed, Lifted, Quarantine, ResendKey, SendFailed,
        SendUnknown,
    };
    let all = [Complaint, Brake, Delay, AmbiguousBounce, Failed, Domain, Quarantine, Lifted, Digest];
    let kinds =
        ["complaint", "brake", "delay", "ambiguous_bounce", "failed", "domain", "quarantine", "lifted", "digest"];
    assert_eq!(names(&all, alert::AlertKind::as_str), kinds);
    let all = [SendFailed, SendUnknown, ResendKey];
    let kinds = ["send_failed", "send_unknown", "resend_key"];
    assert_eq!(names(&all, alert::AlertKind::as_str), kinds);
    let all = [Severity::Info, Severity::Warning, Severity::Critical];
    assert_eq!(names(&all, Severity::as_str), ["info", "warning", "critical"]);
}

#[test]
fn of_verdicts() {
    assert_eq!(names(Verdict::ALL, Verdict::as_str), ["human", "machine", "unsure"]);
    assert_eq!(words(&[Action::Opened, Action::Clicked], Action::as_str), ["opened", "clicked"]);
    let classes = [
        "browser on a phone",
        "browser on a tablet",
        "browser on a computer",
        "browser",
        "mail program",
        "Google's image proxy",
        "Gmail's prefetch",
        "Yahoo's image proxy",
        "Apple's privacy proxy",
        "program or bot",
        "unknown",
    ];
    assert_eq!(words(Class::ALL, Class::as_str), classes);
}

#[test]
fn of_decisions() {
    let reason = String::new;
    let choices = [
        Choice::ScheduleFollowup {
            to: RecipientToken::nth(0),
            subject: String::new(),
            message: String::new(),
            send_after_hours: 0.0,
            reason: reason(),
        },
        Choice::LogEngagement { interest: Interest::Low, reason: reason() },
        Choice::HandToHuman { reason: reason() },
        Choice::DoNothing { reason: reason() },
    ];
    let tools = ["schedule_followup", "log_engagement", "hand_to_human", "do_nothing"];
    assert_eq!(choices.each_ref().map(Choice::as_str), tools);

    let all = [Interest::Low, Interest::Medium, Interest::High];
    assert_eq!(names(&all, Interest::as_str), ["low", "medium", "high"]);
    assert!(all.into_iter().all(|interest| Interest::from_text(interest.as_str()) == Some(interest)));
    assert_eq!(Interest::from_text("Low"), None);
}

#[test]
fn of_guards() {
    let all = [
        Guard::Mode,
        Guard::Campaign,
        Guard::EventAge,
        Guard::EmailAge,
        Guard::FollowupOfFollowup,
        Guard::Suppressed,
        Guard::OptOutClick,
        Guard::Brake,
        Guard::QuietHours,
        Guard::OneForEachEmail,
        Guard::PerRecipient,
        Guard::Gap,
    ];
    let guards = [
        "mode",
        "campaign",
        "event_age",
        "email_age",
        "followup_of_followup",
        "suppressed",
        "opt_out_click",
        "brake",
        "quiet_hours",
        "one_for_each_email",
        "per_recipient",
        "gap",
    ];
    assert_eq!(names(&all, Guard::as_str), guards);
    assert_eq!(
        names(&[Ruling::Passed, Ruling::Moved, Ruling::Refused], Ruling::as_str),
        ["passed", "moved", "refused"]
    );
    assert_eq!(
        names(&[FollowupMode::Off, FollowupMode::Propose, FollowupMode::Send], FollowupMode::as_str),
        ["off", "propose", "send"]
    );

    use Ineligible::{CampaignNotAllowed, EmailTooOld, EventTooOld, IsFollowup, NoCampaign};
    let in_json = [EventTooOld, EmailTooOld, IsFollowup, NoCampaign, CampaignNotAllowed];
    let in_json = in_json.map(|why| serde_json::to_value(why).unwrap());
    assert_eq!(in_json, ["event_too_old", "email_too_old", "is_followup", "no_campaign", "campaign_not_allowed"]);
}
