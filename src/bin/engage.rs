//! `engage`: opens and clicks, as they leave the queue.

fn main() {}
