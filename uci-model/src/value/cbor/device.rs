//! Whether constrained devices read CBOR as it stands.

use alloc::vec::Vec;

use super::head::Head;

/// The first byte of a float of 64 bits.
const DOUBLE: u8 = 0xfb;

/// Whether devices read an item as it stands: it has no float shorter than 64 bits, no array of integers and floats, no
/// bignum, and no integer below 64 bits. All else is a matter of form: lengths, tags, keys.
///
/// For what is not one item the answer means nothing. How deep it nests must have been checked.
pub(in super::super) fn is_for_devices(bytes: &[u8]) -> bool {
    walk(bytes).is_some()
}

/// An array or map that is not over.
struct Level {
    /// How many items are left in it; `None` when a break ends it.
    left: Option<u64>,
    /// What its numbers are, as far as that matters.
    numbers: Numbers,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Numbers {
    /// Of a map.
    Any,
    None,
    Integers,
    Floats,
}

impl Level {
    /// Counts a number; `None` when it is of another kind than those before.
    fn count(&mut self, kind: Numbers) -> Option<()> {
        match self.numbers {
            Numbers::Any => {}
            Numbers::None => self.numbers = kind,
            before => return (before == kind).then_some(()),
        }
        Some(())
    }
}

/// `None` at the first thing that devices do not read.
fn walk(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes;
    // As if the item were in an array of its own.
    let mut around = Vec::from([Level {
        left: Some(1),
        numbers: Numbers::None,
    }]);
    while let Some(level) = around.last_mut() {
        if level.left == Some(0) {
            around.pop();
            continue;
        }
        let first = *rest.first()?;
        let head = Head::read(&mut rest)?;
        match head {
            Head::Break => {
                level.left = Some(0);
                continue;
            }
            // RFC 8949, 3.4.3: without the tag, which devices pass over, a bignum is a byte string.
            Head::Tag(2 | 3) => return None,
            // It belongs to the item that follows.
            Head::Tag(_) => continue,
            _ => level.left = level.left.map(|left| left.saturating_sub(1)),
        }
        match head {
            Head::Unsigned(_) => level.count(Numbers::Integers)?,
            Head::Negative(complement) if i64::try_from(complement).is_ok() => {
                level.count(Numbers::Integers)?;
            }
            Head::Negative(_) => return None,
            Head::Float(_) if first == DOUBLE => level.count(Numbers::Floats)?,
            Head::Float(_) => return None,
            Head::Bytes(length) | Head::Text(length) => skip_string(&mut rest, length)?,
            Head::Array(left) => around.push(Level {
                left,
                numbers: Numbers::None,
            }),
            Head::Map(pairs) => around.push(Level {
                left: pairs.map(|pairs| pairs.saturating_mul(2)),
                numbers: Numbers::Any,
            }),
            Head::Bool(_) | Head::Simple | Head::Tag(_) | Head::Break => {}
        }
    }
    Some(())
}

/// Passes over the bytes of a string, or over its chunks.
fn skip_string(rest: &mut &[u8], length: Option<u64>) -> Option<()> {
    if let Some(length) = length {
        *rest = rest.get(usize::try_from(length).ok()?..)?;
        return Some(());
    }
    loop {
        match Head::read(rest)? {
            Head::Bytes(Some(length)) | Head::Text(Some(length)) => {
                *rest = rest.get(usize::try_from(length).ok()?..)?;
            }
            Head::Break => return Some(()),
            _ => return None,
        }
    }
}
