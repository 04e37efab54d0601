//! What the operator's command does: everything behind `rebound` that is not printing. Behind the feature `cli`.
//!
//! - [`place`]: which Rebound is meant: the stack, or the one that `rebound dev` runs on this machine.
//! - [`mod@scan`]: reading a whole table.

pub mod place;
pub mod scan;
