//! The commands: their arguments and their output.

pub(crate) mod campaigns;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod followups;
pub(crate) mod forget;
pub(crate) mod hints;
pub(crate) mod list_file;
pub(crate) mod log;
pub(crate) mod replay;
pub(crate) mod simulate;
pub(crate) mod suppressions;
pub(crate) mod tail;
pub(crate) mod target;
pub(crate) mod time;
pub(crate) mod timeline;
pub(crate) mod unsubscribe_link;
