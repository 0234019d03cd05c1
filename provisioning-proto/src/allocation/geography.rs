use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ErrorKind;

/// A place on the globe, in millionths of a degree.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "Degrees", into = "Degrees")]
pub struct Coordinates {
    latitude: i32,
    longitude: i32,
}

/// As it is written.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Degrees {
    latitude: i32,
    longitude: i32,
}

/// A network: the first bits of an IP address (CIDR, RFC 4632 and RFC 4291, 2.3).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Prefix {
    /// An IPv4 address in the first 32 bits, or an IPv6 address.
    bits: u128,
    length: u8,
    v6: bool,
}

/// Where networks are, by the longest prefix that holds an address.
#[derive(Clone, Debug)]
pub struct GeoTable {
    /// By family and length of prefix.
    places: BTreeMap<(bool, u8), BTreeMap<u128, Coordinates>>,
    entries: usize,
    limit: usize,
}

impl Coordinates {
    /// A latitude of -90 to 90 degrees (north is positive) and a longitude of -180 to 180 (east is positive), in millionths.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for any other.
    pub fn new(latitude: i32, longitude: i32) -> Result<Self, ErrorKind> {
        let sound = (-90_000_000..=90_000_000).contains(&latitude)
            && (-180_000_000..=180_000_000).contains(&longitude);
        sound
            .then_some(Self {
                latitude,
                longitude,
            })
            .ok_or(ErrorKind::InvalidValue)
    }

    /// Degrees north of the equator, in millionths.
    #[must_use]
    pub fn latitude(self) -> i32 {
        self.latitude
    }

    /// Degrees east of Greenwich, in millionths.
    #[must_use]
    pub fn longitude(self) -> i32 {
        self.longitude
    }

    /// A number that grows with the distance along the globe: the square of the chord between both places, a radius being 2^30.
    #[must_use]
    pub fn chord_squared(self, other: Self) -> u64 {
        let (one, two) = (self.vector(), other.vector());
        one.iter().zip(two).fold(0, |sum, (a, b)| {
            let difference = a.abs_diff(b);
            sum.wrapping_add(difference.wrapping_mul(difference))
        })
    }

    /// The place on a globe of radius 2^30. Integers, because the sine of the system differs between systems.
    fn vector(self) -> [i64; 3] {
        let (latitude, longitude) = (i64::from(self.latitude), i64::from(self.longitude));
        let level = cosine(latitude);
        [
            times(level, cosine(longitude)),
            times(level, sine(longitude)),
            sine(latitude),
        ]
    }
}

impl TryFrom<Degrees> for Coordinates {
    type Error = ErrorKind;

    fn try_from(degrees: Degrees) -> Result<Self, ErrorKind> {
        Self::new(degrees.latitude, degrees.longitude)
    }
}

impl From<Coordinates> for Degrees {
    fn from(place: Coordinates) -> Self {
        Self {
            latitude: place.latitude,
            longitude: place.longitude,
        }
    }
}

impl Prefix {
    /// The first `length` bits of an address, of which the others are 0.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`].
    pub fn new(address: IpAddr, length: u8) -> Result<Self, ErrorKind> {
        let (v6, bits) = bits(address);
        let most = if v6 { 128 } else { 32 };
        if length > most || bits != masked(bits, length) {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(Self { bits, length, v6 })
    }
}

impl FromStr for Prefix {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Self, ErrorKind> {
        let (address, length) = text.split_once('/').ok_or(ErrorKind::InvalidValue)?;
        let plain = length.bytes().all(|byte| byte.is_ascii_digit());
        let address = address.parse().map_err(|_| ErrorKind::InvalidValue)?;
        let length = length.parse().map_err(|_| ErrorKind::InvalidValue)?;
        if !plain {
            return Err(ErrorKind::InvalidValue);
        }
        Self::new(address, length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address: IpAddr = if self.v6 {
            IpAddr::V6(self.bits.into())
        } else {
            let first = u32::try_from(self.bits >> 96).unwrap_or(0);
            IpAddr::V4(first.into())
        };
        write!(f, "{address}/{}", self.length)
    }
}

impl GeoTable {
    /// An empty table that takes `limit` networks.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            places: BTreeMap::new(),
            entries: 0,
            limit,
        }
    }

    /// Says where a network is, in the place of what was said of the same network before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`].
    pub fn insert(&mut self, network: Prefix, place: Coordinates) -> Result<(), ErrorKind> {
        let of_length = self.places.entry((network.v6, network.length)).or_default();
        if !of_length.contains_key(&network.bits) {
            if self.entries >= self.limit {
                return Err(ErrorKind::Full);
            }
            self.entries = self.entries.saturating_add(1);
        }
        of_length.insert(network.bits, place);
        Ok(())
    }

