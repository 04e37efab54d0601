//! The webhook for `receive`.

use aws_local::function_url;
use rebound::resend::event::Event;
use rebound::resend::signature::{MessageId, SigningSecret};
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::row::{Row, RowMeta};
use rebound::time::UnixMillis;
use rebound_dev::{LOCAL_SECRET, samples};

use crate::BoxError;

/// The email id in the sample.
const EMAIL: &str = "0b6f3d52-9c1e-4a77-8f0d-5e2a41c97b36";

/// Retention of rows in the template, in days.
const RETENTION_DAYS: u32 = 90;

/// A delivered email, the most frequent event, with a new email id each time.
pub(crate) struct Everyday {
    sample: String,
    secret: SigningSecret,
}

impl Everyday {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let sample =
            samples::body("email.delivered").ok_or("events/ has no email.delivered.json; check it out again")?;
        Ok(Self { sample: String::from_utf8(sample.to_vec())?, secret: LOCAL_SECRET.parse()? })
    }

    fn body(&self) -> String {
        self.sample.replace(EMAIL, &email_id())
    }

    /// The event in Lambda's format.
    pub(crate) fn webhook(&self) -> String {
        let message = SignedMessage::new(new_message_id(), UnixMillis::now().seconds(), self.body(), &self.secret);
        function_url::event("POST", "/", &message.headers, &message.body).to_string()
    }

    /// The row that `receive` would store.
    pub(crate) fn row(&self) -> Result<Row, BoxError> {
        row(self.body().as_bytes(), &new_message_id(), UnixMillis::now())
    }
}

/// A new, unused email id.
pub(crate) fn email_id() -> String {
    format!("{:08x}-9c1e-4a77-8f0d-{:012x}", fastrand::u32(..), fastrand::u64(..1 << 48))
}

/// The row that `receive` stores for a webhook.
pub(crate) fn row(body: &[u8], message: &str, received_at: UnixMillis) -> Result<Row, BoxError> {
    let stamp = RowMeta { received_at, retention_days: RETENTION_DAYS };
    Ok(Row::event(&Event::read(body)?, &MessageId::from_verified(message), body, stamp)?)
}
