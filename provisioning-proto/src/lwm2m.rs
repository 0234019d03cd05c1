//! LwM2M devices: their data model in three content formats. (OMA LwM2M 1.0, 1.1 and 1.2)

mod cbor;
mod error;
mod format;
mod links;
pub mod objects;
mod path;
mod senml;
pub mod senml_cbor;
pub mod senml_json;
pub mod tlv;
mod value;

pub use error::{DecodeError, EncodeError};
pub use format::{ContentFormat, LINK_FORMAT};
pub use links::Discovery;
pub use path::{MAX_ID, Path};
pub use value::{Instance, ObjectLink, Opaque, Resource, Value};
