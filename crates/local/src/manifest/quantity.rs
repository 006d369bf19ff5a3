//! Durations and sizes as people write them: `30s`, `5m`, `1h30m`, `100MiB`.

use std::time::Duration;

/// A duration of one or more numbers with a unit of ms, s, m or h.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write a number with ms, s, m or h, as in 30s or 1h30m");
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = number(rest).ok_or_else(wrong)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(3600).map(Duration::from_secs),
            _ => None,
        };
        sum = part.and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
        rest = next;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(sum) }
}

/// A number of bytes, with KiB, MiB or GiB or nothing behind it.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write bytes, or a number with KiB, MiB or GiB, as in 100MiB");
    let (number, unit) = number(text).ok_or_else(wrong)?;
    let factor: u64 = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("30s", Some(30_000))]
    #[case("5m", Some(300_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("250ms", Some(250))]
    #[case("0s", Some(0))]
    #[case("", None)]
    #[case("5", None)]
    #[case("-5s", None)]
    #[case("5 m", None)]
    #[case("5d", None)]
    #[case("99999999999999999999s", None)]
    #[case("18446744073709551615h", None)]
    fn durations(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
    }

    #[rstest]
    #[case("100MiB", Some(104_857_600))]
    #[case("12", Some(12))]
    #[case("1GiB", Some(1_073_741_824))]
    #[case("1GB", None)]
    #[case("MiB", None)]
    #[case("18446744073709551615GiB", None)]
    fn sizes(#[case] text: &str, #[case] count: Option<u64>) {
        assert_eq!(bytes(text).ok(), count, "{text}");
    }
}
