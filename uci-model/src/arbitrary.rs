//! Values for fuzzing: always valid ones, so that a there-and-back target needs no filter.

use alloc::{format, string::String, vec::Vec};

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::{
    href::Href,
    ids::DeviceId,
    link::{LinkPolicy, ResourceLink},
    resource_type::{Interface, ResourceType},
    value::{Map, Value},
};

// Less than the default limit of reading, so that what is made can be read.
const MAX_DEPTH: usize = 8;

impl<'a> Arbitrary<'a> for Value {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, MAX_DEPTH)
    }
}

fn value(u: &mut Unstructured<'_>, depth_left: usize) -> Result<Value> {
    let kinds = if depth_left == 0 { 6 } else { 8 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => bool::arbitrary(u)?.into(),
        2 => u64::arbitrary(u)?.into(),
        3 => i64::arbitrary(u)?.into(),
        4 => f64::arbitrary(u)?.into(),
        5 => String::arbitrary(u)?.into(),
        6 => Value::Bytes(Vec::arbitrary(u)?),
        7 => Value::Array(several(u, |u| value(u, depth_left.saturating_sub(1)))?),
        _ => {
            let entry = |u: &mut Unstructured<'_>| {
                Ok((
                    String::arbitrary(u)?,
                    value(u, depth_left.saturating_sub(1))?,
                ))
            };
            Value::Map(Map::from_iter(several(u, entry)?))
        }
    })
}

fn several<'a, T>(
    u: &mut Unstructured<'a>,
    mut item: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while items.len() < 16 && !u.is_empty() && bool::arbitrary(u)? {
        items.push(item(u)?);
    }
    Ok(items)
}

impl<'a> Arbitrary<'a> for DeviceId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        <[u8; 16]>::arbitrary(u).map(Self::from_bytes)
    }
}

impl<'a> Arbitrary<'a> for Href {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        format!("/{}", <&str>::arbitrary(u)?)
            .parse()
            .map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for ResourceLink {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let types = several(u, |u| {
            u.choose(&[ResourceType::DEVICE, ResourceType::PLATFORM])
                .cloned()
        })?;
        let interfaces = several(u, |u| {
            u.choose(&[Interface::BASELINE, Interface::READ_WRITE])
                .cloned()
        })?;
        let mut link = Self::new(Href::arbitrary(u)?, types, interfaces);
        link.policy = LinkPolicy::new(u64::arbitrary(u)?);
        link.device_id = Option::arbitrary(u)?;
        link.anchor = Option::arbitrary(u)?;
        // Members that no field of the link takes.
        let member =
            |u: &mut Unstructured<'_>| Ok((format!("x-{}", u8::arbitrary(u)?), value(u, 2)?));
        link.extra = Map::from_iter(several(u, member)?);
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, ContentFormat, Limits};

    #[test]
    fn what_is_made_can_be_written_and_read() {
        let seed: Vec<u8> = (0..4096_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mut links = 0;
        for start in 0..64 {
            let mut u = Unstructured::new(&seed[start * 8..]);
            let value = Value::arbitrary(&mut u).unwrap();
            let bytes = value.to_cbor();
            let read = Value::from_cbor(&bytes, &Limits::default()).unwrap();
            assert_eq!(read.to_cbor(), bytes);
            if let Ok(link) = ResourceLink::arbitrary(&mut u) {
                links += 1;
                let content = Content::encode(ContentFormat::OcfCbor, &link).unwrap();
                let read: ResourceLink = content.decode_as(&Limits::default()).unwrap();
                let again = Content::encode(ContentFormat::OcfCbor, &read).unwrap();
                assert_eq!(again, content);
            }
        }
        assert!(links > 0);
    }
}
