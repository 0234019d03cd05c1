//! Where ledgers are kept: an append contract with optimistic versions, an in-memory and an embedded implementation, sealing of secrets.

mod append;
pub mod conformance;
mod contract;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod memory;
#[cfg(feature = "seal")]
pub mod seal;
mod writer;

pub use append::{
    Append, AppendId, Appended, MAX_ITEMS, MAX_STREAM_NAME, MAX_VALUE, REMEMBERED_APPENDS,
    StreamAppend,
};
pub use contract::{Due, Journal, Loaded, Page, SOLE_EPOCH, Snapshot};
#[cfg(feature = "embedded")]
pub use embedded::Embedded;
pub use error::{Error, ErrorKind};
pub use memory::Memory;
pub use writer::{Writer, WriterConfig};
