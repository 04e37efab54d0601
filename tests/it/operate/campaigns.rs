//! `campaigns`.
