//! What an event means, for its recipients and for its campaign. Pure: no I/O, no clock, the same answer whatever order
//! things come in.
//!
//! - [`addressees`]: whom an event is about.
//! - [`suppression`]: who must not be written to, and why.
//! - [`mod@count`]: a count with its noun.
//! - [`counting`]: which number an event adds to, and what makes it count only once.
//! - [`brake`]: how much of a campaign may still be sent.
//! - [`late`]: which emails were sent long after they were created, and which cohorts a window has.
//! - [`delay`]: whether a delayed email is news.
//! - [`soft_bounce`]: when soft bounces add up to a suppression, and when not any more.
//! - [`domain`]: whether a domain has lost its verification.
//! - [`verdict`]: whether a person or a machine opened or clicked.
//! - [`opt_out`]: by which links people opt out of email.
//! - [`answer`]: what Claude may answer, and the check of it.
//! - [`rules`]: what is done when Claude does not decide.
//! - [`followup`]: the guards before any follow-up is proposed.
//! - [`numbers`]: the limits in all of these, and their defaults.

pub mod addressees;
pub mod answer;
pub mod brake;
pub mod count;
pub mod counting;
pub mod delay;
pub mod domain;
pub mod followup;
pub mod ids;
pub mod late;
pub mod money;
pub mod numbers;
pub mod opt_out;
pub mod rules;
pub mod soft_bounce;
pub mod suppression;
pub mod verdict;
