use std::time::Duration;

use crate::mqtt::Window;

/// The settings of [`Registrations`](super::Registrations).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How long a device waits for its answer at most; by default 4 seconds, because some devices give up after 5.
    pub patience: Duration,
    /// How long an answer is held for a device that has not subscribed to it; by default 5 seconds.
    pub hold: Duration,
    /// When a former target is told although the device was not seen at the new one; by default a day.
    pub grace: Duration,
    /// How long a former target has to answer, and how long until it is told again; by default 30 seconds.
    pub retire_retry: Duration,
    /// How long until an append of which nobody knows what became of it is repeated; by default a second.
    pub append_retry: Duration,
    /// How long a command of an operator may take; by default 30 seconds.
    pub command_patience: Duration,
    /// How many operations may be open at once; by default 20,000.
    pub max_operations: usize,
    /// How many of them one tenant may have; by default half of all.
    pub max_operations_of_tenant: usize,
    /// How many requests may share an operation; by default 4.
    pub max_waiters: usize,
    /// How many commands may wait; by default 10,000.
    pub max_commands: usize,
    /// How many decisions one append may carry; by default 512.
    pub max_batch: usize,
    /// How far the hour of a password may lie from that of now.
    pub window: Window,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(4),
            hold: Duration::from_secs(5),
            grace: Duration::from_secs(86_400),
            retire_retry: Duration::from_secs(30),
            append_retry: Duration::from_secs(1),
            command_patience: Duration::from_secs(30),
            max_operations: 20_000,
            max_operations_of_tenant: 10_000,
            max_waiters: 4,
            max_commands: 10_000,
            max_batch: 512,
            window: Window::default(),
        }
    }
}
