//! Objects that carry more members than they name.
//!
//! `#[serde(flatten)]` reads such an object into a buffer first; this reads it once.

/// Implements `Deserialize` for a struct with a field `extra` for all members without a field of their own.
///
/// After each field stands how its member is read: `required`; `or_default` when it is missing; `nullable`, as `or_default`, and
/// null counts as missing.
macro_rules! deserialize_members {
    ($name:ident, $expecting:literal, {
        $($wire:literal as $variant:ident => $field:ident: $presence:ident,)*
    }) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(field_identifier)]
                enum Member {
                    $(#[serde(rename = $wire)] $variant,)*
                    Extra(alloc::string::String),
                }

                struct Members;

                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut access: A,
                    ) -> Result<$name, A::Error> {
                        $(let mut $field = None;)*
                        let mut extra = $crate::value::Map::new();
                        while let Some(name) = access.next_key()? {
                            match name {
                                $(Member::$variant => {
                                    if $field.is_some() {
                                        return Err(serde::de::Error::duplicate_field($wire));
                                    }
                                    $field = deserialize_members!(@read $presence access);
                                })*
                                Member::Extra(name) => {
                                    if extra.insert(name, access.next_value()?).is_some() {
                                        return Err(serde::de::Error::custom("duplicate key"));
                                    }
                                }
                            }
                        }
                        Ok($name {
                            $($field: deserialize_members!(@end $presence $wire $field),)*
                            extra,
                        })
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }
    };
    (@read nullable $access:ident) => {
        $access.next_value::<Option<_>>()?
    };
    (@read $presence:ident $access:ident) => {
        Some($access.next_value()?)
    };
    (@end required $wire:literal $field:ident) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($wire))?
    };
    (@end $presence:ident $wire:literal $field:ident) => {
        $field.unwrap_or_default()
    };
}
pub(crate) use deserialize_members;
