//! A value in Secrets Manager. It is read once, kept, and read again when another service rejects it, or when it is too
//! old, so a rotation needs no deployment.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::describe;

/// Parses a value from a secret's text. `Ok(None)` means that the secret has no value.
pub type Parse<T> = fn(&str) -> Result<Option<T>, String>;

/// A secret value that can be reloaded. Never printed.
pub struct Secret<T> {
    held: RwLock<Option<KnownValue<T>>>,
    manager: Option<Manager<T>>,
}

struct KnownValue<T> {
    /// The secret's text, which shows whether the secret has changed.
    text: String,
    value: Arc<T>,
    /// Time of the last read. `None` for a value that never changes.
    read_at: Option<Instant>,
}

/// Location of a secret, and the interval of its reads.
pub struct Manager<T> {
    client: Client,
    arn: String,
    parse: Parse<T>,
    interval: Duration,
    interval_while_absent: Duration,
    last_read: Mutex<Option<Instant>>,
}

impl<T> Manager<T> {
    /// Creates a source for the secret with this ARN, which is read at most once per `interval`.
    pub fn new(client: Client, arn: String, interval: Duration, parse: Parse<T>) -> Self {
        Self { client, arn, parse, interval, interval_while_absent: interval, last_read: Mutex::new(None) }
    }

    /// Sets a shorter interval while the secret has no value: an operator who has just set it is waiting.
    pub fn while_absent(self, interval: Duration) -> Self {
        Self { interval_while_absent: self.interval.min(interval), ..self }
    }

    /// Reads the secret's text, and parses its value.
    async fn read(&self) -> Result<Option<KnownValue<T>>, String> {
        let read_at = Some(Instant::now());
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let answer = answer.map_err(|error| describe(&error))?;
        let text = answer.secret_string().unwrap_or_default();
        let value = (self.parse)(text)?;
        Ok(value.map(|value| KnownValue { text: text.to_owned(), value: Arc::new(value), read_at }))
    }
}

impl<T> Secret<T> {
    /// Creates a value that never changes, or none.
    pub fn fixed(value: Option<T>) -> Self {
        let held = value.map(|value| KnownValue { text: String::new(), value: Arc::new(value), read_at: None });
        Self { held: RwLock::new(held), manager: None }
    }

    /// Creates a value that is read from a secret on first use.
    pub fn from_manager(manager: Manager<T>) -> Self {
        Self { held: RwLock::new(None), manager: Some(manager) }
    }

    /// Reads the secret for the first time, before it is needed. This does not delay the next read.
    ///
    /// # Errors
    /// Returns the reason as text if the secret cannot be read, or is invalid.
    pub async fn read_ahead(&self) -> Result<(), String> {
        if let Some(manager) = &self.manager {
            let read = manager.read().await?;
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = read;
        }
        Ok(())
    }

    /// Returns the last value that was read, if there is one. Reads nothing.
    pub fn known(&self) -> Option<Arc<T>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| Arc::clone(&held.value))
    }

    /// Returns the value. Reads it if it is not known yet, at most once per interval.
    pub async fn get(&self) -> Option<Arc<T>> {
        match self.known() {
            Some(value) => Some(value),
            None => self.reload(None).await,
        }
    }

    /// Reads the secret again if the known value is older than `max_age`, at most once per interval. Returns true if the
    /// known value is not older now. If the read fails, the error is logged, and the known value stays.
    pub async fn refresh(&self, max_age: Duration) -> bool {
        if self.is_older_than(max_age) {
            self.reload(self.known().as_ref()).await;
        }
        !self.is_older_than(max_age)
    }

    /// Returns true if there is no value, or if it was read longer than `max_age` ago.
    fn is_older_than(&self, max_age: Duration) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_none_or(|held| held.read_at.is_some_and(|at| at.elapsed() > max_age))
    }

    /// Reads the secret again, at most once per interval, after `refused` was rejected (`None`: there was no value).
    /// Returns a value that differs from `refused`: just read, or read by another request meanwhile. If the read fails,
    /// the error is logged, and the known value stays.
    pub async fn reload(&self, refused: Option<&Arc<T>>) -> Option<Arc<T>> {
        let manager = self.manager.as_ref()?;
        let mut last_read = manager.last_read.lock().await;
        let known = self.known();
        if known.is_some() && known.as_ref().map(Arc::as_ptr) != refused.map(Arc::as_ptr) {
            return known;
        }
        let interval = if known.is_none() { manager.interval_while_absent } else { manager.interval };
        if last_read.is_some_and(|at| at.elapsed() < interval) {
            return None;
        }
        *last_read = Some(Instant::now());
        let read = match manager.read().await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error, secret = manager.arn, "a secret can't be read");
                return None;
            }
        };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some(old), Some(new)) = (&mut *held, &read)
            && old.text == new.text
        {
            old.read_at = new.read_at;
            return None;
        }
        *held = read;
        held.as_ref().map(|held| Arc::clone(&held.value))
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
