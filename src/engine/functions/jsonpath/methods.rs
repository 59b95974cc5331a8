//! Methods: numbers, `keyvalue()`, `datetime()`.

use super::ast::{Method, Step};
use super::datetime::{self, Moment};
use super::eval::{Evaluation, Outcome, Sink};
use super::item::Item;
use super::layout;
use crate::functions::decimal::Decimal;
use crate::functions::jsonb_scan::members;
use datafusion::common::Result;

/// The number of a document in the ids of `keyvalue()`.
const DOCUMENT: u64 = 10_000_000_000;

impl<'a> Evaluation<'a> {
    /// A method that gives one value, or a row for each member.
    pub(super) fn method(&mut self, method: Method, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let of_number: fn(&Decimal) -> Decimal = match method {
            Method::Keyvalue => return self.keyvalue(rest, item, sink),
            Method::Double => return self.double(rest, item, sink),
            Method::Floor => Decimal::floor,
            Method::Ceiling => Decimal::ceil,
            _ => Decimal::abs,
        };
        match item.number() {
            Some(number) => self.made(rest, sink, || Item::made(of_number(&number).to_string(), 0)),
            None => self.error(format!("jsonpath item method .{}() can only be applied to a numeric value", method.name())),
        }
    }

    fn double(&mut self, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        if let Some(digits) = item.digits() {
            if !digits.parse::<f64>().is_ok_and(fits(digits)) {
                return self.error("numeric argument of jsonpath item method .double() is out of range for type double precision");
            }
            return self.next(rest, item.clone(), sink);
        }
        let Some(text) = item.string() else {
            return self.error("jsonpath item method .double() can only be applied to a string or numeric value");
        };
        let text = text.trim_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let words = text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'));
        let decimal = if words { None } else { text.parse::<f64>().ok().filter(|number| fits(text)(*number)) };
        match hex.map(|hex| hex as f64).or(decimal).and_then(digits_of) {
            Some(digits) => self.next(rest, Item::made(digits, 0), sink),
            None => {
                self.error("string argument of jsonpath item method .double() is not a valid representation of a double precision number")
            }
        }
    }

    fn keyvalue(&mut self, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let Some(object) = item.object() else {
            return self.error("jsonpath item method .keyvalue() can only be applied to an object");
        };
        let mut outcome = Outcome::NotFound;
        let mut id = None;
        for (name, value) in members(object.text()) {
            outcome = Outcome::Found;
            if rest.is_empty() && !sink.keep {
                break;
            }
            let id = *id.get_or_insert_with(|| layout::offset(object.whole(), object.offset()) + object.document * DOCUMENT);
            let pair = format!("{{\"id\": {id}, \"key\": {name}, \"value\": {value}}}");
            let document = self.documents;
            self.documents += 1;
            outcome = self.next(rest, Item::made(pair, document), sink)?;
            if outcome == Outcome::Error || (outcome == Outcome::Found && !sink.keep) {
                return Ok(outcome);
            }
        }
        Ok(outcome)
    }

    /// The moment a string says.
    pub(super) fn datetime(&mut self, template: Option<&str>, rest: &'a [Step], item: &Item<'a>, sink: &mut Sink<'a>) -> Result<Outcome> {
        let Some(text) = item.string() else {
            return self.error("jsonpath item method .datetime() can only be applied to a string");
        };
        let moment: std::result::Result<Moment, String> = match template {
            Some(template) => datetime::by_template(&text, template),
            None => datetime::by_any(&text).ok_or_else(|| format!("datetime format is not recognized: \"{text}\"")),
        };
        match moment {
            Ok(moment) => self.made(rest, sink, || Item::Moment(moment)),
            Err(message) => self.error(message),
        }
    }
}

/// Is a parsed number finite, and no zero that was none?
fn fits(text: &str) -> impl Fn(f64) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let zero = !mantissa.contains(|c: char| matches!(c, '1'..='9'));
    move |number: f64| number.is_finite() && (zero || number != 0.0)
}

/// A float as numeric: fifteen significant digits.
fn digits_of(number: f64) -> Option<String> {
    let text = format!("{number:.14e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    assay_tables::jsonb::canonical_number(&format!("{mantissa}e{exponent}"))
}
