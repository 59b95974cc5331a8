//! `to_char` of numbers: `9 0 . , D G FM S MI PL L` and literals.

use super::row::fail;
use datafusion::common::Result;

/// Formats a number's text by a pattern.
///
/// # Errors
/// The pattern has a part we cannot write (`EEEE`, `RN`, `V`).
pub(crate) fn format(number: &str, pattern: &str) -> Result<String> {
    let upper = pattern.to_uppercase();
    for unsupported in ["EEEE", "RN", "V", "PR", "TH"] {
        if upper.contains(unsupported) {
            return fail(format!("to_char: pattern \"{unsupported}\" is not supported for numbers"));
        }
    }
    let fill = !upper.contains("FM");
    let body = upper.replace("FM", "");
    let (whole, fraction) = match body.find(['.', 'D']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body.as_str(), None),
    };
    let places = fraction.map_or(0, |fraction| fraction.chars().filter(|c| matches!(c, '9' | '0')).count());
    let (negative, before, after) = rounded(number, places)?;
    let slots = whole.chars().filter(|c| matches!(c, '9' | '0')).count();
    let sign_given = body.contains('S') || body.contains("MI") || body.contains("PL");
    let overflow = before.len() > slots && before != "0";
    let mut out = String::new();
    let first_zero = whole.find('0').map(|at| whole[..at].chars().filter(|c| matches!(c, '9' | '0')).count());
    let digits: Vec<char> = format!("{before:>slots$}").chars().collect();
    let mut slot = 0;
    let mut started = false;
    let mut shown = String::new();
    let mut chars = whole.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '9' | '0' => {
                let digit = digits.get(slot).copied().unwrap_or('#');
                // A bare zero before the point is not shown by a 9.
                let zero_hidden = digit == '0' && before == "0" && first_zero.is_none_or(|at| at > slot) && (places > 0 || slots == 0);
                if overflow {
                    shown.push('#');
                } else if digit != ' ' && !zero_hidden {
                    started = true;
                    shown.push(digit);
                } else if first_zero.is_some_and(|at| slot >= at) {
                    started = true;
                    shown.push('0');
                } else if fill {
                    shown.push(' ');
                }
                slot += 1;
            }
            ',' | 'G' => {
                if started || overflow {
                    shown.push(',');
                } else if fill {
                    shown.push(' ');
                }
            }
            'S' => {}
            'M' | 'P' if matches!(chars.peek(), Some('I' | 'L')) => {
                chars.next();
            }
            'L' => {}
            '"' => {}
            other => shown.push(other),
        }
    }
    if let Some(fraction) = fraction {
        shown.push('.');
        let mut digits = after.chars();
        let significant = after.trim_end_matches('0').len().max(fraction.rfind('0').map_or(0, |at| at + 1));
        for (n, c) in fraction.chars().filter(|c| matches!(c, '9' | '0')).enumerate() {
            let digit = digits.next().unwrap_or('0');
            if fill || n < significant || c == '0' {
                shown.push(if overflow { '#' } else { digit });
            }
        }
    }
    let sign = if negative { "-" } else { "" };
    if body.starts_with('S') || body.ends_with('S') {
        let sign = if negative { "-" } else { "+" };
        if body.ends_with('S') { out = format!("{shown}{sign}") } else { push_signed(sign, &shown, &mut out) }
    } else if body.ends_with("MI") {
        out = format!(
            "{shown}{}",
            if negative {
                "-"
            } else if fill {
                " "
            } else {
                ""
            }
        );
    } else if body.starts_with("MI") || body.starts_with("PL") {
        out = format!(
            "{}{shown}",
            if negative {
                "-"
            } else if body.starts_with("PL") {
                "+"
            } else {
                " "
            }
        );
    } else {
        push_signed(
            if negative {
                sign
            } else if fill && !sign_given {
                " "
            } else {
                ""
            },
            &shown,
            &mut out,
        );
    }
    Ok(out)
}

/// The sign goes right before the first digit.
fn push_signed(sign: &str, shown: &str, out: &mut String) {
    let blanks = shown.len() - shown.trim_start().len();
    out.push_str(&shown[..blanks]);
    out.push_str(sign);
    out.push_str(&shown[blanks..]);
    if sign == " " {
        let text = out.trim_start().to_string();
        *out = format!("{}{text}", " ".repeat(blanks + 1));
    }
}

/// Sign, whole digits and exactly so many fraction digits, rounded half away from zero.
fn rounded(number: &str, places: usize) -> Result<(bool, String, String)> {
    let Some(number) = assay_tables::jsonb::canonical_number(number).filter(|_| !number.contains(['N', 'I'])) else {
        return fail(format!("to_char: {number} cannot be formatted"));
    };
    let (negative, digits) = number.strip_prefix('-').map_or((false, number.as_str()), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let padded = format!("{fraction:0<width$}", width = places + 1);
    let mut units: Vec<u8> = whole.bytes().chain(padded.bytes().take(places)).collect();
    if padded.as_bytes()[places] >= b'5' {
        let mut carry = true;
        for digit in units.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carry = false;
                break;
            }
        }
        if carry {
            units.insert(0, b'1');
        }
    }
    let text = String::from_utf8_lossy(&units).into_owned();
    let (before, after) = text.split_at(text.len() - places);
    let zero = text.bytes().all(|b| b == b'0');
    Ok((negative && !zero, before.to_string(), after.to_string()))
}
