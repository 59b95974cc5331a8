//! `to_char` of numbers and `to_number`, by PostgreSQL's patterns.

use super::numeric::Number;
use super::row::fail;
use datafusion::common::Result;
use std::fmt::Write;

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Nine,
    Zero,
    Point,
    Comma,
    /// A place of the sign.
    Sign,
    Minus,
    Plus,
    EitherSign,
    /// `th` of an ordinal; upper case or not.
    Ordinal(bool),
    Roman(bool),
    Currency,
    Literal(char),
}

/// The kinds of sign a pattern asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    None,
    Before,
    After,
}

#[derive(Debug)]
struct Pattern {
    pieces: Vec<Piece>,
    /// Digits before the point and after it.
    before: usize,
    after: usize,
    point: bool,
    /// The first place that shows zeros, counted from the left, and the last one.
    zero_from: Option<usize>,
    zero_to: usize,
    trim: bool,
    anchor: Anchor,
    /// Digits before the sign.
    anchored_at: usize,
    brackets: bool,
    minus: bool,
    plus: bool,
    roman: bool,
    exponent: bool,
    /// How many places the value is moved to the left.
    shift: usize,
}

/// Keywords, of which the first that fits is taken.
const WORDS: [&str; 23] =
    ["EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "0", "9", ".", ",", "B", "C", "D", "G", "L", "S", "V", "th", "rn", "eeee"];

fn word(rest: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|word| {
        rest.starts_with(word)
            || (!matches!(*word, "TH" | "RN") && word.chars().any(|c| c.is_ascii_uppercase()) && rest.starts_with(&word.to_lowercase()))
    })
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern> {
        let mut pattern = Pattern {
            pieces: Vec::new(),
            before: 0,
            after: 0,
            point: false,
            zero_from: None,
            zero_to: 0,
            trim: false,
            anchor: Anchor::None,
            anchored_at: 0,
            brackets: false,
            minus: false,
            plus: false,
            roman: false,
            exponent: false,
            shift: 0,
        };
        let mut moved = false;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '"' {
                let inner = &rest[1..];
                let mut chars = inner.char_indices();
                let mut end = inner.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = at;
                            break;
                        }
                        '\\' => pattern.pieces.extend(chars.next().map(|(_, c)| Piece::Literal(c))),
                        other => pattern.pieces.push(Piece::Literal(other)),
                    }
                }
                rest = inner.get(end + 1..).unwrap_or_default();
                continue;
            }
            let Some(found) = word(rest) else {
                let (c, skip) = if c == '\\' && rest.len() > 1 { (rest[1..].chars().next().unwrap_or(c), 1) } else { (c, 0) };
                pattern.pieces.push(Piece::Literal(c));
                rest = &rest[skip + c.len_utf8()..];
                continue;
            };
            rest = &rest[found.len()..];
            if pattern.exponent {
                return fail("\"EEEE\" must be the last pattern used");
            }
            let piece = match found {
                "9" if pattern.brackets => return fail("\"9\" must be ahead of \"PR\""),
                "0" if pattern.brackets => return fail("\"0\" must be ahead of \"PR\""),
                "9" if moved => {
                    pattern.shift += 1;
                    Piece::Nine
                }
                "9" => {
                    if pattern.point {
                        pattern.after += 1
                    } else {
                        pattern.before += 1
                    }
                    Piece::Nine
                }
                "0" => {
                    if !pattern.point {
                        pattern.zero_from.get_or_insert(pattern.before);
                        pattern.before += 1;
                    } else {
                        pattern.after += 1;
                    }
                    pattern.zero_to = pattern.before + pattern.after;
                    Piece::Zero
                }
                "." | "D" => {
                    if pattern.point {
                        return fail("multiple decimal points");
                    }
                    if moved {
                        return fail("cannot use \"V\" and decimal point together");
                    }
                    pattern.point = true;
                    Piece::Point
                }
                "," | "G" => Piece::Comma,
                "FM" => {
                    pattern.trim = true;
                    continue;
                }
                "S" => {
                    if pattern.anchor != Anchor::None {
                        return fail("cannot use \"S\" twice");
                    }
                    if pattern.plus || pattern.minus || pattern.brackets {
                        return fail("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
                    }
                    pattern.anchor = if pattern.point { Anchor::After } else { Anchor::Before };
                    pattern.anchored_at = pattern.before;
                    Piece::Sign
                }
                "MI" | "PL" | "SG" if pattern.anchor != Anchor::None => return fail(format!("cannot use \"S\" and \"{found}\" together")),
                "MI" => {
                    pattern.minus = true;
                    Piece::Minus
                }
                "PL" => {
                    pattern.plus = true;
                    Piece::Plus
                }
                "SG" => {
                    (pattern.minus, pattern.plus) = (true, true);
                    Piece::EitherSign
                }
                "PR" => {
                    if pattern.anchor != Anchor::None || pattern.plus || pattern.minus {
                        return fail("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
                    }
                    pattern.brackets = true;
                    continue;
                }
                "RN" | "rn" => {
                    pattern.roman = true;
                    Piece::Roman(found == "RN")
                }
                "TH" | "th" => Piece::Ordinal(found == "TH"),
                "L" => Piece::Currency,
                "V" => {
                    if pattern.point {
                        return fail("cannot use \"V\" and decimal point together");
                    }
                    moved = true;
                    continue;
                }
                "EEEE" | "eeee" => {
                    if pattern.trim
                        || pattern.anchor != Anchor::None
                        || pattern.brackets
                        || pattern.minus
                        || pattern.plus
                        || pattern.roman
                        || moved
                    {
                        return fail("\"EEEE\" is incompatible with other formats");
                    }
                    pattern.exponent = true;
                    continue;
                }
                _ => continue,
            };
            pattern.pieces.push(piece);
        }
        Ok(pattern)
    }
}

