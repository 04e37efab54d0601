//! The setup of queues and topics: their file, and the queues' settings.

use std::sync::Arc;

use aws_local::journal::Journal;
use aws_local::sam::TemplateError;
use aws_local::sqs::{LocalSqs, TimeScale};

use super::{ENGAGE_DEAD_LETTERS, ENGAGE_QUEUE, LocalAwsOptions, StartError};
use crate::template::template;

/// The file with the queues and topics, beside the tables' file. `None` if the tables are in memory.
pub(super) fn journal(options: &LocalAwsOptions) -> Result<Option<Arc<Journal>>, StartError> {
    let Some(data) = &options.data else { return Ok(None) };
    let file = data.with_extension("queues");
    Ok(Some(Journal::in_file(&file).map_err(|error| StartError::Journal(file, error))?))
}

/// Sets the dead-letter queue of the queue of opens and clicks, and the time scale of all queues, which follows from `settle`.
pub(super) fn set_up(sqs: &LocalSqs, options: &LocalAwsOptions) -> Result<(), TemplateError> {
    let queues = template()?.queues();
    let Some(engage) = queues.iter().find(|queue| queue.variable == "ENGAGE_QUEUE_URL") else { return Ok(()) };
    if let Some(max_receive_count) = engage.max_receive_count {
        sqs.set_redrive(ENGAGE_QUEUE, ENGAGE_DEAD_LETTERS, max_receive_count);
    }
    // A function is not faster than in the stack: its messages must stay invisible until its timeout.
    let pace =
        TimeScale::between(engage.delay, options.settle).with_min_visibility(template()?.function_timeout("engage")?);
    sqs.set_time_scale(pace);
    Ok(())
}
