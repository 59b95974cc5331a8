//! Values of arguments: separators, times, sizes.

use std::time::Duration;

/// One byte between the cells of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Separator(pub(crate) u8);

/// Parses a separator: one ASCII character, or `\t` or `tab`.
pub(crate) fn separator(text: &str) -> Result<Separator, String> {
    match text {
        "\\t" | "tab" => Ok(Separator(b'\t')),
        "\"" | "\n" | "\r" => Err("a quote or line break cannot separate cells".to_owned()),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() => Ok(Separator(*byte)),
            _ => Err("the separator is one ASCII character, or \\t".to_owned()),
        },
    }
}

/// Parses `300`, `90s`, `5m`, `1h`, `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a time: write 300, 90s, 5m, 1h or 2d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let factor = match &text[digits.len()..] {
        "ms" => return Ok(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(bad)
}

/// Parses `4GiB`, `512MiB`, `2G`, `1000000`; the units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let bad = || format!("\"{text}\" is not a size: write 512MiB or 4GiB");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().map_err(|_| bad())?;
    let factor: usize = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("2k", 2048), ("512MiB", 512 << 20), ("4GiB", 4 << 30), ("3G", 3 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "G", "1.5G", "-1", "4TiB", "99999999999999G", "1 G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in [("0", 0), ("300", 300), ("90s", 90), ("5m", 300), ("1h", 3600), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "-1", "1.5h", "1w", "5 m", "99999999999999999999", "999999999999999999d", "1µs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
