//! An item of the suppressions table, converted from and to the policy's types.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::policy::suppression::{ChangeStamp, Reason, ReasonDetail, ReasonState, Suppression, SuppressionChange};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::store::client::UpdateExpression;
use crate::store::version::SeenVersion;
use crate::store::{Item, as_number, number, text};
use crate::time::UnixMillis;

/// An active reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ActiveReason {
    /// Its name, which may be one of a later version of this program.
    pub reason: String,
    /// Time of the event that set it.
    pub at: Option<UnixMillis>,
    /// The email that caused it.
    pub email_id: Option<String>,
    /// The circumstances.
    pub detail: Option<String>,
    /// Time at which it expires.
    pub until: Option<UnixMillis>,
}
/// The suppression item of one recipient, as last read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuppressionItem {
    /// The suppression state for the policy.
    pub suppression: Suppression,
    /// The version that was read.
    pub seen: SeenVersion,
    /// Attributes that this version of the program does not know: of a later version, or added by an operator. They are
    /// written back unchanged.
    others: Item,
    other_reasons: Vec<String>,
}

impl SuppressionItem {
    /// Reads an item. Invalid attributes are ignored, but a name in `reasons` always counts.
    pub fn from_item(mut item: Item) -> Self {
        let mut stored = Self { seen: SeenVersion::of(Some(&item)), ..Self::default() };
        for computed in ["recipient", "version", "until", "expires_at"] {
            item.remove(computed);
        }
        let reasons = item.remove("reasons").and_then(|set| set.as_ss().cloned().ok()).unwrap_or_default();
        for &reason in Reason::ALL {
            let map = item.remove(reason.as_str()).and_then(|map| map.as_m().cloned().ok());
            let mut record = map.as_ref().map(record_from).unwrap_or_default();
            if record == ReasonState::default() && reasons.iter().any(|name| name == reason.as_str()) {
                // Added by hand, without a time: it is active, and every newer change outranks it.
                let said = ChangeStamp { at: UnixMillis(0), message: MessageId::from_verified("") };
                record.suppressed = Some((said, ReasonDetail::default()));
            }
            if record != ReasonState::default() {
                stored.suppression.records.insert(reason, record);
            }
        }
        let known = |name: &String| Reason::ALL.iter().any(|reason| reason.as_str() == name);
        stored.other_reasons = reasons.into_iter().filter(|name| !known(name)).collect();
        stored.others = item;
        stored
    }

    /// Returns the reasons that are active at `now`. An empty list: the recipient can receive email.
    pub fn active_reasons(&self, now: UnixMillis) -> Vec<ActiveReason> {
        let of = |(reason, record): (&Reason, &ReasonState)| {
            let (said, grounds) = record.suppressed.as_ref().filter(|_| record.is_active(now))?;
            Some(ActiveReason {
                reason: reason.as_str().to_owned(),
                // Added by hand, without a time.
                at: (said.at.0 > 0).then_some(said.at),
                email_id: grounds.email_id.clone(),
                detail: grounds.detail.clone(),
                until: grounds.until,
            })
        };
        let others = self.other_reasons.iter().map(|reason| ActiveReason {
            reason: reason.clone(),
            at: None,
            email_id: None,
            detail: None,
            until: None,
        });
        self.suppression.records.iter().filter_map(of).chain(others).collect()
    }

    /// Returns the item with these changes merged in. Returns `None` if they change nothing.
    pub fn merged(&self, changes: &[SuppressionChange]) -> Option<Self> {
        let suppression = changes.iter().fold(self.suppression.clone(), Suppression::merge);
        (suppression != self.suppression).then(|| Self { suppression, ..self.clone() })
    }

    /// Returns the item to write over the one that was read, with the condition that it has not changed.
    pub fn overwrite(&self, recipient: &Recipient) -> (Item, UpdateExpression) {
        self.seen.overwrite("recipient", self.to_item(recipient))
    }

    /// The condition that the item has not changed since it was read.
    pub fn unchanged(&self) -> UpdateExpression {
        self.seen.unchanged("recipient")
    }

