//! `act`, on the embedded AWS and the local Resend: what is judged is what Resend accepted.

mod answers;
mod around;
mod crash;
mod flow;
mod load;
mod tries;
