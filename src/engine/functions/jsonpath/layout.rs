//! Where a container lies in PostgreSQL's binary jsonb: `keyvalue()` shows it as `id`.
//!
//! A container is a header, an entry of four bytes for each part (names and values of an object each have one), then the names, then the
//! values; numbers and containers begin at multiples of four.

use crate::functions::jsonb_scan::{elements, kind, members};
use assay_tables::jsonb::unquote;

const WORD: usize = 4;

fn aligned(at: usize) -> usize {
    at.next_multiple_of(WORD)
}

/// The offset of the container that begins at a byte of a document's canonical text.
pub(super) fn offset(document: &str, byte: usize) -> u64 {
    let target = document.as_ptr() as usize + byte;
    let mut container = document;
    let mut at = 0;
    // One level down at a time: into the part that holds the byte.
    while container.as_ptr() as usize != target {
        let mut place = at + header(container);
        let mut inner = None;
        for part in values(container) {
            let start = part.as_ptr() as usize;
            place = if is_aligned(part) { aligned(place) } else { place };
            if (start..start + part.len()).contains(&target) {
                inner = Some((part, place));
                break;
            }
            place += size(part);
        }
        match inner {
            Some((part, place)) => (container, at) = (part, place),
            None => return 0,
        }
    }
    at as u64
}

fn values(container: &str) -> Box<dyn Iterator<Item = &str> + '_> {
    if kind(container) == "object" { Box::new(members(container).map(|(_, value)| value)) } else { Box::new(elements(container)) }
}

/// Bytes before the first value.
fn header(container: &str) -> usize {
    if kind(container) == "object" {
        let (mut count, mut names) = (0, 0);
        for (name, _) in members(container) {
            count += 1;
            names += unquote(name).len();
        }
        WORD + 2 * WORD * count + names
    } else {
        WORD + WORD * elements(container).count()
    }
}

fn is_aligned(value: &str) -> bool {
    matches!(kind(value), "number" | "array" | "object")
}

fn size(value: &str) -> usize {
    match kind(value) {
        "string" => unquote(value).len(),
        "number" => number(value),
        "array" | "object" => values(value).fold(header(value), |at, part| (if is_aligned(part) { aligned(at) } else { at }) + size(part)),
        _ => 0,
    }
}

/// A numeric: length, header, and digits in base 10,000 without zeros at the ends.
fn number(text: &str) -> usize {
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
    let whole = whole.trim_start_matches('0');
    let padded = format!(
        "{}{whole}{fraction}{}",
        "0".repeat(whole.len().next_multiple_of(4) - whole.len()),
        "0".repeat(fraction.len().next_multiple_of(4) - fraction.len())
    );
    let groups: Vec<bool> = padded.as_bytes().chunks(4).map(|group| group.iter().any(|digit| *digit != b'0')).collect();
    let first = groups.iter().position(|filled| *filled);
    let last = groups.iter().rposition(|filled| *filled);
    let digits = first.zip(last).map_or(0, |(first, last)| last - first + 1);
    let weight = first.map_or(0, |first| (whole.len().div_ceil(4) as i64) - 1 - first as i64);
    let short = fraction.len() <= 63 && (-64..=63).contains(&weight);
    WORD + if short { 2 } else { 4 } + 2 * digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_numerics_size() {
        for (text, want) in [("0", 6), ("1", 8), ("-12345", 10), ("10000", 8), ("1.5", 10), ("0.0001", 8), ("100000000.00010000", 14)] {
            assert_eq!(number(text), want, "{text}");
        }
    }
}
