//! Where in a client's data model something is.

use std::fmt;
use std::str::FromStr;

use super::DecodeError;

/// The greatest id of an object, instance or resource; 65535 is reserved. (LwM2M 1.1 Core, 7.1)
pub const MAX_ID: u16 = 65_534;

/// A path of LwM2M: the root, an object, an instance, a resource or an instance of a resource.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the data model has these levels")]
pub enum Path {
    /// `/`
    Root,
    /// `/{object}`
    Object(u16),
    /// `/{object}/{instance}`
    Instance(u16, u16),
    /// `/{object}/{instance}/{resource}`
    Resource(u16, u16, u16),
    /// `/{object}/{instance}/{resource}/{resource instance}`
    ResourceInstance(u16, u16, u16, u16),
}

impl Path {
    /// The ids from the root down, as the segments of a Uri-Path.
    #[must_use]
    pub fn segments(self) -> Vec<String> {
        let ids: &[u16] = match &self {
            Self::Root => &[],
            Self::Object(object) => &[*object],
            Self::Instance(object, instance) => &[*object, *instance],
            Self::Resource(object, instance, resource) => &[*object, *instance, *resource],
            Self::ResourceInstance(object, instance, resource, at) => {
                &[*object, *instance, *resource, *at]
            }
        };
        ids.iter().map(u16::to_string).collect()
    }

    /// The path that the segments of a Uri-Path name.
    ///
    /// # Errors
    /// [`DecodeError::Path`] unless they are at most four numbers up to [`MAX_ID`], without sign or leading zeros.
    pub fn from_segments<'a>(
        segments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, DecodeError> {
        let mut ids = [0; 4];
        let mut count = 0_usize;
        for segment in segments {
            *ids.get_mut(count).ok_or(DecodeError::Path)? = id(segment)?;
            count = count.saturating_add(1);
        }
        let [object, instance, resource, at] = ids;
        Ok(match count {
            0 => Self::Root,
            1 => Self::Object(object),
            2 => Self::Instance(object, instance),
            3 => Self::Resource(object, instance, resource),
            _ => Self::ResourceInstance(object, instance, resource, at),
        })
    }
}

/// An id as it is written: two spellings of one id must not both be valid.
fn id(text: &str) -> Result<u16, DecodeError> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let id = plain.then(|| text.parse().ok()).flatten();
    id.filter(|id| *id <= MAX_ID).ok_or(DecodeError::Path)
}

impl FromStr for Path {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        match text.strip_prefix('/').ok_or(DecodeError::Path)? {
            "" => Ok(Self::Root),
            ids => Self::from_segments(ids.split('/')),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("/"),
            Self::Object(object) => write!(f, "/{object}"),
            Self::Instance(object, instance) => write!(f, "/{object}/{instance}"),
            Self::Resource(object, instance, resource) => {
                write!(f, "/{object}/{instance}/{resource}")
            }
            Self::ResourceInstance(object, instance, resource, at) => {
                write!(f, "/{object}/{instance}/{resource}/{at}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for text in ["/", "/0", "/0/1", "/65534/0/10", "/0/1/16/3"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "0",
            "/00",
            "/01/2",
            "/+1",
            "/1/",
            "//",
            "/65535",
            "/1/2/3/4/5",
            "/1a",
            "/ 1",
            "/99999999999",
        ] {
            assert_eq!(bad.parse::<Path>(), Err(DecodeError::Path), "{bad:?}");
        }
    }

    #[test]
    fn segments_lead_back_to_the_path() {
        for path in [
            Path::Root,
            Path::Object(3),
            Path::Instance(0, 1),
            Path::Resource(1, 1, 9),
            Path::ResourceInstance(0, 1, 16, 2),
        ] {
            let segments = path.segments();
            assert_eq!(
                Path::from_segments(segments.iter().map(String::as_str)),
                Ok(path)
            );
        }
    }
}
