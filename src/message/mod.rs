//! Alerts and decisions as they are published.
//!
//! - [`alert`]: notifications to operators, and their texts.
//! - `command`: commands in texts.
//! - [`decision`]: decisions about a person, and their published form.
//! - [`notification`]: the SNS notification, with a text for each kind of subscriber.
//! - [`text`]: external texts, made safe to show.

pub mod alert;
mod command;
pub mod decision;
pub mod notification;
pub mod text;
