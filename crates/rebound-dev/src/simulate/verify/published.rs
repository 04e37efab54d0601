//! Checks the published alerts and decisions: each id once, or, if functions were killed, each id with the same content.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_local::dynamodb::is_local;
use serde_json::Value;

use super::{Fault, Findings, Verifier};

/// Number of messages in a page.
const AT_ONCE: usize = 500;

impl Verifier<'_> {
    /// Checks the messages that the local SNS published about this campaign. SNS on AWS cannot list what it published.
    pub(super) async fn published(&self, findings: &mut Findings) {
        let url = self.variables.get("AWS_ENDPOINT_URL_SNS").filter(|url| is_local(url));
        let Some(url) = url else { return };
        let (client, mut after) = (rebound::claude::web::client(), 0);
        let mut known = BTreeMap::new();
        loop {
            let url = format!("{}/?after={after}&most={AT_ONCE}", url.trim_end_matches('/'));
            let Ok(answer) = client.get(url).send().await else { return };
            let Ok(body) = answer.bytes().await else { return };
            let Ok(messages) = serde_json::from_slice::<Vec<Value>>(&body) else { return };
            for message in &messages {
                self.message(message, &mut known, findings);
            }
            after += messages.len();
            if messages.len() < AT_ONCE {
                break;
            }
        }
        findings.published = Some(known.len());
    }

    fn message(&self, message: &Value, known: &mut BTreeMap<String, u64>, findings: &mut Findings) {
        let text = |at: &str| message.pointer(at).and_then(Value::as_str).unwrap_or_default();
        if text("/message/campaign") != self.story.campaign.as_str() {
            return;
        }
        let id = text("/message/id");
        let content = content(message);
        match known.entry(id.to_owned()) {
            Entry::Vacant(new) => _ = new.insert(content),
            Entry::Occupied(_) if !self.looking.deaths => {
                findings.add(Fault::Doubled, format!("{id} was published twice"));
            }
            Entry::Occupied(first) if *first.get() == content => findings.repeats += 1,
            Entry::Occupied(_) => {
                findings.add(Fault::Wrong, format!("{id} was published again with other content"));
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
