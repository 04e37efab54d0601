//! Claiming a happening, before Claude is asked about it: so that one message of the queue asks, and no other.

use super::{Decided, Decisions, Happening, absent, begun};
use crate::aws::CallError;
use crate::store::calls::{Change, Written};
use crate::store::{Item, as_number, number, string, text};
use crate::time::UnixMillis;

/// What a claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours to decide.
    Ours,
    /// It is decided already.
    Decided(Decided),
    /// Another message is at it.
    Anothers,
}

impl Decisions {
    /// Claims a happening for `carrier`, or finds out that there is nothing to decide. A claim older than `lease` is taken over; the
    /// carrier's own begins anew.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn claim(
        &self,
        happening: &Happening,
        carrier: &str,
        now: UnixMillis,
        lease: std::time::Duration,
        expires_at: UnixMillis,
    ) -> Result<Claim, CallError> {
        let mut item = begun(happening, carrier, expires_at);
        item.insert("claimed_at".to_owned(), number(now.0));
        let stored = match self.calls.put(&self.tables.events, &item, &absent()).await? {
            Written::Done(()) => return Ok(Claim::Ours),
            Written::Refused(Some(stored)) => stored,
            Written::Refused(None) => {
                return Err(CallError::Transient("the decision's row was there, and is gone".into()));
            }
        };
        if let Some(decided) = Decided::from_item(&stored) {
            return Ok(Claim::Decided(decided));
        }
        let claimed_at = stored.get("claimed_at").and_then(as_number).unwrap_or(0);
        let is_ours = is_claimed_by(&stored, carrier);
        if is_ours && claimed_at == now.0 {
            return Ok(Claim::Ours);
        }
        if !is_ours && UnixMillis(claimed_at).plus(lease) > now {
            return Ok(Claim::Anothers);
        }
        // Another's is taken over. Our own, of an earlier delivery, begins anew, or it would be taken over while we are at it.
        let take = Change {
            update: "SET carrier = :carrier, claimed_at = :now".to_owned(),
            condition: Some("claimed_at = :seen AND attribute_not_exists(decided_at)"),
            names: Vec::new(),
            values: vec![
                (":carrier".to_owned(), text(carrier)),
                (":now".to_owned(), number(now.0)),
                (":seen".to_owned(), number(claimed_at)),
            ],
        };
        let stored = match self.calls.update(&self.tables.events, happening.key(), &take).await? {
            Written::Done(_) => return Ok(Claim::Ours),
            Written::Refused(stored) => stored.unwrap_or_default(),
        };
        Ok(match Decided::from_item(&stored) {
            Some(decided) => Claim::Decided(decided),
            // The answer to our own try was lost.
            None if is_claimed_by(&stored, carrier) => Claim::Ours,
            None => Claim::Anothers,
        })
    }
}

fn is_claimed_by(item: &Item, carrier: &str) -> bool {
    string(item, "carrier") == carrier
}
