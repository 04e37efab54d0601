//! The commands that need no AWS account. `rebound` has them too; `rebound-dev` has only these.

pub mod demo;
pub mod dev;
pub mod sample;
pub mod values;

/// The error of any command. It is only printed.
pub type CommandError = Box<dyn std::error::Error>;

/// An environment variable, if it is set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
