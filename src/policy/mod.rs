//! What an event means for its recipients. Pure: no I/O, no clock, the same answer whatever order things come in.

pub mod suppression;
