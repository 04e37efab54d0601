//! `engage`, on the embedded AWS, with a Claude stub: verdicts, decisions, and receipts, whatever Claude answers.

mod at_once;
mod binary;
mod conforms;
mod cost;
mod crash;
mod crowd;
mod flow;
mod hanging;
mod harm;
mod keys;
mod load;
mod many;
mod opt_out;
mod outage;
mod races;
mod sending;
mod twice;

pub(crate) use self::sending::SENDING;
pub(crate) use crate::support::engage::*;
pub(crate) use crate::support::protect::{DAY, HOUR, MINUTE, NOW, after};
