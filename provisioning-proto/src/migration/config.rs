use std::time::Duration;

/// The settings of [`Migrations`](super::Migrations).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// How long until what was not answered is asked for again; doubled each time. By default 30 seconds.
    pub retry: Duration,
    /// How long that becomes at most; by default an hour.
    pub longest_retry: Duration,
    /// How long until an append of which nobody knows what became of it is repeated; by default a second.
    pub append_retry: Duration,
    /// How long a command of an operator may take; by default 30 seconds.
    pub command_patience: Duration,
    /// How many migrations are kept of a tenant, open or not; by default 100,000. Of those that have ended the oldest go.
    pub max_migrations: usize,
    /// How many commands may wait; by default 10,000.
    pub max_commands: usize,
    /// How many decisions one append may carry; by default 512.
    pub max_batch: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retry: Duration::from_secs(30),
            longest_retry: Duration::from_secs(3600),
            append_retry: Duration::from_secs(1),
            command_patience: Duration::from_secs(30),
            max_migrations: 100_000,
            max_commands: 10_000,
            max_batch: 512,
        }
    }
}
