//! `snippets`.
