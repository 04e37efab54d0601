//! A campaign's webhooks, as Resend would send them, with chaos on request; and whether what Rebound made of them is right.
//!
//! - [`scenario`]: what happens to each email, and what must follow from it. Pure: made of a seed, again whenever it is needed.
//! - [`payloads`]: the webhooks' bodies, in the shapes that Resend's have.
//! - [`chaos`]: in which order they come, and what comes besides.
//! - [`send`]: sending them, and what was answered.
//! - [`used`]: whether its name and its seed are new to the tables.
//! - [`verify`]: what the tables must hold, and what they do hold.
//!
//! Nothing is kept but the seed and what came of each message, so a million events need no more memory than their places in the order.

pub mod chaos;
pub mod payloads;
pub mod scenario;
pub mod send;
pub mod used;
pub mod verify;
