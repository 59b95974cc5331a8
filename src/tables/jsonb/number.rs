//! The text PostgreSQL's numeric gives a JSON number: no exponent, no negative zero, trailing zeros kept.

/// Digits before or after the point that PostgreSQL's numeric can hold.
const MAX_BEFORE: i64 = 131_072;
const MAX_AFTER: i64 = 16_383;

/// The canonical text of a number in JSON's grammar, or `None` if it is out of numeric's range.
pub fn canonical(text: &str) -> Option<String> {
    // Most numbers are short integers.
    if text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0')) {
        return (!text.is_empty()).then(|| text.to_string());
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Numeric keeps as many digits after the point as the text has, moved by the exponent, and never fewer than none.
    let scale = (fraction.len() as i64).checked_sub(exponent)?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.len() as i64 - scale > MAX_BEFORE || scale > MAX_AFTER {
        return None;
    }
    let mut out = String::with_capacity(digits.len() + 2);
    if negative && !significant.is_empty() {
        out.push('-');
    }
    if scale <= 0 {
        if significant.is_empty() {
            out.push('0');
        } else {
            out.push_str(significant);
            out.extend(std::iter::repeat_n('0', usize::try_from(-scale).ok()?));
        }
        return Some(out);
    }
    let scale = usize::try_from(scale).ok()?;
    let padded = format!("{significant:0>width$}", width = scale + 1);
    let (before, after) = padded.split_at(padded.len() - scale);
    out.push_str(before);
    out.push('.');
    out.push_str(after);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn numbers_are_written_as_numeric_does() {
        for (text, want) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("1.50", "1.50"),
            ("1e5", "100000"),
            ("1.5E+2", "150"),
            ("1.25e1", "12.5"),
            ("-12e-3", "-0.012"),
            ("10e-1", "1.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0e10", "0"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(canonical("1e200000"), None);
    }
}
