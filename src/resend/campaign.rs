//! An email's campaign, and its cohort: the hour in which it was created.

use std::fmt;

use crate::resend::event::Event;
use crate::time::UnixMillis;

/// Maximum length of a campaign's name, in bytes. Resend's tags have at most 256 characters, all ASCII.
const MAX_BYTES: usize = 256;

const HOUR: i64 = 60 * 60 * 1000;

/// A campaign's name: the value of a campaign tag, or else the id of the broadcast or the template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Campaign(String);

impl Campaign {
    /// Creates a trimmed name. Returns `None` if the name is empty, longer than a tag can be, or has control
    /// characters, which must not be in a key or a message attribute.
    pub fn new(name: &str) -> Option<Self> {
        let name = name.trim();
        let usable = !name.is_empty() && name.len() <= MAX_BYTES && !name.chars().any(char::is_control);
        usable.then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of the tags that hold the campaign; the first tag that an email has counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignTags(Vec<String>);

impl CampaignTags {
    /// Reads the tag names in `CAMPAIGN_TAG`, separated by commas or spaces. The default is `campaign`, then
    /// `campaign_id`.
    pub fn new(variable: Option<&str>) -> Self {
        let named: Vec<String> = variable
            .unwrap_or_default()
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if named.is_empty() { Self(vec!["campaign".to_owned(), "campaign_id".to_owned()]) } else { Self(named) }
    }

    /// Returns the first tag name, the one to use when sending an email.
    pub fn first(&self) -> &str {
        self.0.first().map_or("campaign", String::as_str)
    }

    /// Returns the campaign in the tags of an event's email.
    pub fn tagged(&self, event: &Event<'_>) -> Option<Campaign> {
        let tags = event.tags();
        self.0.iter().find_map(|name| Campaign::new(tags.get(name)?))
    }

    /// Returns the campaign in which an event is counted: from the tag, or else the broadcast, or else the template.
    pub fn counted_for(&self, event: &Event<'_>) -> Option<Campaign> {
        self.tagged(event)
            .or_else(|| Campaign::new(&event.broadcast_id()?))
            .or_else(|| Campaign::new(&event.template_id()?))
    }
}

/// The hour in which an email was created, in UTC: `2026-11-23T13`.
///
/// Each outcome counts in the hour in which its email was created, even if it happens days later. So a rate compares
/// outcomes with their own emails, and never exceeds 100 % because two windows don't match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cohort(i64);

impl Cohort {
    /// Returns the cohort that contains a moment.
    pub fn containing(moment: UnixMillis) -> Self {
        Self(moment.0.max(0).div_euclid(HOUR) * HOUR)
    }

    /// Returns the start of the hour.
    pub fn start(self) -> UnixMillis {
        UnixMillis(self.0)
    }

    /// Parses a cohort such as `2026-11-23T13`.
    pub fn parse(text: &str) -> Option<Self> {
        let moment = UnixMillis::parse(&format!("{text}:00:00Z"))?;
        (text.len() == "2026-11-23T13".len()).then(|| Self::containing(moment))
    }
}

impl fmt::Display for Cohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hour = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{}", hour.strftime("%Y-%m-%dT%H"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(tags: &CampaignTags, data: &serde_json::Value) -> Option<String> {
        let body = serde_json::json!({ "type": "email.sent", "data": data }).to_string();
        let event = Event::read(body.as_bytes()).unwrap();
        tags.counted_for(&event).map(|campaign| campaign.0)
    }

    #[test]
    fn the_campaign_is_the_first_tag_then_broadcast_then_template() {
        let default = CampaignTags::new(None);
        for (data, expected) in [
            (serde_json::json!({ "tags": { "campaign": "a", "campaign_id": "b" }, "broadcast_id": "c" }), Some("a")),
            (serde_json::json!({ "tags": { "campaign": " ", "campaign_id": "b" } }), Some("b")),
            (serde_json::json!({ "tags": [{ "name": "campaign", "value": "a" }] }), Some("a")),
            (serde_json::json!({ "tags": { "other": "a" }, "broadcast_id": "c", "template_id": "d" }), Some("c")),
            (serde_json::json!({ "broadcast_id": null, "template_id": "d" }), Some("d")),
            (serde_json::json!({ "tags": { "campaign": "a\nb" } }), None),
            (serde_json::json!({}), None),
        ] {
            assert_eq!(campaign(&default, &data).as_deref(), expected, "{data}");
        }
        let own = CampaignTags::new(Some("list, segment"));
        assert_eq!(campaign(&own, &serde_json::json!({ "tags": { "segment": "s", "campaign": "a" } })).unwrap(), "s");
    }

    #[test]
    fn a_cohort_is_written_as_the_hour_and_read_back() {
        let moment = UnixMillis::parse("2026-11-23T13:59:59.999Z").unwrap();
        let cohort = Cohort::containing(moment);
        assert_eq!(cohort.to_string(), "2026-11-23T13");
        assert_eq!(Cohort::parse("2026-11-23T13"), Some(cohort));
        assert_eq!(cohort.start(), UnixMillis::parse("2026-11-23T13:00:00Z").unwrap());
        for not_an_hour in ["state", "2026-11-23", "2026-11-23T13:00", "ledger#1795440600"] {
            assert_eq!(Cohort::parse(not_an_hour), None, "{not_an_hour}");
        }
        assert_eq!(Cohort::containing(UnixMillis(-5)).to_string(), "1970-01-01T00");
        assert_eq!(Cohort::containing(UnixMillis(i64::MAX)).to_string().len(), 13);
    }
}
