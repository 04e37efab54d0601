//! `connect`.