/// Formats a number by a pattern.
///
/// # Errors
/// The pattern is none.
pub(crate) fn format(number: &Number, float: Option<f64>, pattern: &str) -> Result<String> {
    let pattern = Pattern::parse(pattern)?;
    if pattern.roman {
        return Ok(with_roman(number, &pattern));
    }
    if pattern.exponent {
        return Ok(scientific(number, pattern.after));
    }
    let digits = match (float, number) {
        (Some(value), _) if value.is_finite() => fixed(value * 10f64.powi(pattern.shift as i32), pattern.after),
        (_, Number::Finite(value)) => {
            let tens = Number::parse(&format!("1e{}", pattern.shift));
            let moved = match tens {
                Some(Number::Finite(tens)) if pattern.shift > 0 => value.mul(&tens).map_err(super::numeric::trouble)?,
                _ => value.clone(),
            };
            moved.round(pattern.after as i64).to_string()
        }
        (_, other) => other.to_string(),
    };
    Ok(Writer::new(&digits, &pattern).run())
}

/// A double has fifteen digits at most.
fn fixed(value: f64, after: usize) -> String {
    let whole = format!("{:.0}", value.abs()).len();
    let after = if whole >= 15 { 0 } else { after.min(15 - whole) };
    format!("{value:.after$}")
}

