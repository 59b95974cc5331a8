//! Finding bytes of JSON text, eight at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that are this one. Only marks above the lowest may be wrong.
#[inline]
fn is(word: u64, byte: u8) -> u64 {
    let same = word ^ (ONES * u64::from(byte));
    same.wrapping_sub(ONES) & !same & HIGHS
}

/// The first byte from `at` on that `mask` marks in its word, or the end (or one behind it, if zero bytes are marked).
#[inline]
fn find(bytes: &[u8], mut at: usize, mask: impl Fn(u64) -> u64) -> usize {
    let Some(mut rest) = bytes.get(at..) else { return bytes.len() };
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let found = mask(u64::from_le_bytes(*word));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        (rest, at) = (tail, at + 8);
    }
    let mut word = [0; 8];
    for (byte, of) in word.iter_mut().zip(rest) {
        *byte = *of;
    }
    let found = mask(u64::from_le_bytes(word));
    if found == 0 { bytes.len() } else { at + (found.trailing_zeros() / 8) as usize }
}

/// The next quote or backslash.
#[inline]
pub(super) fn quote_or_escape(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, |word| is(word, b'"') | is(word, b'\\'))
}

/// The next byte that a JSON string cannot hold as it is: a quote, a backslash, a control character.
#[inline]
pub(super) fn escaped(bytes: &[u8], at: usize) -> usize {
    let control = |word: u64| word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    find(bytes, at, |word| is(word, b'"') | is(word, b'\\') | control(word)).min(bytes.len())
}

/// The byte behind the string whose opening quote is at `start`.
#[inline]
pub fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at = quote_or_escape(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(_) => at += 2,
            None => return bytes.len(),
        }
    }
}

/// The byte behind the value that begins at `start` of a valid document.
#[inline]
pub fn end_of_value(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => end_of_string(bytes, start),
        Some(b'{' | b'[') => end_of_container(bytes, start),
        _ => {
            let inside = |byte: &&u8| !matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\t' | b'\r');
            start + bytes.get(start..).unwrap_or_default().iter().take_while(inside).count()
        }
    }
}

/// Marks, by 1, the bytes of a word that are this one.
#[inline]
fn exactly(word: u64, byte: u8) -> u64 {
    let same = word ^ (ONES * u64::from(byte));
    (!(((same & !HIGHS) + !HIGHS) | same) & HIGHS) >> 7
}

/// How many bytes are marked by 1.
#[inline]
fn count(marks: u64) -> u64 {
    marks.wrapping_mul(ONES) >> 56
}

fn end_of_container(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    let mut depth = 1u64;
    // One in every byte, inside of a string.
    let mut string = 0;
    while let Some((word, _)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        // Each byte holds how many quotes there are up to it: after an odd number, it is in a string.
        let inside = (exactly(word, b'"').wrapping_mul(ONES) & ONES) ^ string;
        // A bracket differs from a brace in one bit.
        let folded = word | (ONES * 0x20);
        if is(word, b'\\') != 0 {
            let end = at + 8;
            while at < end {
                if step(bytes, &mut at, &mut depth, &mut string) {
                    return at;
                }
            }
            continue;
        }
        let opened = exactly(folded, b'{') & !inside;
        let closed = exactly(folded, b'}') & !inside;
        if count(closed) < depth {
            depth = depth + count(opened) - count(closed);
        } else {
            let mut marks = opened | closed;
            while marks != 0 {
                let mark = marks & marks.wrapping_neg();
                depth = if opened & mark != 0 { depth + 1 } else { depth - 1 };
                if depth == 0 {
                    return at + (mark.trailing_zeros() / 8) as usize + 1;
                }
                marks ^= mark;
            }
        }
        string = (inside >> 56) * ONES;
        at += 8;
    }
    while at < bytes.len() {
        if step(bytes, &mut at, &mut depth, &mut string) {
            return at;
        }
    }
    bytes.len()
}

/// Goes over one byte, or an escape sequence; true behind the last bracket.
fn step(bytes: &[u8], at: &mut usize, depth: &mut u64, string: &mut u64) -> bool {
    match bytes.get(*at) {
        Some(b'"') => *string ^= ONES,
        Some(b'\\') => *at += 1,
        Some(b'{' | b'[') if *string == 0 => *depth += 1,
        Some(b'}' | b']') if *string == 0 => *depth = depth.saturating_sub(1),
        _ => {}
    }
    *at += 1;
    *depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        for value in [
            "\"\"",
            "\"abcdefgh\"",
            "\"a\\\"b\\\\\"",
            "\"\u{e9}\u{1f600}[{]}\"",
            "12.5",
            "-1",
            "null",
            "{}",
            "[[], {\"a]\": \"}\"}, \"[\", 12345678901234567890]",
            "[\"\\\\\\\"]\", \"]]]]]]]]]]]]\", [[[[[[[[[[]]]]]]]]]], \"\"]",
            "{\"a\": {\"b\": [1, {\"c\": \"\\\\\\\"}\"}]}, \"dddddddddddddddd\": \"\"}",
        ] {
            for tail in ["", ", 1]", "}", "]", ": 1"] {
                for lead in 0..9 {
                    let text = format!("{}{value}{tail}", " ".repeat(lead));
                    assert_eq!(end_of_value(text.as_bytes(), lead), lead + value.len(), "{text}");
                }
            }
        }
    }

    #[test]
    fn cut_off_texts_end() {
        for text in ["\"abc", "\"abc\\", "{\"a\": [1", "[\"", "", "[[[[[[[[[["] {
            assert_eq!(end_of_value(text.as_bytes(), 0), text.len(), "{text}");
        }
    }

    #[test]
    fn what_a_string_escapes_is_found() {
        for text in ["", "plain", "exactly8", "longer than eight bytes", "\u{e9}\u{1f600}\u{7f}\u{80}"] {
            assert_eq!(escaped(text.as_bytes(), 0), text.len(), "{text}");
            for special in ['"', '\\', '\n', '\u{1}', '\u{1f}'] {
                let with = format!("{text}{special}tail");
                assert_eq!(escaped(with.as_bytes(), 0), text.len(), "{with:?}");
            }
        }
    }
}
