//! From readings to properties.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::post::{Post, Reading};
use super::template::{Kind, Template};
use super::value::Scalar;
use crate::error::{Error, ErrorKind};

/// Properties of one resource that have new values; its others stay as they are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Update<'a> {
    /// Where the resource is on the device.
    pub href: &'a str,
    /// The properties by their names, in the order of the points.
    pub properties: Vec<(&'a str, Scalar)>,
}

impl Template {
    /// What a post changes, a resource each, in the order of the template.
    ///
    /// # Errors
    /// [`ErrorKind::Measurement`] when the template does not name a point of it, or a value does not fit its property; then
    /// nothing of the post counts.
    pub fn updates(&self, post: &Post) -> Result<Vec<Update<'_>>, Error> {
        let mut updates: BTreeMap<usize, Update<'_>> = BTreeMap::new();
        for (point, reading) in &post.points {
            let (at, property) = self
                .fed_by(point)
                .ok_or_else(|| refused("there is a point that the template does not name"))?;
            let value = property
                .kind
                .property_of(reading)
                .ok_or_else(|| refused("a reading does not fit its property"))?;
            let resource = self.resources().get(at);
            let update = updates.entry(at).or_insert_with(|| Update {
                href: resource.map_or("", |resource| &resource.href),
                properties: Vec::new(),
            });
            update.properties.push((&property.name, value));
        }
        Ok(updates.into_values().collect())
    }
}

impl Kind {
    /// What a reading becomes; `None` when it does not fit.
    fn property_of(self, reading: &Reading) -> Option<Scalar> {
        Some(match (self, &reading.value) {
            (Self::Boolean, Scalar::Boolean(value)) => Scalar::Boolean(*value),
            (Self::Text, Scalar::Text(value)) => Scalar::Text(value.clone()),
            (Self::Integer { scale }, Scalar::Integer(value)) => {
                Scalar::Integer(value.checked_mul(scale)?)
            }
            (Self::Number { scale }, Scalar::Integer(value)) => multiplied(*value as f64, scale)?,
            (Self::Number { scale }, Scalar::Number(value)) => multiplied(*value, scale)?,
            _ => return None,
        })
    }
}

/// Three times a tenth is 0.3 for people. In binary that is what dividing by ten gives, and not what multiplying gives.
fn multiplied(value: f64, scale: f64) -> Option<Scalar> {
    let inverse = 1.0 / scale;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "one that is cut off is another number, and then it is not used"
    )]
    let whole = inverse as i64 as f64 == inverse;
    let product = if whole {
        value / inverse
    } else {
        value * scale
    };
    product.is_finite().then_some(Scalar::Number(product))
}

fn refused(reason: &'static str) -> Error {
    Error::with_source(ErrorKind::Measurement, reason)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::super::Limits;
    use super::*;

    const TEMPLATE: &str = r#"{"resources":[
        {"href":"/climate","rt":["oic.r.temperature"],"if":["oic.if.s"],"properties":{
            "temperature":{"point":"temp","type":"number","scale":0.1},
            "humidity":{"point":"hum","type":"integer"},
            "raw":{"point":"raw","type":"integer","scale":-3}}},
        {"href":"/state","rt":["oic.r.switch.binary"],"if":["oic.if.r"],"properties":{
            "value":{"point":"on","type":"boolean"},
            "mode":{"point":"mode","type":"string"},
            "level":{"point":"level","type":"number"},
            "energy":{"point":"wh","type":"number","scale":3600}}}]}"#;

    /// A resource and its properties.
    type Seen = (String, Vec<(String, Scalar)>);

    fn updates(template: &Template, points: &str) -> Option<Vec<Seen>> {
        let json = format!(
            r#"{{"version":"1.0","method":"thing.measurepoint.post","params":{{"measurepoints":{points}}}}}"#
        );
        let post = Post::from_json(json.as_bytes(), &Limits::default()).unwrap();
        let updates = match template.updates(&post) {
            Ok(updates) => updates,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Measurement);
                return None;
            }
        };
        let owned = |update: &Update<'_>| {
            let properties = update.properties.iter();
            let owned = properties.map(|(name, value)| ((*name).into(), value.clone()));
            (update.href.into(), owned.collect())
        };
        Some(updates.iter().map(owned).collect())
    }

    #[test]
    fn readings_become_properties_of_their_types() {
        let template = Template::from_json(TEMPLATE.as_bytes()).unwrap();
        for (reading, href, name, value) in [
            (
                r#"{"temp":215}"#,
                "/climate",
                "temperature",
                Scalar::Number(21.5),
            ),
            // Multiplied it would be 0.30000000000000004.
            (
                r#"{"temp":3}"#,
                "/climate",
                "temperature",
                Scalar::Number(0.3),
            ),
            (
                r#"{"temp":-2.5}"#,
                "/climate",
                "temperature",
                Scalar::Number(-0.25),
            ),
            (r#"{"hum":40}"#, "/climate", "humidity", Scalar::Integer(40)),
            (r#"{"raw":7}"#, "/climate", "raw", Scalar::Integer(-21)),
            (r#"{"on":true}"#, "/state", "value", Scalar::Boolean(true)),
            (
                r#"{"mode":"eco"}"#,
                "/state",
                "mode",
                Scalar::Text("eco".into()),
            ),
            (r#"{"level":5}"#, "/state", "level", Scalar::Number(5.0)),
            (
                r#"{"level":{"value":0.1,"quality":3}}"#,
                "/state",
                "level",
                Scalar::Number(0.1),
            ),
            (r#"{"wh":2}"#, "/state", "energy", Scalar::Number(7200.0)),
        ] {
            let seen = updates(&template, reading).unwrap();
            let expected = [(href.into(), [(name.into(), value)].into())];
            assert!(seen == expected, "{reading}: {seen:?}");
        }
    }

    #[test]
    fn a_post_is_grouped_by_resource() {
        let template = Template::from_json(TEMPLATE.as_bytes()).unwrap();
        let seen = updates(&template, r#"{"temp":1,"on":false,"hum":2}"#).unwrap();
        let names = |at: usize| -> Vec<&str> {
            let (_, properties): &Seen = &seen[at];
            properties.iter().map(|(name, _)| name.as_str()).collect()
        };
        assert_eq!(
            (seen[0].0.as_str(), names(0)),
            ("/climate", ["humidity", "temperature"].into())
        );
        assert_eq!((seen[1].0.as_str(), names(1)), ("/state", ["value"].into()));
    }

    #[test]
    fn what_does_not_fit_spoils_the_whole_post() {
        let template = Template::from_json(TEMPLATE.as_bytes()).unwrap();
        for reading in [
            r#""other":1"#,
            r#""Temp":1"#,
            r#""temp":true"#,
            r#""temp":"21.5""#,
            r#""hum":40.0"#,
            r#""hum":1e2"#,
            r#""hum":9223372036854775808"#,
            r#""raw":9223372036854775807"#,
            r#""on":1"#,
            r#""on":"true""#,
            r#""mode":1"#,
            r#""wh":1e306"#,
        ] {
            let alone = updates(&template, &format!("{{{reading}}}"));
            let with_another = updates(&template, &format!("{{\"level\":1,{reading}}}"));
            assert!(alone.is_none() && with_another.is_none(), "{reading}");
        }
    }
}
