use super::*;
use crate::policy::limits::FollowupPolicy;
use crate::resend::campaign::Campaign;
use crate::time::UnixMillis;

mod caps;
mod quiet;

const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
const NOW: UnixMillis = UnixMillis(1_795_440_600_000); // 2026-11-23T13:30:00Z

fn ago(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 - millis)
}

#[test]
fn every_guard_is_written_by_its_name() {
    for guard in [
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
    ] {
        assert_eq!(serde_json::to_value(guard).unwrap(), guard.as_str());
    }
    for ruling in [Ruling::Passed, Ruling::Moved, Ruling::Refused] {
        assert_eq!(serde_json::to_value(ruling).unwrap(), ruling.as_str());
    }
    let answer = suppressed(&["complaint", "manual"]);
    let written = serde_json::to_string(&answer).unwrap();
    assert_eq!(
        written,
        r#"{"guard":"suppressed","ruling":"refused","why":"the recipient is suppressed: complaint, manual"}"#
    );
    assert_eq!(serde_json::from_str::<GuardResult>(&written).unwrap(), answer);
}

#[test]
fn nothing_is_sent_when_switched_off_suppressed_or_paused() {
    assert_eq!(mode(FollowupMode::Off).ruling, Ruling::Refused);
    assert_eq!(mode(FollowupMode::Propose).ruling, Ruling::Passed);
    assert_eq!(suppressed(&[]).ruling, Ruling::Passed);
    assert_eq!(suppressed(&["manual"]).ruling, Ruling::Refused);
    for (status, ruling) in [
        (Some(Status::Paused), Ruling::Refused),
        (Some(Status::Slowed), Ruling::Passed),
        (Some(Status::Open), Ruling::Passed),
        (None, Ruling::Passed),
    ] {
        assert_eq!(brake(status, None).ruling, ruling);
    }
    assert_eq!(brake(Some(Status::Paused), Some("1 %")).why, "the campaign is paused: 1 %");
}

#[test]
fn an_opt_out_click_blocks_followups_until_it_expires() {
    assert_eq!(opt_out_click(None, NOW).ruling, Ruling::Passed);
    assert_eq!(opt_out_click(Some(NOW), NOW).ruling, Ruling::Passed);
    let refused = opt_out_click(Some(UnixMillis(NOW.0 + 1)), NOW);
    assert_eq!(refused.ruling, Ruling::Refused);
    assert!(refused.why.ends_with("no follow-up until 2026-11-23T13:30:00.001Z"), "{}", refused.why);
}

#[test]
fn a_mode_is_off_propose_or_send() {
    for (text, mode) in [
        (None, FollowupMode::Propose),
        (Some(""), FollowupMode::Propose),
        (Some(" propose "), FollowupMode::Propose),
        (Some("off"), FollowupMode::Off),
        (Some("send"), FollowupMode::Send),
    ] {
        assert_eq!(FollowupMode::parse(text), Ok(mode));
    }
    for text in ["on", "Off", "approved"] {
        let error = FollowupMode::parse(Some(text)).unwrap_err().to_string();
        assert!(error.contains("off, propose or send") && error.contains(text), "{error}");
    }
}

#[test]
fn campaigns_are_allowed_by_their_names_or_all_of_them() {
    let launch = Campaign::new("launch").unwrap();
    for text in ["*", "launch", " spring , launch ", "spring,*", ",launch,"] {
        assert!(AllowedCampaigns::parse(text).allows(&launch), "{text}");
    }
    for text in ["", " ", ",", "Launch", "launch2", "lau*", "launch spring", "spring"] {
        assert!(!AllowedCampaigns::parse(text).allows(&launch), "{text}");
    }
    assert!(!AllowedCampaigns::default().allows(&launch));
}

/// The result for an eligible event after `change`.
fn decided(change: impl FnOnce(&mut EligibilityInput<'_>)) -> Result<Vec<GuardResult>, Ineligible> {
    let launch = Campaign::new("launch").unwrap();
    let allowed = AllowedCampaigns::parse("launch");
    let mut facts = EligibilityInput {
        event_at: ago(HOUR),
        email_sent_at: None,
        email_created_at: Some(ago(DAY)),
        is_followup: false,
        campaign: Some(&launch),
        allowed: &allowed,
        now: NOW,
    };
    change(&mut facts);
    check_eligibility(&facts, &FollowupPolicy::default())
}

#[test]
fn what_may_be_decided_says_which_guards_it_passed() {
    let answers = decided(|_| {}).unwrap();
    assert!(answers.iter().all(|answer| answer.ruling == Ruling::Passed));
    let guards: Vec<Guard> = answers.iter().map(|answer| answer.guard).collect();
    assert_eq!(guards, [Guard::Campaign, Guard::FollowupOfFollowup, Guard::EventAge, Guard::EmailAge]);
}

#[test]
fn no_decision_is_made_about_an_ineligible_event() {
    let event = |at| decided(|facts| facts.event_at = at).map(drop);
    assert_eq!(event(ago(48 * HOUR)), Ok(()));
    assert_eq!(event(ago(48 * HOUR + 1)), Err(Ineligible::EventTooOld));
    assert_eq!(event(ago(-HOUR)), Ok(()));
    let email = |at| decided(|facts| facts.email_created_at = at).map(drop);
    assert_eq!(email(Some(ago(14 * DAY))), Ok(()));
    assert_eq!(email(Some(ago(14 * DAY + 1))), Err(Ineligible::EmailTooOld));
    assert_eq!(email(None), Ok(()));
    let sent = |sent: i64, created: i64| {
        decided(|facts| (facts.email_sent_at, facts.email_created_at) = (Some(ago(sent)), Some(ago(created)))).map(drop)
    };
    assert_eq!(sent(14 * DAY, 40 * DAY), Ok(()), "scheduled long before");
    assert_eq!(sent(14 * DAY + 1, DAY), Err(Ineligible::EmailTooOld));
    assert_eq!(decided(|facts| facts.is_followup = true), Err(Ineligible::IsFollowup));
    assert_eq!(decided(|facts| facts.campaign = None), Err(Ineligible::NoCampaign));
    let spring = Campaign::new("spring").unwrap();
    let launch = Campaign::new("launch").unwrap();
    let allowed = AllowedCampaigns::parse("spring");
    let facts = |campaign| EligibilityInput {
        event_at: NOW,
        email_sent_at: None,
        email_created_at: None,
        is_followup: false,
        campaign: Some(campaign),
        allowed: &allowed,
        now: NOW,
    };
    assert!(check_eligibility(&facts(&spring), &FollowupPolicy::default()).is_ok());
    let other = check_eligibility(&facts(&launch), &FollowupPolicy::default()).unwrap_err();
    assert_eq!((other, other.to_string().as_str()), (Ineligible::CampaignNotAllowed, other.as_str()));
}
