//! Meaning of an event for its recipients and its campaign. Pure code without I/O or clock: the order of events never
//! changes the result.
//!
//! - [`affected`]: recipients that an event is about.
//! - [`bounce`]: hard and soft bounces.
//! - [`suppression`]: suppressed addresses, with the reasons.
//! - [`consent_link`]: signed links by which a recipient opts out.
//! - [`mod@count`]: a number with its noun.
//! - [`counting`]: counters that an event increments, the keys that make it count only once, and emails that are sent
//!   long after their creation.
//! - [`brake`]: the sending limit of a campaign.
//! - [`delay`]: delayed emails that need an alert.
//! - [`soft_bounce`]: suppression after several soft bounces, and its end.
//! - [`domain`]: domains that lost their verification.
//! - [`verdict`]: classification of opens and clicks as human, machine or unsure.
//! - [`opt_out`]: opt-out links.
//! - [`answer`]: allowed answers of Claude, and their check.
//! - [`rules`]: the built-in rules, which decide when Claude does not.
//! - [`followup`]: guards before a follow-up is proposed.
//! - [`limits`]: the limits for all of these, and their defaults.

pub mod affected;
pub mod answer;
pub mod bounce;
pub mod brake;
pub mod consent_link;
pub mod count;
pub mod counting;
pub mod delay;
pub mod domain;
pub mod followup;
pub mod ids;
pub mod limits;
pub mod money;
pub mod opt_out;
pub mod rules;
pub mod soft_bounce;
pub mod suppression;
pub mod verdict;
