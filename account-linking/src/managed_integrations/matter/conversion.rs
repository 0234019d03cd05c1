//! How the values of a property and of an attribute follow from one another.

use crate::managed_integrations::matter::{Representation, Unmapped};
use crate::managed_integrations::value::Value;

/// How the values of a property and of an attribute follow from one another.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Conversion {
    /// Both are booleans of the same meaning.
    Boolean,
    /// Both are booleans of opposite meanings.
    Opposite,
    /// A boolean, and bit 0 of a bitmap.
    Bit,
    /// A boolean, and 0 for false or any other number for true; this one is written.
    Alarm {
        /// The number that is written for true.
        alarm: i64,
    },
    /// A number, and that number times `factor`, from `min` to `max`.
    Factor {
        /// Units of the attribute in one of the property.
        factor: f64,
        /// The least value of the attribute.
        min: i64,
        /// The greatest value of the attribute.
        max: i64,
    },
    /// A number in the resource's `range`, or 0 to 100 without one, and 0 to `max`.
    Level {
        /// The value of the attribute at the upper end.
        max: i64,
        /// Whether the attribute is 0 at the upper end instead.
        inverted: bool,
    },
    /// A number in the resource's `range`, and off, low, medium or high: 0 to 3.
    FanMode,
    /// A temperature in the resource's `units` (C without them), and 0.01 °C.
    Temperature,
    /// Lux, and 10,000 times their logarithm, plus 1.
    Illuminance,
    /// Words of the property, and their numbers.
    Words(&'static [(&'static str, i64)]),
}

/// The least and the greatest temperature of Matter, in 0.01 °C: absolute zero, and the end of the type.
const TEMPERATURES: (f64, f64) = (-27_315.0, 32_767.0);

impl Conversion {
    /// The value of the attribute.
    ///
    /// # Errors
    /// [`Unmapped::Value`] when the property is of another kind or out of range.
    pub fn to_matter(self, value: &Value, resource: &Representation) -> Result<Value, Unmapped> {
        let number = || value.as_number().ok_or(Unmapped::Value);
        let truth = || value.as_bool().ok_or(Unmapped::Value);
        match self {
            Self::Boolean => truth().map(Value::Bool),
            Self::Opposite => truth().map(|truth| Value::Bool(!truth)),
            Self::Bit => truth().map(|truth| Value::Integer(i64::from(truth))),
            Self::Alarm { alarm } => {
                truth().map(|truth| Value::Integer(if truth { alarm } else { 0 }))
            }
            Self::Factor { factor, min, max } => whole(number()? * factor, min, max),
            Self::Level { max, inverted } => {
                let share = share(number()?, resource)?;
                let share = if inverted { 1.0 - share } else { share };
                whole(share * wide(max), 0, max)
            }
            Self::FanMode => {
                let thirds = share(number()?, resource)? * 3.0;
                // A speed that is low at all is low, not off.
                let least = if thirds > 0.0 { 1.0 } else { 0.0 };
                whole(thirds.round().max(least), 0, 3)
            }
            Self::Temperature => {
                let celsius = match Units::of(resource)? {
                    Units::Celsius => number()?,
                    Units::Fahrenheit => (number()? - 32.0) / 1.8,
                    Units::Kelvin => number()? - 273.15,
                };
                let (least, greatest) = TEMPERATURES;
                let hundredths = (celsius * 100.0).round();
                if !(least..=greatest).contains(&hundredths) {
                    return Err(Unmapped::Value);
                }
                Ok(Value::from_number(hundredths))
            }
            // Below one lux the attribute has only "too low to be measured".
            Self::Illuminance if number()? < 0.0 => Err(Unmapped::Value),
            Self::Illuminance if number()? < 1.0 => Ok(Value::Integer(0)),
            Self::Illuminance => whole(number()?.log10() * 10_000.0 + 1.0, 1, 0xfffe),
            Self::Words(words) => {
                let word = value.as_text().ok_or(Unmapped::Value)?;
                let known = words
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(word));
                known
                    .map(|(_, number)| Value::Integer(*number))
                    .ok_or(Unmapped::Value)
            }
        }
    }

    /// The value of the property.
    ///
    /// # Errors
    /// [`Unmapped::Value`] when the attribute is of another kind or out of range.
    pub fn to_ocf(self, value: &Value, resource: &Representation) -> Result<Value, Unmapped> {
        let number = || value.as_number().ok_or(Unmapped::Value);
        let truth = || value.as_bool().ok_or(Unmapped::Value);
        let within = |min: i64, max: i64| {
            let number = number()?;
            let possible = (wide(min)..=wide(max)).contains(&number);
            possible.then_some(number).ok_or(Unmapped::Value)
        };
        match self {
            Self::Boolean => truth().map(Value::Bool),
            Self::Opposite => truth().map(|truth| Value::Bool(!truth)),
            Self::Bit => within(0, 0xff).map(|bits| Value::Bool(bits % 2.0 != 0.0)),
            Self::Alarm { .. } => within(0, 0xff).map(|state| Value::Bool(state != 0.0)),
            Self::Factor { factor, min, max } => {
                within(min, max).map(|number| Value::from_number(hundredth(number / factor)))
            }
            Self::Level { max, inverted } => {
                let share = within(0, max)? / wide(max);
                at_share(if inverted { 1.0 - share } else { share }, resource)
            }
            Self::FanMode => at_share(within(0, 3)? / 3.0, resource),
            Self::Temperature => {
                let (least, greatest) = TEMPERATURES;
                let hundredths = number()?;
                if !(least..=greatest).contains(&hundredths) {
                    return Err(Unmapped::Value);
                }
                let celsius = hundredths / 100.0;
                let degrees = match Units::of(resource)? {
                    Units::Celsius => celsius,
                    Units::Fahrenheit => celsius * 1.8 + 32.0,
                    Units::Kelvin => celsius + 273.15,
                };
                Ok(Value::from_number(hundredth(degrees)))
            }
            Self::Illuminance => {
                let measured = within(0, 0xfffe)?;
                if measured == 0.0 {
                    return Ok(Value::Integer(0));
                }
                let lux = 10_f64.powf((measured - 1.0) / 10_000.0);
                Ok(Value::from_number(hundredth(lux)))
            }
            Self::Words(words) => {
                let number = number()?;
                let known = words.iter().find(|(_, known)| wide(*known) == number);
                known
                    .map(|(word, _)| Value::from(*word))
                    .ok_or(Unmapped::Value)
            }
        }
    }
}

