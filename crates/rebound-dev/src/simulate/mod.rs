//! Simulates a campaign: sends its webhooks as Resend would, with deliberate faults on request, and checks Rebound's results.
//!
//! - [`scenario`]: the webhooks of each email, and the expected results. Pure: made from a seed, whenever it is needed.
//! - [`payloads`]: the bodies of the webhooks, in the formats of Resend.
//! - [`chaos`]: the order of the requests, and the deliberate faults.
//! - [`send`]: sends the requests, and checks the responses.
//! - [`used`]: checks that the campaign's name and the seed are new.
//! - [`verify`]: compares the tables with the expected results.
//!
//! Only the seed, the order of the requests and the result of each webhook are in memory, so a simulation can have a million events.

pub mod chaos;
pub mod payloads;
pub mod scenario;
pub mod send;
pub mod used;
pub mod verify;
