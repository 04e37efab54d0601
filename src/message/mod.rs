//! What people and programs are told.
//!
//! - [`alert`]: what people are told, and in which words.
//! - [`decision`]: what was decided about a person, and what is published of it.
//! - [`notification`]: what is published of both, for each kind of subscriber.
//! - [`text`]: texts of outsiders, made safe to show.

pub mod alert;
pub mod decision;
pub mod notification;
pub mod text;