enum Units {
    Celsius,
    Fahrenheit,
    Kelvin,
}

impl Units {
    fn of(resource: &Representation) -> Result<Self, Unmapped> {
        match resource.get("units").map(Value::as_text) {
            None | Some(Some("C")) => Ok(Self::Celsius),
            Some(Some("F")) => Ok(Self::Fahrenheit),
            Some(Some("K")) => Ok(Self::Kelvin),
            Some(_) => Err(Unmapped::Value),
        }
    }
}

/// The `range` of a resource: two numbers, also in the old form of a text with a comma.
fn range(resource: &Representation) -> Result<(f64, f64), Unmapped> {
    let ends: Option<Vec<f64>> = match resource.get("range") {
        None => return Ok((0.0, 100.0)),
        Some(Value::List(ends)) => ends.iter().map(Value::as_number).collect(),
        Some(Value::Text(text)) => text
            .split(',')
            .map(|end| Value::from(end.trim()).as_number())
            .collect(),
        Some(_) => None,
    };
    match ends.unwrap_or_default()[..] {
        [low, high] if low < high => Ok((low, high)),
        _ => Err(Unmapped::Value),
    }
}

/// Where in its range a value is, 0 to 1.
fn share(number: f64, resource: &Representation) -> Result<f64, Unmapped> {
    let (low, high) = range(resource)?;
    let share = (number - low) / (high - low);
    let possible = (0.0..=1.0).contains(&share);
    possible.then_some(share).ok_or(Unmapped::Value)
}

/// The value at a place in its range; properties with a range are whole numbers.
fn at_share(share: f64, resource: &Representation) -> Result<Value, Unmapped> {
    let (low, high) = range(resource)?;
    Ok(Value::from_number((low + share * (high - low)).round()))
}

fn whole(number: f64, min: i64, max: i64) -> Result<Value, Unmapped> {
    let number = number.round();
    let possible = (wide(min)..=wide(max)).contains(&number);
    possible
        .then(|| Value::from_number(number))
        .ok_or(Unmapped::Value)
}

