//! Why an exchange failed.

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// No acknowledgement, or no response, in time.
    TimedOut,
    /// The peer refused the message.
    Reset,
    /// The session ended.
    Closed,
    /// We cancelled it.
    Cancelled,
    /// The response has an option that must not be ignored and is not known, or blocks that do not fit together.
    BadResponse,
    /// The response is over the limit.
    TooLarge,
}