    /// Builds the item, without its version.
    pub fn to_item(&self, recipient: &Recipient) -> Item {
        let mut item = self.others.clone();
        item.insert("recipient".to_owned(), text(recipient.as_str()));
        for (reason, record) in &self.suppression.records {
            item.insert(reason.as_str().to_owned(), AttributeValue::M(record_to(record)));
        }
        let names = self.suppression.reasons().map(|reason| reason.as_str().to_owned());
        let reasons: Vec<String> = names.chain(self.other_reasons.iter().cloned()).collect();
        // DynamoDB has no empty sets. A reason that this version does not know may be permanent, so the item never
        // expires.
        if !reasons.is_empty() {
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        if self.other_reasons.is_empty() {
            if let Some(until) = self.suppression.until() {
                item.insert("until".to_owned(), number(until.0));
            }
            if let Some(expires_at) = self.suppression.expires_at() {
                item.insert("expires_at".to_owned(), number(expires_at.seconds()));
            }
        }
        item
    }
}

fn record_from(map: &Item) -> ReasonState {
    let millis = |name: &str| map.get(name).and_then(as_number).map(UnixMillis);
    let string = |name: &str| map.get(name).and_then(|value| value.as_s().ok()).cloned();
    let said = |at: UnixMillis, by: &str| ChangeStamp {
        at,
        message: MessageId::from_verified(string(by).unwrap_or_default()),
    };
    let grounds = || ReasonDetail { email_id: string("email_id"), detail: string("detail"), until: millis("until") };
    ReasonState {
        suppressed: millis("at").map(|at| (said(at, "message_id"), grounds())),
        lifted: millis("lifted_at").map(|at| said(at, "lifted_by")),
    }
}

fn record_to(record: &ReasonState) -> Item {
    let mut map = Item::new();
    let mut set = |name: &str, value: Option<AttributeValue>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    };
    if let Some((said, grounds)) = &record.suppressed {
        set("at", Some(number(said.at.0)));
        set("message_id", Some(text(said.message.as_str())));
        set("email_id", grounds.email_id.as_ref().map(text));
        set("detail", grounds.detail.as_ref().map(text));
        set("until", grounds.until.map(|until| number(until.0)));
    }
    if let Some(lifted) = &record.lifted {
        set("lifted_at", Some(number(lifted.at.0)));
        set("lifted_by", Some(text(lifted.message.as_str())));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::suppression::ChangeEffect;

    fn change(reason: Reason, at: i64, effect: ChangeEffect) -> SuppressionChange {
        SuppressionChange { reason, at: UnixMillis(at), message: MessageId::from_verified(format!("msg_{at}")), effect }
    }

    fn suppress(reason: Reason, at: i64, until: Option<i64>) -> SuppressionChange {
        let grounds =
            ReasonDetail { email_id: Some("e1".into()), detail: Some("why".into()), until: until.map(UnixMillis) };
        change(reason, at, ChangeEffect::Suppress(grounds))
    }

    fn ann() -> Recipient {
        Recipient::parse("ann@example.com").unwrap()
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let changes = [
            suppress(Reason::Complaint, 5, None),
            change(Reason::Complaint, 9, ChangeEffect::Lift),
            suppress(Reason::SoftBounce, 6, Some(60)),
            change(Reason::Unsubscribed, 7, ChangeEffect::Lift),
        ];
        let stored = SuppressionItem::default().merged(&changes).unwrap();
        let item = stored.to_item(&ann());
        assert_eq!(item["reasons"], AttributeValue::Ss(vec!["soft_bounce".into()]));
        assert_eq!(item["until"], number(60));
        let read = SuppressionItem::from_item(item);
        assert_eq!(read.suppression, stored.suppression);
        assert_eq!(read.merged(&changes), None, "merging the same again changes nothing");
    }

    #[test]
    fn a_tombstone_has_no_reasons_and_expires() {
        let stored = SuppressionItem::default().merged(&[change(Reason::Provider, 0, ChangeEffect::Lift)]).unwrap();
        let item = stored.to_item(&ann());
        assert!(!item.contains_key("reasons") && !item.contains_key("until"));
        assert_eq!(item["expires_at"], number(35 * 24 * 60 * 60));
    }

    #[test]
    fn what_this_version_does_not_know_survives_a_merge() {
        let by_hand = Item::from([
            ("recipient".to_owned(), text("ann@example.com")),
            ("reasons".to_owned(), AttributeValue::Ss(vec!["manual".into(), "legal_hold".into()])),
            ("note".to_owned(), text("asked us on the phone")),
        ]);
        let stored = SuppressionItem::from_item(by_hand);
        assert_eq!(stored.seen, SeenVersion::Unversioned);
        let lapsing = stored
            .merged(&[suppress(Reason::SoftBounce, 6, Some(60)), change(Reason::Manual, 7, ChangeEffect::Lift)])
            .unwrap();
        let item = lapsing.to_item(&ann());
        assert_eq!(item["note"], text("asked us on the phone"));
        assert_eq!(item["reasons"], AttributeValue::Ss(vec!["soft_bounce".into(), "legal_hold".into()]));
        assert!(!item.contains_key("expires_at"), "a reason that is not known may be permanent");
    }
}
