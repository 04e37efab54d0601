//! A record of a batch, and its event, parsed once for all steps.

use std::sync::OnceLock;

use super::event_row::EventRow;
use crate::aws::CallError;
use crate::aws::stream::StreamRecord;
use crate::policy::counting::{Increment, increments};
use crate::policy::suppression::{SuppressionEffect, suppression_effect};
use crate::resend::campaign::{Campaign, CampaignTags};
use crate::resend::event::Event;
use crate::store::outbox::ClaimOwner;

/// Maximum number of campaigns, or of calls to the queue, that are in flight at the same time.
pub(super) const MAX_CONCURRENT: usize = 8;

/// A record of the batch.
pub(super) struct BatchRecord<'a> {
    pub(super) record: &'a StreamRecord,
    /// `None` if the record cannot be read.
    event: Option<ParsedEvent<'a>>,
    /// The first error, if there was one. It ends the processing of the record.
    pub(super) error: OnceLock<CallError>,
}

/// An event of the batch, parsed.
pub(super) struct ParsedEvent<'a> {
    pub(super) row: &'a EventRow,
    /// `None` for a row in quarantine.
    pub(super) event: Option<Event<'a>>,
    /// The campaign whose counters it changes.
    pub(super) campaign: Option<Campaign>,
    pub(super) protection: SuppressionEffect,
    pub(super) counts: Vec<Increment>,
}

impl<'a> BatchRecord<'a> {
    pub(super) fn new(record: &'a StreamRecord, row: &'a Result<EventRow, CallError>, tags: &CampaignTags) -> Self {
        match row.as_ref().map_err(Clone::clone).and_then(|row| ParsedEvent::read(row, tags)) {
            Ok(event) => Self { record, event: Some(event), error: OnceLock::new() },
            Err(error) => Self { record, event: None, error: OnceLock::from(error) },
        }
    }

    /// Keeps an error, if it is the first.
    pub(super) fn fail(&self, error: &CallError) {
        let _ = self.error.set(error.clone());
    }

    /// Keeps the error of a result, if it is the first.
    pub(super) fn note(&self, result: Result<(), CallError>) {
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    /// Returns the owner of the alerts that follow from the record.
    pub(super) fn owner(&self) -> ClaimOwner {
        self.event.as_ref().map_or(ClaimOwner::Tick, |event| event.row.owner())
    }
}

/// Returns the events of a batch that have no error yet.
pub(super) fn pending<'b, 'a>(
    batch: &'b [BatchRecord<'a>],
) -> impl Iterator<Item = (&'b BatchRecord<'a>, &'b ParsedEvent<'a>)> {
    batch
        .iter()
        .filter(|record| record.error.get().is_none())
        .filter_map(|record| Some((record, record.event.as_ref()?)))
}

impl<'a> ParsedEvent<'a> {
    fn read(row: &'a EventRow, tags: &CampaignTags) -> Result<Self, CallError> {
        let Some(body) = &row.body else {
            return Ok(Self {
                row,
                event: None,
                campaign: None,
                protection: SuppressionEffect::Nothing,
                counts: Vec::new(),
            });
        };
        let event = Event::read(body).map_err(|error| CallError::Permanent(error.to_string()))?;
        let protection = suppression_effect(&event, &row.received.message, row.received.at);
        let counts = increments(&event, &row.received, &protection, tags);
        Ok(Self { row, campaign: tags.counted_for(&event), event: Some(event), protection, counts })
    }
}