fn hundredth(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "ends of 16-bit types")]
fn wide(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(entries: &[(&str, Value)]) -> Representation {
        let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        entries.iter().map(own).collect()
    }

    fn range_of(low: i64, high: i64) -> Representation {
        let ends = vec![Value::Integer(low), Value::Integer(high)];
        with(&[("range", Value::List(ends))])
    }

    #[test]
    fn levels_survive_the_way_there_and_back() {
        let plain = Representation::new();
        let level = Conversion::Level {
            max: 254,
            inverted: false,
        };
        for setting in 0..=100 {
            let there = level.to_matter(&Value::Integer(setting), &plain).unwrap();
            assert_eq!(level.to_ocf(&there, &plain), Ok(Value::Integer(setting)));
        }
        assert_eq!(
            level.to_matter(&Value::Integer(50), &plain),
            Ok(Value::Integer(127))
        );
        assert_eq!(
            level.to_matter(&Value::Integer(101), &plain),
            Err(Unmapped::Value)
        );
        assert_eq!(
            level.to_ocf(&Value::Integer(255), &plain),
            Err(Unmapped::Value)
        );
        assert_eq!(
            level.to_ocf(&Value::Integer(254), &range_of(1, 10)),
            Ok(Value::Integer(10))
        );
        let old = with(&[("range", Value::from("0, 50"))]);
        assert_eq!(
            level.to_ocf(&Value::Integer(127), &old),
            Ok(Value::Integer(25))
        );
        for broken in [range_of(5, 5), with(&[("range", Value::Null)])] {
            assert_eq!(
                level.to_ocf(&Value::Integer(1), &broken),
                Err(Unmapped::Value)
            );
        }
    }

    #[test]
    fn a_covering_counts_from_the_other_end() {
        let lift = Conversion::Level {
            max: 10_000,
            inverted: true,
        };
        let plain = Representation::new();
        for (open, lifted) in [(0, 10_000), (100, 0), (25, 7_500)] {
            assert_eq!(
                lift.to_matter(&Value::Integer(open), &plain),
                Ok(Value::Integer(lifted))
            );
            assert_eq!(
                lift.to_ocf(&Value::Integer(lifted), &plain),
                Ok(Value::Integer(open))
            );
        }
    }

    #[test]
    fn temperatures_are_hundredths_of_a_degree_celsius() {
        for (units, degrees, hundredths) in [
            (None, 21.5, 2150),
            (Some("C"), -40.0, -4000),
            (Some("F"), -40.0, -4000),
            (Some("F"), 70.7, 2150),
            (Some("K"), 273.15, 0),
        ] {
            let resource = units.map_or_else(Representation::new, |units| {
                with(&[("units", Value::from(units))])
            });
            let (ocf, matter) = (Value::from(degrees), Value::Integer(hundredths));
            assert_eq!(
                Conversion::Temperature.to_matter(&ocf, &resource),
                Ok(matter.clone())
            );
            assert_eq!(Conversion::Temperature.to_ocf(&matter, &resource), Ok(ocf));
        }
        let unknown = with(&[("units", Value::from("R"))]);
        let plain = Representation::new();
        assert!(
            Conversion::Temperature
                .to_matter(&Value::from(1.0), &unknown)
                .is_err()
        );
        assert!(
            Conversion::Temperature
                .to_matter(&Value::from(-274.0), &plain)
                .is_err()
        );
        assert!(
            Conversion::Temperature
                .to_matter(&Value::from(400.0), &plain)
                .is_err()
        );
    }

    #[test]
    fn sensors_speak_the_units_of_matter() {
        let plain = Representation::new();
        let both = |conversion: Conversion, ocf: Value, matter: Value| {
            assert_eq!(conversion.to_matter(&ocf, &plain), Ok(matter.clone()));
            assert_eq!(conversion.to_ocf(&matter, &plain), Ok(ocf));
        };
        let humidity = Conversion::Factor {
            factor: 100.0,
            min: 0,
            max: 10_000,
        };
        both(humidity, Value::Integer(45), Value::Integer(4500));
        both(
            Conversion::Illuminance,
            Value::Integer(1),
            Value::Integer(1),
        );
        both(
            Conversion::Illuminance,
            Value::Integer(100),
            Value::Integer(20_001),
        );
        both(
            Conversion::Illuminance,
            Value::Integer(0),
            Value::Integer(0),
        );
        both(Conversion::Opposite, Value::Bool(true), Value::Bool(false));
        both(Conversion::Bit, Value::Bool(true), Value::Integer(1));
        both(
            Conversion::Alarm { alarm: 2 },
            Value::Bool(true),
            Value::Integer(2),
        );
        assert_eq!(
            Conversion::Alarm { alarm: 2 }.to_ocf(&Value::Integer(1), &plain),
            Ok(Value::Bool(true))
        );
        for (speed, mode) in [(0, 0), (33, 1), (67, 2), (100, 3)] {
            both(
                Conversion::FanMode,
                Value::Integer(speed),
                Value::Integer(mode),
            );
        }
        assert_eq!(
            Conversion::FanMode.to_matter(&Value::Integer(1), &plain),
            Ok(Value::Integer(1))
        );
        let lock = Conversion::Words(&[("Locked", 1), ("Unlocked", 2)]);
        both(lock, Value::from("Locked"), Value::Integer(1));
        assert_eq!(
            lock.to_ocf(&Value::Integer(0), &plain),
            Err(Unmapped::Value)
        );
        // As in the example of the documentation.
        assert_eq!(
            Conversion::FanMode.to_ocf(&Value::from("3"), &plain),
            Ok(Value::Integer(100))
        );
    }
}
