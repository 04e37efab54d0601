//! The memory of idempotency keys (<https://resend.com/docs/dashboard/emails/idempotency-keys>): for 24 hours by the stub's clock. What
//! is not documented is an option, so that a client can be tested under each.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::StatusCode;
use rebound::time::UnixMillis;
use serde_json::Value;

use super::http::{ResendRequest, ResendResponse, error};

/// Time for which a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Undocumented properties of the memory of idempotency keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyMemory {
    /// True if each API key has a memory of its own; else the team has one.
    pub per_api_key: bool,
    /// True if an error response is remembered too.
    pub errors: bool,
    /// True if the 24 hours begin anew with each use of a key.
    pub from_last_use: bool,
}

impl KeyMemory {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self { per_api_key: bits & 1 > 0, errors: bits & 2 > 0, from_last_use: bits & 4 > 0 })
    }
}

struct Remembered {
    request: Value,
    response: ResendResponse,
    at: UnixMillis,
}

/// The remembered keys.
#[derive(Default)]
pub(super) struct IdempotencyKeys {
    pub(super) memory: KeyMemory,
    keys: BTreeMap<(String, String), Remembered>,
}

impl IdempotencyKeys {
    /// The remembered response to this request, or the error for a key that had another body. `None`: the key is new.
    pub(super) fn find(&mut self, api_request: &ResendRequest<'_>) -> Option<ResendResponse> {
        self.keys.retain(|_, known| known.at.plus(REMEMBERED) > api_request.now);
        let name = self.name(api_request)?;
        let known = self.keys.get_mut(&name)?;
        if known.request != api_request.body {
            let message =
                "This idempotency key has been used already on this endpoint with a different request payload.";
            return Some(error(409, "invalid_idempotent_request", message));
        }
        if self.memory.from_last_use {
            known.at = api_request.now;
        }
        Some(known.response.clone())
    }

    /// Remembers the response to this request: a success, and an error if errors are remembered.
    pub(super) fn remember(&mut self, api_request: &ResendRequest<'_>, response: &ResendResponse) {
        if response.status() != StatusCode::OK && !self.memory.errors {
            return;
        }
        if let Some(name) = self.name(api_request) {
            let (request, response) = (api_request.body.clone(), response.clone());
            self.keys.insert(name, Remembered { request, response, at: api_request.now });
        }
    }

    /// Remembers an error, if errors are remembered and the key is new.
    pub(super) fn remember_error(&mut self, api_request: &ResendRequest<'_>, response: &ResendResponse) {
        if self.find(api_request).is_none() {
            self.remember(api_request, response);
        }
    }

    fn name(&self, api_request: &ResendRequest<'_>) -> Option<(String, String)> {
        let api_key = if self.memory.per_api_key { api_request.api_key.unwrap_or_default() } else { "" };
        Some((api_key.to_owned(), api_request.idempotency_key?.to_owned()))
    }
}
