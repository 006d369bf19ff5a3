//! Kubernetes' quantities: `100m`, `1Gi`, `1e3`, or a plain number.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;

/// A quantity as it was written. Compare with [`Quantity::value`], not as text: `1Gi` is `1024Mi`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

/// Not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a quantity: write a number, with a unit such as m, k, M, G or Ki, Mi, Gi, as in 500m or 1Gi")]
pub struct BadQuantity(String);

impl Quantity {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that stands in this program's own text.
    pub(crate) fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// In whole units (bytes, cores), rounded up as the API server does for storage; `None` when it is negative or beyond 64 bits.
    pub fn value(&self) -> Option<u64> {
        let (number, unit) = self.0.split_at(self.0.len() - unit_length(&self.0));
        let scale = match unit {
            "" => Scale::Ten(0),
            "n" => Scale::Ten(-9),
            "u" => Scale::Ten(-6),
            "m" => Scale::Ten(-3),
            "k" => Scale::Ten(3),
            "M" => Scale::Ten(6),
            "G" => Scale::Ten(9),
            "T" => Scale::Ten(12),
            "P" => Scale::Ten(15),
            "E" => Scale::Ten(18),
            "Ki" => Scale::Two(10),
            "Mi" => Scale::Two(20),
            "Gi" => Scale::Two(30),
            "Ti" => Scale::Two(40),
            "Pi" => Scale::Two(50),
            "Ei" => Scale::Two(60),
            exponent => Scale::Ten(exponent.get(1..)?.parse().ok()?),
        };
        scaled(number, scale)
    }
}

#[derive(Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

/// Exact in 128 bits; what does not fit there does not fit 64 bits either, or is no more than a rounding up to 1.
fn scaled(number: &str, scale: Scale) -> Option<u64> {
    let (whole, fraction) = number.strip_prefix('+').unwrap_or(number).split_once('.').unwrap_or((number, ""));
    let whole = whole.strip_prefix('+').unwrap_or(whole);
    let digits: u128 = format!("0{whole}{fraction}").parse().ok()?;
    let factor = match scale {
        Scale::Two(power) => 1_u128 << power,
        Scale::Ten(_) => 1,
    };
    let power = match scale {
        Scale::Two(_) => 0,
        Scale::Ten(power) => power,
    };
    let power = power.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let product = digits.checked_mul(factor)?;
    let value = match u32::try_from(power) {
        Ok(up) => product.checked_mul(10_u128.checked_pow(up)?)?,
        Err(_) => 10_u128
            .checked_pow(power.unsigned_abs())
            .map_or_else(|| u128::from(product > 0), |down| product.div_ceil(down)),
    };
    u64::try_from(value).ok()
}

/// Of the unit or exponent at the end.
fn unit_length(text: &str) -> usize {
    text.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| text.len() - at)
}

impl FromStr for Quantity {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let number = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (number, unit) = number.split_at(number.len() - unit_length(number));
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let numeric =
            digits > 0 && number.len() - digits <= 1 && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let exponent = |rest: &str| {
            let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            !rest.is_empty() && rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit())
        };
        let known = match unit {
            "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => true,
            other => other.strip_prefix(['e', 'E']).is_some_and(exponent),
        };
        if numeric && known { Ok(Self(text.to_owned())) } else { Err(BadQuantity(text.to_owned())) }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&Quantity> for k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.0.clone())
    }
}

/// As the API server does, a number is taken for its text.
impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 1Gi")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            // What is no quantity is named by the check, with its field, and not by a list of clusters that cannot be read.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 32 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1Gi", Some(1 << 30))]
    #[case("1024Mi", Some(1 << 30))]
    #[case("1G", Some(1_000_000_000))]
    #[case("1.5Gi", Some(1_610_612_736))]
    #[case("100m", Some(1))]
    #[case("1500m", Some(2))]
    #[case("2", Some(2))]
    #[case("+2", Some(2))]
    #[case(".5Ki", Some(512))]
    #[case("1e3", Some(1000))]
    #[case("12E-1", Some(2))]
    #[case("1n", Some(1))]
    #[case("0", Some(0))]
    #[case("-1", None)]
    #[case("16Ei", None)]
    #[case("15Ei", Some(15 << 60))]
    #[case("1e99", None)]
    #[case("1e-99", Some(1))]
    fn quantities_have_the_value_that_kubernetes_gives_them(#[case] text: &str, #[case] value: Option<u64>) {
        assert_eq!(text.parse::<Quantity>().unwrap().value(), value);
    }

    #[rstest]
    #[case("")]
    #[case("Gi")]
    #[case("1GB")]
    #[case("1 Gi")]
    #[case("1..5")]
    #[case("1gi")]
    #[case("--1")]
    #[case("1e")]
    fn other_texts_are_refused_with_an_example(#[case] text: &str) {
        let error = text.parse::<Quantity>().unwrap_err().to_string();
        assert!(error.contains("as in 500m or 1Gi"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[-+0-9.eEinumkKMGTP]{0,40}") {
            let _ = text.parse::<Quantity>().map(|quantity| quantity.value());
        }

        #[test]
        fn whole_numbers_are_their_own_value(number in 0_u64..) {
            prop_assert_eq!(number.to_string().parse::<Quantity>().unwrap().value(), Some(number));
        }
    }
}
