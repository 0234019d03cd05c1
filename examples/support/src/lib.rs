//! What the example programs share.

mod error;
pub mod progress;
mod stop;

pub use error::Error;
pub use stop::told_to_stop;
