//! Signed webhooks as Svix sends them, for probes, samples and tests.

use std::collections::BTreeMap;

use super::signature::SigningSecret;

/// A signed webhook: a body, and headers with its signature.
#[derive(Clone, Debug)]
pub struct SignedMessage {
    /// Id of the webhook.
    pub id: String,
    /// Headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Raw body.
    pub body: Vec<u8>,
}

impl SignedMessage {
    /// Signs a body at a time in seconds since the epoch.
    pub fn new(id: impl Into<String>, timestamp: i64, body: impl Into<Vec<u8>>, secret: &SigningSecret) -> Self {
        let (id, body) = (id.into(), body.into());
        let headers = BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("svix-id".to_owned(), id.clone()),
            ("svix-signature".to_owned(), secret.sign(&id, timestamp, &body)),
            ("svix-timestamp".to_owned(), timestamp.to_string()),
        ]);
        Self { id, headers, body }
    }
}

impl SignedMessage {
    /// Returns the HTTP request that delivers the webhook to a URL, as Svix would send it.
    pub fn request(&self, client: &reqwest::Client, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        let request = client.request(method, url).body(self.body.clone());
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

/// Returns a new random id in Svix's form.
pub fn new_message_id() -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(27).collect();
    format!("msg_{random}")
}
