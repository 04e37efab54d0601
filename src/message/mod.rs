//! What people and programs are told.
//!
//! - [`alert`]: what people are told, and in which words.
//! - [`decision`]: what was decided about a person, and what is published of it.
//! - [`text`]: texts of outsiders, made safe to show.

pub mod alert;
pub mod decision;
pub mod text;
