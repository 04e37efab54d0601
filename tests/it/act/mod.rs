//! `act`, on the embedded AWS and the local Resend: what is judged is what Resend accepted.

mod answers;
mod flow;
