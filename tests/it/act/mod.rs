//! `act`, on the embedded AWS and the local Resend: what is judged is what Resend accepted.

mod answers;
mod around;
mod crash;
mod flow;
mod load;
mod tries;

use rebound_dev::resend::ResendBehaviour;

use crate::support::act::ActHarness;

/// A refusal with this status and name.
fn error(status: u16, name: &str) -> ResendBehaviour {
    ResendBehaviour::Error { status, name: name.to_owned(), message: "No.".to_owned() }
}

/// Sets the reactions to the next emails, one after another.
fn first_emails(stage: &ActHarness, behaviours: Vec<ResendBehaviour>) {
    let mut left = behaviours.into_iter();
    stage.resend.plan(move |method, path| if (method, path) == ("POST", "/emails") { left.next() } else { None });
}
