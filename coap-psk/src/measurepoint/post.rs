//! The envelope in which a device posts readings, and the answer to it.

mod wire;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::object::Object;
use super::value::{Scalar, Written};
use crate::error::{Error, ErrorKind};
use wire::{Answer, Envelope, EnvelopeRef, Nothing, Params, ParamsRef, PointsRef};

/// The method of a post.
const METHOD: &str = "thing.measurepoint.post";
/// The version of the envelope.
const VERSION: &str = "1.0";
/// The code of a post that was taken.
const DONE: u16 = 200;
/// The most bytes of a message id that is a text.
const MAX_ID_LEN: usize = 64;

/// How much a post may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes of the envelope.
    pub max_len: usize,
    /// The most readings.
    pub max_points: usize,
}

impl Default for Limits {
    /// 16 kilobytes and 256 readings: EnOS advises to stay at about one kilobyte.
    fn default() -> Self {
        Self {
            max_len: 16 << 10,
            max_points: 256,
        }
    }
}

/// How a device numbers what it sends: the pages say a number, and show a text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the answer repeats what came, and nothing else comes"
)]
pub enum MessageId {
    /// As a number.
    Number(i64),
    /// As a text of at most 64 bytes.
    Text(String),
}

/// What one measurement point read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// The value.
    pub value: Scalar,
    /// How good it is, 0 to 9, where the point tells that.
    pub quality: Option<u8>,
}

impl Reading {
    /// A reading of which nothing is said but its value.
    #[must_use]
    pub const fn new(value: Scalar) -> Self {
        Self {
            value,
            quality: None,
        }
    }
}

/// Readings, as a device posts them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Post {
    /// The id of the message, which the answer repeats.
    pub id: Option<MessageId>,
    /// The readings, by the names of their points.
    pub points: BTreeMap<String, Reading>,
    /// When they were taken, in Unix milliseconds, where the device says so.
    pub time: Option<u64>,
}

impl Post {
    /// A post of these readings.
    #[must_use]
    pub const fn new(points: BTreeMap<String, Reading>) -> Self {
        Self {
            id: None,
            points,
            time: None,
        }
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// [`ErrorKind::Measurement`] when it is over a limit, not JSON of the documented form, without readings, or has a member or a
    /// point twice. What came is not in the error.
    pub fn from_json(json: &[u8], limits: &Limits) -> Result<Self, Error> {
        if json.len() > limits.max_len {
            return refuse("the envelope is over the limit");
        }
        // The source of such an error may quote what came.
        let Ok(Object(envelope)) = serde_json::from_slice::<Object<Envelope>>(json) else {
            return refuse("the envelope is not one");
        };
        let id = envelope.id.map(MessageId::from);
        let Object(Params { points, time }) = envelope.params;
        let points: BTreeMap<_, _> = points
            .0
            .into_iter()
            .map(|(name, read)| (name, read.0))
            .collect();
        if envelope.version != VERSION || envelope.method != METHOD {
            return refuse("the envelope is of another version or method");
        }
        if matches!(&id, Some(MessageId::Text(id)) if id.len() > MAX_ID_LEN) {
            return refuse("the id of the message is too long");
        }
        if points.is_empty() || points.len() > limits.max_points {
            return refuse("there are no readings, or too many");
        }
        Ok(Self { id, points, time })
    }

    /// The envelope, for the payload of a request.
    ///
    /// # Errors
    /// [`ErrorKind::Measurement`] when it cannot be written.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        to_json(&EnvelopeRef {
            id: self.id.as_ref().map(Written),
            version: VERSION,
            method: METHOD,
            params: ParamsRef {
                points: PointsRef(&self.points),
                time: self.time,
            },
        })
    }

    /// The payload of the answer to this post when it was taken; what was not taken is answered without a payload.
    ///
    /// # Errors
    /// [`ErrorKind::Measurement`] when it cannot be written.
    pub fn to_answer(&self) -> Result<Vec<u8>, Error> {
        to_json(&Answer {
            id: self.id.as_ref().map(Written),
            code: DONE,
            data: Nothing {},
        })
    }
}

fn refuse<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::with_source(ErrorKind::Measurement, reason))
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::with_source(ErrorKind::Measurement, error))
}

#[cfg(test)]
mod tests;
