//! The authorization server side.
