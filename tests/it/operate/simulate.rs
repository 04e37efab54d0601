//! `simulate`.
