//! `suppressions`.
