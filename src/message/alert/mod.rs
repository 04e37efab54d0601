//! Alerts: notifications to operators, as text and as JSON in one SNS message.

pub mod wording;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr};

use crate::message::notification::{Notification, sms, subject};
use crate::policy::ids::short_hash;
use crate::resend::campaign::Campaign;

/// Kind of an alert: the message attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A recipient reported an email as spam.
    #[strum(serialize = "complaint")]
    Complaint,
    /// A campaign's brake changed.
    #[strum(serialize = "brake")]
    Brake,
    /// An email has been delayed for too long, or its recipient was delayed again.
    #[strum(serialize = "delay")]
    Delay,
    /// One of several recipients bounced or complained, and the event does not say which one.
    #[strum(serialize = "ambiguous_bounce")]
    AmbiguousBounce,
    /// Resend could not send an email.
    #[strum(serialize = "failed")]
    Failed,
    /// A domain is no longer verified.
    #[strum(serialize = "domain")]
    Domain,
    /// A webhook can't be parsed, or an event can't be processed.
    #[strum(serialize = "quarantine")]
    Quarantine,
    /// Webhooks lifted the suppressions of many addresses.
    #[strum(serialize = "lifted")]
    Lifted,
    /// Resend refused a follow-up, or it could not be sent in time.
    #[strum(serialize = "send_failed")]
    SendFailed,
    /// It is unknown if a follow-up was sent, or it was sent under two ids.
    #[strum(serialize = "send_unknown")]
    SendUnknown,
    /// Resend refuses the API key.
    #[strum(serialize = "resend_key")]
    ResendKey,
    /// A summary of alerts that were not sent individually.
    #[strum(serialize = "digest")]
    Digest,
}

impl AlertKind {
    /// Returns the attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns true if alerts of this kind are stored in another transaction, and the tick is the first to publish them.
    pub const fn is_stored_for_tick(self) -> bool {
        matches!(self, Self::SendFailed | Self::SendUnknown | Self::ResendKey)
    }

    /// Returns true if too many alerts of this kind are grouped into a digest: every kind but the digest itself.
    pub const fn is_rate_limited(self) -> bool {
        !matches!(self, Self::Digest)
    }
}

/// Urgency of an alert: the message attribute `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    #[strum(serialize = "info")]
    Info,
    /// To be looked at today.
    #[strum(serialize = "warning")]
    Warning,
    /// To be looked at now.
    #[strum(serialize = "critical")]
    Critical,
}

impl Severity {
    /// Returns the attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An alert. Its JSON form is published to programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Id of the alert, the same at every repeat.
    pub id: String,
    /// Kind.
    pub kind: AlertKind,
    /// Urgency.
    pub severity: Severity,
    /// Time of the cause, such as `2026-11-23T13:05:00.126Z`.
    pub at: String,
    /// Title, one line.
    pub title: String,
    /// Text with three parts: what happened, what was done, what to do.
    pub text: String,
    /// The campaign, if the alert is about one.
    pub campaign: Option<Campaign>,
    /// The recipient, if the alert is about one.
    pub recipient: Option<String>,
    /// The email, if the alert is about one.
    pub email_id: Option<String>,
    /// Numbers in the alert, by name.
    pub figures: Map<String, Value>,
}

impl Alert {
    /// Returns the id of an alert with this kind and these key parts. Equal parts give the same id.
    pub fn id_of(kind: AlertKind, about: &[&str]) -> String {
        format!("{}-{}", kind.as_str(), short_hash(about))
    }

    /// Returns the campaign within which alerts of this kind are counted, or `None` if they are counted over all
    /// campaigns. Resend's failures, such as a quota or a domain, concern the whole account: they appear in every
    /// campaign at the same time.
    pub const fn counted_in(&self) -> Option<&Campaign> {
        match self.kind {
            AlertKind::Failed | AlertKind::SendFailed => None,
            _ => self.campaign.as_ref(),
        }
    }

    /// Returns the notification to publish.
    pub fn notification(&self) -> Result<Notification, serde_json::Error> {
        let mut attributes =
            vec![("kind", self.kind.as_str().to_owned()), ("severity", self.severity.as_str().to_owned())];
        attributes.extend(self.campaign.as_ref().map(|campaign| ("campaign", campaign.as_str().to_owned())));
        Ok(Notification {
            subject: subject(&self.title),
            email: self.text.clone(),
            sms: self.sms(),
            json: serde_json::to_string(self)?,
            attributes,
        })
    }

    /// Returns the text of an SMS: the title, and the beginning of the advice.
    fn sms(&self) -> String {
        let to_do = self.text.lines().find_map(|line| line.strip_prefix(wording::TO_DO)).unwrap_or_default();
        sms(&[&self.title, ". ", &wording::capital(to_do)].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn alert(title: &str) -> Alert {
        Alert {
            id: Alert::id_of(AlertKind::Complaint, &["e1", "ann@example.com"]),
            kind: AlertKind::Complaint,
            severity: Severity::Warning,
            at: UnixMillis(0).to_text(),
            title: title.to_owned(),
            text: String::new(),
            campaign: Campaign::new("a"),
            recipient: None,
            email_id: None,
            figures: Map::new(),
        }
    }

    #[test]
    fn an_id_is_stable_and_differs_if_any_part_differs() {
        let id = |kind, about: &[&str]| Alert::id_of(kind, about);
        // Frozen: a later version must not send the same alert again.
        assert_eq!(id(AlertKind::Complaint, &["e1", "ann@example.com"]), "complaint-d352d2929351afce10148edf");
        assert_ne!(id(AlertKind::Complaint, &["a", "bc"]), id(AlertKind::Complaint, &["ab", "c"]));
        assert_ne!(id(AlertKind::Complaint, &["a"]), id(AlertKind::Delay, &["a"]));
    }

    #[test]
    fn any_title_becomes_a_subject_that_sns_accepts() {
        assert_eq!(
            alert("Complaint: änn@example.com\r\nBcc: x").notification().unwrap().subject,
            "Complaint: ?nn@example.com??Bcc: x"
        );
        assert_eq!(alert(&"x".repeat(500)).notification().unwrap().subject.len(), 99);
        assert_eq!(alert(&"ö".repeat(500)).sms().chars().count(), 160);
    }

    #[test]
    fn an_sms_says_what_to_do_as_far_as_it_fits() {
        let with = |text: &str| Alert { text: text.to_owned(), ..alert("Campaign a is paused") }.sms();
        assert_eq!(
            with("Why.\nWhat you can do: stop sending it.\nEmail: e1"),
            "Campaign a is paused. Stop sending it."
        );
        assert_eq!(with("Why."), "Campaign a is paused.");
        let long = with(&format!("What you can do: {}", "stop ".repeat(100)));
        assert!(long.len() == 160 && long.ends_with("..."), "{long}");
    }

    #[test]
    fn json_has_every_field_and_null_for_a_missing_one() {
        let json = serde_json::to_value(alert("t")).unwrap();
        assert_eq!(
            (&json["kind"], &json["severity"], &json["campaign"]),
            (&"complaint".into(), &"warning".into(), &"a".into())
        );
        assert!(json["recipient"].is_null() && json.as_object().unwrap().contains_key("recipient"));
        assert_eq!(serde_json::from_value::<Alert>(json).unwrap(), alert("t"));
    }
}
