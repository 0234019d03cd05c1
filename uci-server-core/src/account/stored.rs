//! The written form of what a ledger keeps: CBOR.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uci_model::{Content, ContentFormat};

use crate::error::{Error, ErrorKind};

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|error| Error::with_source(ErrorKind::Journal, error))?;
    Ok(bytes.into())
}

/// Total: any bytes give a value or an error; trailing bytes are an error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 256)
        .map_err(|error| Error::with_source(ErrorKind::Journal, error))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Error::with_source(ErrorKind::Journal, "trailing bytes"))
    }
}

/// A snapshot of a form that this release does not know.
pub(crate) fn unknown_format(format: u32) -> Error {
    Error::with_source(
        ErrorKind::Journal,
        format!("snapshot format {format} is unknown"),
    )
}

#[derive(Deserialize, Serialize)]
struct StoredContent {
    format: ContentFormat,
    body: Bytes,
}

impl From<&Content> for StoredContent {
    fn from(content: &Content) -> Self {
        Self {
            format: content.format(),
            body: content.body().clone(),
        }
    }
}

impl From<StoredContent> for Content {
    fn from(stored: StoredContent) -> Self {
        Self::new(stored.format, stored.body)
    }
}

/// For `#[serde(with)]` on a [`Content`].
pub(super) mod content {
    use super::{Content, Deserialize, Deserializer, Serialize, Serializer, StoredContent};

    pub(in super::super) fn serialize<S: Serializer>(
        content: &Content,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        StoredContent::from(content).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Content, D::Error> {
        StoredContent::deserialize(deserializer).map(Content::from)
    }
}

/// For `#[serde(with)]` on [`Content`] by href.
pub(super) mod contents {
    use std::collections::BTreeMap;

    use uci_model::Href;

    use super::{Content, Deserialize, Deserializer, Serializer, StoredContent};

    pub(in super::super) fn serialize<S: Serializer>(
        contents: &BTreeMap<Href, Content>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = contents
            .iter()
            .map(|(href, c)| (href, StoredContent::from(c)));
        serializer.collect_map(stored)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Href, Content>, D::Error> {
        let stored = BTreeMap::<Href, StoredContent>::deserialize(deserializer)?;
        let contents = stored.into_iter().map(|(href, c)| (href, c.into()));
        Ok(contents.collect())
    }
}
