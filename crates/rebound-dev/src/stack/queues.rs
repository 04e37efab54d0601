//! Queues and topics: where they are kept, and how the queues work.

use std::sync::Arc;

use aws_local::journal::Journal;
use aws_local::sam::TemplateError;
use aws_local::sqs::{LocalSqs, TimeScale};

use super::{ENGAGE_DEAD_LETTERS, ENGAGE_QUEUE, LocalAwsOptions, StartError};
use crate::template::template;

/// Where queues and topics are kept: beside the tables, if those are in a file.
pub(super) fn journal(options: &LocalAwsOptions) -> Result<Option<Arc<Journal>>, StartError> {
    let Some(data) = &options.data else { return Ok(None) };
    let file = data.with_extension("queues");
    Ok(Some(Journal::in_file(&file).map_err(|error| StartError::Journal(file, error))?))
}

/// Gives the queue of opens and clicks its dead letters, and all queues a pace: that at which an open or a click settles.
pub(super) fn set_up(sqs: &LocalSqs, options: &LocalAwsOptions) -> Result<(), TemplateError> {
    let queues = template()?.queues();
    let Some(engage) = queues.iter().find(|queue| queue.variable == "ENGAGE_QUEUE_URL") else { return Ok(()) };
    if let Some(max_receive_count) = engage.max_receive_count {
        sqs.set_redrive(ENGAGE_QUEUE, ENGAGE_DEAD_LETTERS, max_receive_count);
    }
    // A function takes as long as ever: what it has in hand must not come back meanwhile.
    let pace =
        TimeScale::between(engage.delay, options.settle).with_min_visibility(template()?.function_timeout("engage")?);
    sqs.set_time_scale(pace);
    Ok(())
}
