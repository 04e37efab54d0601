//! `protect`, on the embedded AWS: the effects of stored events, with any order, repetition or failure.

mod activities;
mod alerts;
mod counting;
mod crash;
mod delays;
pub(crate) mod domains;
mod hanging;
pub(crate) mod lifts;
mod once;
mod order;
mod poison;
mod soft_bounces;
mod windows;

pub(crate) use crate::support::protect::*;