    /// Where an address is. An IPv4 address within IPv6 counts as the IPv4 address that it is.
    #[must_use]
    pub fn locate(&self, address: IpAddr) -> Option<Coordinates> {
        let (v6, bits) = bits(address);
        let mut longest_first = self.places.range((v6, 0)..=(v6, 128)).rev();
        longest_first.find_map(|((_, length), places)| places.get(&masked(bits, *length)).copied())
    }
}

impl Default for GeoTable {
    /// An empty table that takes 100,000 networks.
    fn default() -> Self {
        Self::new(100_000)
    }
}

fn bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits()) << 96),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

fn masked(bits: u128, length: u8) -> u128 {
    let mask = u128::MAX
        .checked_shl(128_u32.saturating_sub(length.into()))
        .unwrap_or(0);
    bits & mask
}

const ONE: i64 = 1 << 30;
/// A millionth of a degree, in radians times 2^60.
const MICRODEGREE: i64 = 20_122_276_272;
const QUARTER: i64 = 90_000_000;

fn times(a: i64, b: i64) -> i64 {
    a.wrapping_mul(b) >> 30
}

fn cosine(microdegrees: i64) -> i64 {
    sine(QUARTER.wrapping_sub(microdegrees.wrapping_abs()))
}

/// For -270 to 180 degrees, times 2^30; exact to some 2^-24.
fn sine(microdegrees: i64) -> i64 {
    // Within a quarter, where the series is short.
    let folded = if microdegrees > QUARTER {
        QUARTER.wrapping_mul(2).wrapping_sub(microdegrees)
    } else if microdegrees < QUARTER.wrapping_neg() {
        QUARTER.wrapping_mul(-2).wrapping_sub(microdegrees)
    } else {
        microdegrees
    };
    let x = folded.wrapping_mul(MICRODEGREE) >> 30;
    let square = times(x, x);
    // x - x^3/3! + x^5/5! - ... as a nest, from the inside out.
    let nest = [156, 110, 72, 42, 20, 6]
        .iter()
        .fold(ONE, |inner, divisor| {
            ONE.wrapping_sub(times(square, inner).checked_div(*divisor).unwrap_or(0))
        });
    times(x, nest)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn place(latitude: i32, longitude: i32) -> Coordinates {
        Coordinates::new(latitude * 1_000_000, longitude * 1_000_000).unwrap()
    }

    #[test]
    fn sines_are_close_to_those_of_the_system() {
        for tenth in -1800..=1800_i64 {
            let real = (tenth as f64 / 10.0).to_radians();
            let close = |ours: i64, theirs: f64| (ours as f64 / ONE as f64 - theirs).abs() < 1e-7;
            assert!(close(sine(tenth * 100_000), real.sin()), "{tenth}");
            assert!(close(cosine(tenth * 100_000), real.cos()), "{tenth}");
        }
    }

    #[test]
    fn the_date_line_and_the_poles_are_no_borders() {
        let fiji = place(-18, 178);
        assert!(fiji.chord_squared(place(-14, -172)) < fiji.chord_squared(place(-34, 151)));
        assert!(
            place(89, 0).chord_squared(place(89, 180)) < place(89, 0).chord_squared(place(80, 0))
        );
        assert_eq!(fiji.chord_squared(fiji), 0);
        assert!(
            Coordinates::new(90_000_001, 0).is_err() && Coordinates::new(0, -180_000_001).is_err()
        );
    }

    #[test]
    fn the_longest_prefix_says_where_an_address_is() {
        let mut table = GeoTable::new(5);
        for (network, latitude) in [
            ("0.0.0.0/0", 1),
            ("10.0.0.0/8", 2),
            ("10.1.0.0/16", 3),
            ("2001:db8::/32", 4),
            ("2001:db8:1::/48", 5),
        ] {
            table
                .insert(network.parse().unwrap(), place(latitude, 0))
                .unwrap();
        }
        let at = |address: &str| {
            table
                .locate(address.parse().unwrap())
                .map(|found| found.latitude() / 1_000_000)
        };
        assert_eq!(
            (at("10.1.2.3"), at("10.2.0.0"), at("192.0.2.1")),
            (Some(3), Some(2), Some(1))
        );
        assert_eq!(
            (at("2001:db8:1::9"), at("2001:db8:2::9"), at("2001:db9::")),
            (Some(5), Some(4), None)
        );
        assert_eq!(at("::ffff:10.1.2.3"), Some(3));
        let full = table
            .clone()
            .insert("192.0.2.0/24".parse().unwrap(), place(0, 0));
        assert_eq!(full, Err(ErrorKind::Full));
        assert_eq!(
            table.insert("10.0.0.0/8".parse().unwrap(), place(9, 0)),
            Ok(())
        );
    }

    #[test]
    fn a_prefix_is_written_as_it_is_read_and_has_no_bits_behind() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "192.0.2.1/32",
            "2001:db8::/32",
            "::/0",
            "::1/128",
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::1/64",
            "::/129",
            "10.0.0.0/+8",
            "10/8",
        ] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
