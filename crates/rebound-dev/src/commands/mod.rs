//! Commands that need no account: the operator's command has them, and `rebound-dev` has nothing else.

pub mod demo;
pub mod dev;
pub mod sample;
pub mod values;

/// What any command may fail with; it is only ever printed.
pub type CommandError = Box<dyn std::error::Error>;

/// An environment variable, if it is set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