fn scientific(number: &Number, after: usize) -> String {
    let Number::Finite(value) = number else { return " ".to_string() + &"#".repeat(after + 6) };
    let sign = if value.is_negative() { "-" } else { " " };
    let text = value.abs().to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let point = text.find('.').unwrap_or(text.len()) as i64;
    let exponent = if value.is_zero() { 0 } else { point - zeros as i64 - 1 };
    let mut kept: Vec<u8> = digits.trim_start_matches('0').bytes().chain(std::iter::repeat(b'0')).take(after + 2).collect();
    let up = kept.pop().is_some_and(|digit| digit >= b'5');
    if up {
        let mut carried = true;
        for digit in kept.iter_mut().rev() {
            if *digit == b'9' {
                *digit = b'0';
            } else {
                *digit += 1;
                carried = false;
                break;
            }
        }
        // PostgreSQL keeps the exponent then: 9.99 is shown as 10.0e+00.
        if carried {
            kept.insert(0, b'1');
        }
    }
    let kept = String::from_utf8_lossy(&kept).into_owned();
    let (whole, fraction) = kept.split_at(kept.len() - after);
    let fraction = if after > 0 { format!(".{fraction}") } else { String::new() };
    format!("{sign}{whole}{fraction}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn roman(value: i128) -> Option<String> {
    const LETTERS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = (1..4000).contains(&value).then_some(value)?;
    let mut out = String::new();
    for (worth, letters) in LETTERS {
        while rest >= worth {
            out.push_str(letters);
            rest -= worth;
        }
    }
    Some(out)
}

fn with_roman(number: &Number, pattern: &Pattern) -> String {
    let value = match number {
        Number::Finite(value) => value.round(0).to_int(),
        _ => None,
    };
    let letters = value.and_then(roman).unwrap_or_else(|| "#".repeat(15));
    let mut out = String::new();
    for piece in &pattern.pieces {
        match piece {
            Piece::Roman(upper) => {
                let shown = if *upper { letters.clone() } else { letters.to_lowercase() };
                let _ = if pattern.trim { write!(out, "{shown}") } else { write!(out, "{shown:>15}") };
            }
            Piece::Literal(c) => out.push(*c),
            _ => {}
        }
    }
    out
}

/// Writes digits into the places of a pattern, from left to right.
struct Writer<'a> {
    pattern: &'a Pattern,
    negative: bool,
    /// The digits and the point, without a sign.
    number: Vec<char>,
    at: usize,
    /// Places of the pattern to the left of the number.
    blanks: usize,
    place: usize,
    places: usize,
    anchor: Anchor,
    brackets: bool,
    signed: bool,
    /// A digit was written.
    inside: bool,
    /// The last character that must be shown, where zeros at the end are not.
    relevant: Option<usize>,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(digits: &str, pattern: &'a Pattern) -> Writer<'a> {
        let negative = digits.starts_with('-');
        let digits = digits.trim_start_matches('-');
        let whole = digits.find('.').unwrap_or(digits.len());
        let (before, after) = (pattern.before + pattern.shift, pattern.after);
        let finite = digits.starts_with(|c: char| c.is_ascii_digit());
        let number: Vec<char> = if whole > before || !finite {
            let mut filled = vec!['#'; before + after + 1];
            filled[before] = '.';
            filled
        } else {
            digits.chars().collect()
        };
        let blanks = if finite { before.saturating_sub(whole) } else { 0 };
        let mut relevant = None;
        if pattern.trim && pattern.point {
            relevant = number
                .iter()
                .position(|c| *c == '.')
                .map(|point| (point + 1..number.len()).rev().find(|at| number[*at] != '0').unwrap_or(point));
            if let Some(last) = relevant.filter(|_| pattern.zero_to > blanks) {
                relevant = Some(last.max((pattern.zero_to - blanks).min(number.len() - 1)));
            }
        }
        let own_sign = pattern.plus || pattern.minus;
        let signed = if own_sign { !pattern.plus || pattern.minus } else { !negative && pattern.trim && pattern.anchor == Anchor::None };
        // A sign behind all digits before the point stands at the end.
        let anchor = match pattern.anchor {
            Anchor::Before if !own_sign && pattern.before == pattern.anchored_at => Anchor::After,
            other => other,
        };
        let places = (after + before).saturating_sub(1) + usize::from(!signed && blanks == 0);
        Writer {
            pattern,
            negative,
            number,
            at: 0,
            blanks,
            place: 0,
            places,
            anchor,
            brackets: pattern.brackets && (negative || !pattern.trim),
            signed,
            inside: false,
            relevant,
            out: String::new(),
        }
    }

    fn run(mut self) -> String {
        let pattern = self.pattern;
        for piece in &pattern.pieces {
            match piece {
                Piece::Nine | Piece::Zero | Piece::Point => self.digit(*piece),
                Piece::Comma if self.inside => self.out.push(','),
                Piece::Comma if !self.pattern.trim => self.out.push(' '),
                Piece::Currency => self.out.push(' '),
                Piece::Minus if self.negative => self.out.push('-'),
                Piece::Plus if !self.negative => self.out.push('+'),
                Piece::Minus | Piece::Plus if !self.pattern.trim => self.out.push(' '),
                Piece::EitherSign => self.out.push(if self.negative { '-' } else { '+' }),
                Piece::Ordinal(upper) if self.number.first() != Some(&'#') && !self.negative && !self.pattern.point => {
                    let suffix = self.suffix();
                    self.out.push_str(&if *upper { suffix.to_uppercase() } else { suffix.to_string() });
                }
                Piece::Literal(c) => self.out.push(*c),
                Piece::Comma | Piece::Minus | Piece::Plus | Piece::Sign | Piece::Ordinal(_) | Piece::Roman(_) => {}
            }
        }
        self.out
    }

    fn suffix(&self) -> &'static str {
        let length = self.number.len();
        let teen = length > 1 && self.number[length - 2] == '1';
        match self.number.last() {
            Some('1') if !teen => "st",
            Some('2') if !teen => "nd",
            Some('3') if !teen => "rd",
            _ => "th",
        }
    }

    /// A bare zero before the point that a 9 does not show.
    fn hidden_zero(&self) -> bool {
        self.pattern.zero_from.is_none() && self.at == 0 && self.number.first() == Some(&'0') && self.pattern.after != 0
    }

    fn only_point(&self) -> bool {
        self.relevant.is_some_and(|at| self.number.get(at) == Some(&'.'))
    }

    fn digit(&mut self, piece: Piece) {
        let zero_here = self.pattern.zero_from.is_some_and(|from| from <= self.place);
        let starts = self.place >= self.blanks || self.pattern.zero_from == Some(self.place);
        self.inside = false;
        if !self.signed && starts && (!self.hidden_zero() || self.only_point()) {
            self.sign();
        }
        let current = self.number.get(self.at).copied();
        if self.place < self.blanks && !zero_here {
            if !self.pattern.trim {
                self.out.push(' ');
            }
        } else if self.place < self.blanks {
            self.out.push('0');
            self.inside = true;
        } else {
            match current {
                Some('.') if !self.only_point() || self.pattern.trim => self.out.push('.'),
                Some('.') => {}
                _ if self.relevant.is_some_and(|last| self.at > last) && piece != Piece::Zero => {}
                _ if self.hidden_zero() => {
                    if !self.pattern.trim {
                        self.out.push(' ');
                    } else if self.only_point() {
                        self.out.push('0');
                    }
                }
                Some(digit) => {
                    self.out.push(digit);
                    self.inside = true;
                }
                None => {}
            }
            if current.is_some() {
                self.at += 1;
            }
        }
        let mut end = self.places + usize::from(self.blanks > 0) + usize::from(self.pattern.point);
        if self.relevant == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 == end {
            if self.signed && self.brackets {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.pattern.anchor != Anchor::None && self.anchor == Anchor::After {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.place += 1;
    }

    fn sign(&mut self) {
        if self.pattern.anchor != Anchor::None {
            if self.anchor == Anchor::Before {
                self.out.push(if self.negative { '-' } else { '+' });
                self.signed = true;
            }
        } else if self.brackets {
            self.out.push(if self.negative { '<' } else { ' ' });
            self.signed = true;
        } else if self.negative {
            self.out.push('-');
            self.signed = true;
        } else {
            if !self.pattern.trim {
                self.out.push(' ');
            }
            self.signed = true;
        }
    }
}

/// Reads a number by a pattern.
///
/// # Errors
/// There is no digit, or the pattern is none.
pub(crate) fn read(text: &str, pattern: &str) -> Result<Number> {
    let pattern = Pattern::parse(pattern)?;
    if pattern.exponent {
        return fail("\"EEEE\" not supported for input");
    }
    if pattern.roman {
        return fail("\"RN\" not supported for input");
    }
    let mut rest = text.trim_start().chars().peekable();
    let mut digits = String::new();
    let mut negative = false;
    let take_sign = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>, negative: &mut bool| {
        if let Some(sign) = rest.next_if(|c| matches!(c, '-' | '+' | '<' | ' ')) {
            *negative |= matches!(sign, '-' | '<');
        }
    };
    for piece in &pattern.pieces {
        match piece {
            Piece::Nine | Piece::Zero => {
                if digits.is_empty() {
                    take_sign(&mut rest, &mut negative);
                }
                if let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
            }
            Piece::Point => {
                if rest.next_if_eq(&'.').is_some() {
                    digits.push('.');
                }
            }
            Piece::Comma => {
                rest.next_if_eq(&',');
            }
            Piece::Sign | Piece::Minus | Piece::Plus | Piece::EitherSign => take_sign(&mut rest, &mut negative),
            Piece::Ordinal(_) => {
                for _ in 0..2 {
                    rest.next_if(char::is_ascii_alphabetic);
                }
            }
            Piece::Literal(_) | Piece::Currency => {
                rest.next_if(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-' | '+'));
            }
            Piece::Roman(_) => {}
        }
    }
    negative |= rest.peek() == Some(&'-');
    let text = format!("{}{digits}", if negative { "-" } else { "" });
    let Some(Number::Finite(value)) = Number::parse(&text) else {
        return fail(format!("invalid input syntax for type numeric: \"{}\"", if digits.is_empty() { " " } else { &text }));
    };
    if pattern.shift > 0
        && let Some(Number::Finite(by)) = Number::parse(&format!("1e-{}", pattern.shift))
    {
        return Ok(Number::Finite(value.mul(&by).map_err(super::numeric::trouble)?));
    }
    Ok(Number::Finite(value))
}
