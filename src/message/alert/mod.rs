//! What people are told: one text to act on, and the same for json, in one message.

pub mod wording;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::IntoStaticStr;

use crate::message::notification::{Notification, sms, subject};
use crate::policy::ids::short_hash;
use crate::resend::campaign::Campaign;

/// What an alert is about: the message attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody called a mail spam.
    #[strum(serialize = "complaint")]
    Complaint,
    /// A campaign's brake changed.
    #[strum(serialize = "brake")]
    Brake,
    /// A mail has been delayed for too long, or again.
    #[strum(serialize = "delay")]
    Delay,
    /// One of several recipients bounced or complained, and nothing says which one.
    #[strum(serialize = "ambiguous_bounce")]
    AmbiguousBounce,
    /// Resend could not send a mail.
    #[strum(serialize = "failed")]
    Failed,
    /// A domain is no longer verified.
    #[strum(serialize = "domain")]
    Domain,
    /// A message can't be read, or an event can't be handled.
    #[strum(serialize = "quarantine")]
    Quarantine,
    /// Webhooks lifted the suppressions of many people.
    #[strum(serialize = "lifted")]
    Lifted,
    /// How many alerts were not sent one by one.
    #[strum(serialize = "digest")]
    Digest,
}

impl Kind {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns true if too many alerts of this kind are grouped into a digest: of every kind but the digest itself.
    pub const fn may_storm(self) -> bool {
        !matches!(self, Self::Digest)
    }
}

/// How much it matters: the message attribute `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[strum(serialize = "info")]
    Info,
    /// Look at it today.
    #[strum(serialize = "warning")]
    Warning,
    /// Look at it now.
    #[strum(serialize = "critical")]
    Critical,
}

impl Severity {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An alert. As JSON, it is what json get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for every repeat of the same alert.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// When that came about, `2026-11-23T13:05:00.126Z`.
    pub at: String,
    /// In one line.
    pub title: String,
    /// What happened, what was done, what to do.
    pub text: String,
    /// The campaign, where there is one.
    pub campaign: Option<Campaign>,
    /// The recipient, where it is about one.
    pub recipient: Option<String>,
    /// The email, where it is about one.
    pub email_id: Option<String>,
    /// The numbers in it, by name.
    pub figures: Map<String, Value>,
}

impl Alert {
    /// The id of the alert of this kind about these: the same whenever it is made again.
    pub fn id_of(kind: Kind, about: &[&str]) -> String {
        format!("{}-{}", kind.as_str(), short_hash(about))
    }

    /// Returns the campaign within which alerts of this kind are counted, if they are not counted over all campaigns. Resend's failures
    /// (a quota, a domain) are the account's: they come in every campaign at once.
    pub const fn counted_in(&self) -> Option<&Campaign> {
        match self.kind {
            Kind::Failed => None,
            _ => self.campaign.as_ref(),
        }
    }

    /// What is published of it.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub fn notice(&self) -> Result<Notification, serde_json::Error> {
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

    /// The text of an SMS: the title, and as much of what to do as fits.
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
            id: Alert::id_of(Kind::Complaint, &["e1", "ann@example.com"]),
            kind: Kind::Complaint,
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
    fn an_id_is_the_same_every_time_and_differs_where_anything_does() {
        let id = |kind, about: &[&str]| Alert::id_of(kind, about);
        // Frozen: a later version must not tell people again of what they were told.
        assert_eq!(id(Kind::Complaint, &["e1", "ann@example.com"]), "complaint-d352d2929351afce10148edf");
        assert_ne!(id(Kind::Complaint, &["a", "bc"]), id(Kind::Complaint, &["ab", "c"]));
        assert_ne!(id(Kind::Complaint, &["a"]), id(Kind::Delay, &["a"]));
    }

    #[test]
    fn a_subject_is_what_sns_takes_whatever_the_title_holds() {
        assert_eq!(
            alert("Complaint: änn@example.com\r\nBcc: x").notice().unwrap().subject,
            "Complaint: ?nn@example.com??Bcc: x"
        );
        assert_eq!(alert(&"x".repeat(500)).notice().unwrap().subject.len(), 99);
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
    fn machines_read_every_field_and_what_is_not_there_as_null() {
        let json = serde_json::to_value(alert("t")).unwrap();
        assert_eq!(
            (&json["kind"], &json["severity"], &json["campaign"]),
            (&"complaint".into(), &"warning".into(), &"a".into())
        );
        assert!(json["recipient"].is_null() && json.as_object().unwrap().contains_key("recipient"));
        assert_eq!(serde_json::from_value::<Alert>(json).unwrap(), alert("t"));
    }
}
