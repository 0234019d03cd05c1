//! A device-side cloud that a person can run: the family composed into one program.

mod admin;
mod args;
mod certificates;
mod clock;
mod config;
mod demo;
mod error;
mod https;
mod outbound;
mod signing;
mod store;
mod users;

fn main() {}
