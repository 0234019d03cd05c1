//! As much of CBOR as SenML needs, read where it lies: a general reader copies strings, keys among them, to buffers that nobody
//! wipes. (RFC 8949)

use super::DecodeError;

/// How deep a value that is skipped may be nested.
const MAX_DEPTH: usize = 16;

/// The head of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// So many items follow, or as many as there are until a break.
    Array(Option<usize>),
    /// So many pairs.
    Map(Option<usize>),
    Break,
    /// A number out of range, a tag, null, a string in pieces.
    Other(u8, Option<u64>),
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Length)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn next(&mut self) -> Result<Item<'a>, DecodeError> {
        let [head] = self.take()?;
        let (major, short) = (head >> 5, head & 0x1f);
        let argument = match short {
            0..=23 => Some(u64::from(short)),
            24 => Some(u64::from(u8::from_be_bytes(self.take()?))),
            25 => Some(u64::from(u16::from_be_bytes(self.take()?))),
            26 => Some(u64::from(u32::from_be_bytes(self.take()?))),
            27 => Some(u64::from_be_bytes(self.take()?)),
            31 => None,
            _ => return Err(DecodeError::Syntax),
        };
        let count = argument.map(usize::try_from).transpose();
        let count = count.map_err(|_| DecodeError::Length)?;
        Ok(match (major, argument) {
            (0, Some(number)) => {
                i64::try_from(number).map_or(Item::Other(major, argument), Item::Integer)
            }
            // -1 - n, which is the complement.
            (1, Some(number)) => i64::try_from(number)
                .map_or(Item::Other(major, argument), |number| {
                    Item::Integer(!number)
                }),
            (2, Some(_)) => Item::Bytes(self.string(count)?),
            (3, Some(_)) => {
                let text = std::str::from_utf8(self.string(count)?);
                Item::Text(text.map_err(|_| DecodeError::Syntax)?)
            }
            (4, _) => Item::Array(count),
            (5, _) => Item::Map(count),
            (7, None) => Item::Break,
            (7, Some(number)) => simple(short, number),
            _ => Item::Other(major, argument),
        })
    }

    fn string(&mut self, length: Option<usize>) -> Result<&'a [u8], DecodeError> {
        let parts = length.and_then(|length| self.rest.split_at_checked(length));
        let (string, rest) = parts.ok_or(DecodeError::Length)?;
        self.rest = rest;
        Ok(string)
    }

    /// Skips what is left of a value whose head was read.
    pub(super) fn skip(&mut self, head: Item<'a>) -> Result<(), DecodeError> {
        self.skip_at(head, MAX_DEPTH)
    }

    fn skip_at(&mut self, head: Item<'a>, depth: usize) -> Result<(), DecodeError> {
        let below = depth.checked_sub(1).ok_or(DecodeError::TooLarge)?;
        let items = match head {
            Item::Array(count) => count,
            Item::Map(count) => match count {
                Some(pairs) => Some(pairs.checked_mul(2).ok_or(DecodeError::Length)?),
                None => None,
            },
            // A string in pieces.
            Item::Other(2 | 3, None) => None,
            Item::Other(6, Some(_)) => Some(1),
            Item::Other(0 | 1 | 7, Some(_)) => return Ok(()),
            Item::Break | Item::Other(..) => return Err(DecodeError::Syntax),
            Item::Integer(_)
            | Item::Float(_)
            | Item::Boolean(_)
            | Item::Bytes(_)
            | Item::Text(_) => return Ok(()),
        };
        let mut left = items;
        while left != Some(0) {
            let item = self.next()?;
            if item == Item::Break && left.is_none() {
                return Ok(());
            }
            self.skip_at(item, below)?;
            left = left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    }
}

fn simple<'a>(short: u8, number: u64) -> Item<'a> {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match short {
        20 => Item::Boolean(false),
        21 => Item::Boolean(true),
        25 => Item::Float(half(u16::try_from(number).unwrap_or(u16::MAX))),
        26 => Item::Float(f64::from(f32::from_bits(narrow(number)))),
        27 => Item::Float(f64::from_bits(number)),
        _ => Item::Other(7, Some(number)),
    }
}

/// A float of 16 bits. (RFC 8949, appendix D)
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(i32::from(exponent).saturating_sub(25)),
    };
    if bits & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

pub(super) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if let Ok(byte) = u8::try_from(argument) {
        if byte < 24 {
            out.push(major | byte);
        } else {
            out.extend([major | 24, byte]);
        }
    } else if let Ok(number) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend(number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend(number.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend(argument.to_be_bytes());
    }
}

pub(super) fn write_integer(out: &mut Vec<u8>, number: i64) {
    match u64::try_from(number) {
        Ok(number) => write_head(out, 0, number),
        Err(_) => write_head(out, 1, u64::from_ne_bytes((!number).to_ne_bytes())),
    }
}

pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, 3, u64::try_from(text.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, 2, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}
