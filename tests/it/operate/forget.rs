//! `forget`.
