//! The stored signing secret, where the function reads it: a JSON secret in Secrets Manager, of which only Rebound's own fields change.

use rebound::aws::describe;
use rebound::time::{UnixMillis, hours};
use serde_json::{Map, Value, json};

use crate::operate::target::Target;
use crate::resend_api::SecretText;

/// The field with the secrets, the newest first, separated by spaces.
const SECRETS: &str = "RESEND_WEBHOOK_SECRET";

/// The field with the time of the last rotation.
const ROTATED_AT: &str = "ROTATED_AT";

/// Hours for which Resend signs with the old secret too.
const BOTH_SIGN_HOURS: u32 = 24;

/// A secret that can't be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretStoreError {
    /// Secrets Manager refuses the call.
    #[error("the secret {arn}: {why}; check the credentials")]
    Refused {
        /// The secret.
        arn: String,
        /// The message of Secrets Manager.
        why: String,
    },
    /// The secret's value is not a JSON object.
    #[error("the secret {0} is not a JSON object, so Rebound did not write it; it was not changed")]
    NotJson(String),
}

/// The stored signing secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredSecrets {
    /// The secrets, the newest first.
    pub secrets: Vec<SecretText>,
    /// Time of the rotation that created the first of them.
    pub rotated_at: Option<UnixMillis>,
    /// The other fields of the secret.
    others: Map<String, Value>,
}

impl StoredSecrets {
    fn from_json(mut json: Map<String, Value>) -> Self {
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let secrets = text(json.remove(SECRETS));
        let rotated_at = UnixMillis::parse(&text(json.remove(ROTATED_AT)));
        let secrets = secrets.split_whitespace().filter_map(|text| SecretText::new(text).ok()).collect();
        Self { secrets, rotated_at, others: json }
    }

    fn to_json(&self) -> Value {
        let mut json = self.others.clone();
        let secrets: Vec<&str> = self.secrets.iter().map(SecretText::expose).collect();
        json.insert(SECRETS.to_owned(), json!(secrets.join(" ")));
        if let Some(at) = self.rotated_at {
            json.insert(ROTATED_AT.to_owned(), json!(at.to_text()));
        }
        json.into()
    }

    /// The secrets after a rotation: the new one, and all earlier ones, which sign for a day or belong to other webhooks.
    pub fn rotated(&self, new: &SecretText, now: UnixMillis) -> Self {
        let old = self.secrets.iter().filter(|old| *old != new);
        let secrets = std::iter::once(new).chain(old).cloned().collect();
        Self { secrets, rotated_at: Some(now), others: self.others.clone() }
    }

    /// The secrets that are valid at `now`: `good`, and within a day of a rotation the stored ones too.
    pub fn with(&self, good: &[SecretText], now: UnixMillis) -> Self {
        let still_signs = self.rotated_at.is_some_and(|at| at.plus(hours(BOTH_SIGN_HOURS)) > now);
        let mut secrets = good.to_vec();
        let old = self.secrets.iter().filter(|secret| still_signs && !good.contains(secret));
        secrets.extend(old.cloned());
        Self { secrets, rotated_at: self.rotated_at.filter(|_| still_signs), others: self.others.clone() }
    }
}

/// Reads the stored secrets. A secret without a value has none.
pub async fn read(target: &Target, arn: &str) -> Result<StoredSecrets, SecretStoreError> {
    Ok(StoredSecrets::from_json(json_of(target, arn).await?))
}

/// Reads a field of a secret. Returns `None` if the field is missing or empty.
pub async fn field(target: &Target, arn: &str, name: &str) -> Result<Option<String>, SecretStoreError> {
    let json = json_of(target, arn).await?;
    Ok(json.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned))
}

async fn json_of(target: &Target, arn: &str) -> Result<Map<String, Value>, SecretStoreError> {
    let asked = target.aws().secrets_manager().get_secret_value().secret_id(arn).send().await;
    let answer = match asked {
        Ok(answer) => answer,
        // The secret exists, but has no value yet.
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
            return Ok(Map::new());
        }
        Err(error) => return Err(SecretStoreError::Refused { arn: arn.to_owned(), why: describe(&error) }),
    };
    match answer.secret_string().unwrap_or_default() {
        "" => Ok(Map::new()),
        text => serde_json::from_str(text).map_err(|_| SecretStoreError::NotJson(arn.to_owned())),
    }
}

/// Stores the secrets.
pub async fn write(target: &Target, arn: &str, stored: &StoredSecrets) -> Result<(), SecretStoreError> {
    let put = target.aws().secrets_manager().put_secret_value().secret_id(arn);
    let put = put.secret_string(stored.to_json().to_string()).send().await;
    put.map(|_| ()).map_err(|error| SecretStoreError::Refused { arn: arn.to_owned(), why: describe(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: char) -> SecretText {
        SecretText::new(&format!("whsec_{}", letter.to_string().repeat(32))).unwrap()
    }

    fn stored(text: &str) -> StoredSecrets {
        StoredSecrets::from_json(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_rotation_keeps_the_old_secret_for_a_day_and_other_keys() {
        let before = stored(&json!({ SECRETS: secret('a').expose(), "note": "ours" }).to_string());
        let now = UnixMillis(1_795_440_600_000);
        let rotated = before.rotated(&secret('b'), now);
        assert_eq!(rotated.secrets, [secret('b'), secret('a')]);
        let read = stored(&rotated.to_json().to_string());
        assert_eq!(read, rotated);
        assert_eq!(read.to_json()["note"], "ours");
        let soon = read.with(&[secret('b')], now.plus(hours(23)));
        assert_eq!(soon, read, "nothing to change");
        let later = read.with(&[secret('b')], now.plus(hours(24)));
        assert_eq!((later.secrets.as_slice(), later.rotated_at), ([secret('b')].as_slice(), None));
    }

    #[test]
    fn what_is_no_secret_is_dropped_and_none_is_printed() {
        let odd = stored(&json!({ SECRETS: "whsec_ nonsense" }).to_string());
        assert!(odd.secrets.len() <= 1);
        assert!(!format!("{:?}", before()).contains("aaaa"));
    }

    fn before() -> StoredSecrets {
        stored(&json!({ SECRETS: secret('a').expose() }).to_string())
    }
}
