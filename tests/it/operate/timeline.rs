//! `timeline`.
