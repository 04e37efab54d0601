//! Checks the published alerts and decisions: each id once, or, if functions were killed or have a fast clock, each id
//! with the same content.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_local::dynamodb::is_local;
use serde_json::Value;

use super::{Discrepancy, ScenarioVerifier, VerifyReport};

/// Number of messages in a page.
const PAGE_SIZE: usize = 500;

impl ScenarioVerifier<'_> {
    /// Checks the messages that the local SNS published about this campaign. SNS on AWS cannot list what it published.
    pub(super) async fn published(&self, report: &mut VerifyReport) {
        let url = self.variables.get("AWS_ENDPOINT_URL_SNS").filter(|url| is_local(url));
        let Some(url) = url else { return };
        let (client, mut after) = (rebound::web::client(), 0);
        let mut known = BTreeMap::new();
        loop {
            let url = format!("{}/?after={after}&most={PAGE_SIZE}", url.trim_end_matches('/'));
            let Ok(answer) = client.get(url).send().await else { return };
            let Ok(body) = answer.bytes().await else { return };
            let Ok(messages) = serde_json::from_slice::<Vec<Value>>(&body) else { return };
            for message in &messages {
                self.message(message, &mut known, report);
            }
            after += messages.len();
            if messages.len() < PAGE_SIZE {
                break;
            }
        }
        report.published = Some(known.len());
    }

    fn message(&self, message: &Value, known: &mut BTreeMap<String, u64>, report: &mut VerifyReport) {
        let text = |at: &str| message.pointer(at).and_then(Value::as_str).unwrap_or_default();
        if text("/message/campaign") != self.scenario.campaign.as_str() {
            return;
        }
        let id = text("/message/id");
        let content = content(message);
        // A lease is measured by the functions' clock. If that is fast, the lease ends before a slow invocation does, as after a crash.
        let may_repeat = self.options.deaths || self.clock.is_fast();
        match known.entry(id.to_owned()) {
            Entry::Vacant(new) => _ = new.insert(content),
            Entry::Occupied(_) if !may_repeat => {
                report.add(Discrepancy::Doubled, format!("{id} was published twice"));
            }
            Entry::Occupied(first) if *first.get() == content => report.repeats += 1,
            Entry::Occupied(_) => {
                report.add(Discrepancy::Wrong, format!("{id} was published again with other content"));
            }
        }
    }
}

/// A hash of a message, without the fields that SNS sets: its message id and its time.
fn content(message: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for field in ["topic_arn", "subject", "attributes", "message", "texts"] {
        message.get(field).map(Value::to_string).hash(&mut hasher);
    }
    hasher.finish()
}
