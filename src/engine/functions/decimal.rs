//! Decimals of any length, with the scales PostgreSQL's numeric gives to sums, products, quotients and remainders.

use std::cmp::Ordering;
use std::fmt;

/// The base of a limb: nine decimal digits.
const BASE: u64 = 1_000_000_000;
const DIGITS: usize = 9;
/// Digits before and after the point that PostgreSQL's numeric can hold.
const MAX_BEFORE: usize = 131_072;
const MAX_AFTER: usize = 16_383;
/// Digits a quotient has at least, and digits after its point at most.
const QUOTIENT_DIGITS: i64 = 16;
const QUOTIENT_SCALE: i64 = 1000;

/// A decimal: a whole number of units of 10^-scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// The lowest limb first, without zeros at the end.
    limbs: Vec<u32>,
    scale: usize,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("division by zero")]
    DivisionByZero,
    #[error("value overflows numeric format")]
    Overflow,
}

fn trim(limbs: &mut Vec<u32>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

fn compare(a: &[u32], b: &[u32]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn plus(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for at in 0..a.len().max(b.len()) {
        let sum = u64::from(a.get(at).copied().unwrap_or(0)) + u64::from(b.get(at).copied().unwrap_or(0)) + carry;
        out.push((sum % BASE) as u32);
        carry = sum / BASE;
    }
    if carry > 0 {
        out.push(carry as u32);
    }
    out
}

/// `a - b`, of which `a` is not the smaller one.
fn minus(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(a.len());
    let mut borrow = 0;
    for (at, limb) in a.iter().enumerate() {
        let take = u64::from(b.get(at).copied().unwrap_or(0)) + borrow;
        let have = u64::from(*limb);
        borrow = u64::from(have < take);
        out.push((have + borrow * BASE - take) as u32);
    }
    trim(&mut out);
    out
}

fn times(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = vec![0u32; a.len() + b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0;
        for (j, y) in b.iter().enumerate() {
            let sum = u64::from(*x) * u64::from(*y) + u64::from(out[i + j]) + carry;
            out[i + j] = (sum % BASE) as u32;
            carry = sum / BASE;
        }
        out[i + b.len()] = carry as u32;
    }
    trim(&mut out);
    out
}

fn power_of_ten(exponent: usize) -> Vec<u32> {
    let mut out = vec![0; exponent / DIGITS];
    out.push(10u32.pow((exponent % DIGITS) as u32));
    out
}

/// Quotient and remainder; the divisor is not zero.
fn divide(a: &[u32], b: &[u32]) -> (Vec<u32>, Vec<u32>) {
    if compare(a, b).is_lt() {
        return (Vec::new(), a.to_vec());
    }
    if let [only] = b {
        let mut out = vec![0; a.len()];
        let mut rest = 0;
        for at in (0..a.len()).rev() {
            let part = rest * BASE + u64::from(a[at]);
            out[at] = (part / u64::from(*only)) as u32;
            rest = part % u64::from(*only);
        }
        trim(&mut out);
        let mut rest = vec![rest as u32];
        trim(&mut rest);
        return (out, rest);
    }
    // The divisor's first limb is made large, so that the guess of a digit is at most two too high.
    let shift = [(BASE / (u64::from(b[b.len() - 1]) + 1)) as u32];
    let (mut rest, by) = (times(a, &shift), times(b, &shift));
    rest.resize(a.len() + 1, 0);
    let width = by.len();
    let (first, second) = (u64::from(by[width - 1]), u64::from(by[width - 2]));
    let mut out = vec![0; a.len() - width + 1];
    for at in (0..out.len()).rev() {
        let top = u64::from(rest[at + width]) * BASE + u64::from(rest[at + width - 1]);
        let (mut guess, mut left) = (top / first, top % first);
        while guess >= BASE || guess * second > left * BASE + u64::from(rest[at + width - 2]) {
            guess -= 1;
            left += first;
            if left >= BASE {
                break;
            }
        }
        let mut borrow = 0i64;
        for (j, limb) in by.iter().enumerate() {
            let part = guess * u64::from(*limb);
            let have = i64::from(rest[at + j]) - borrow - (part % BASE) as i64;
            borrow = (part / BASE) as i64 - have.div_euclid(BASE as i64);
            rest[at + j] = have.rem_euclid(BASE as i64) as u32;
        }
        let have = i64::from(rest[at + width]) - borrow;
        rest[at + width] = have.rem_euclid(BASE as i64) as u32;
        if have < 0 {
            guess -= 1;
            let mut carry = 0;
            for (j, limb) in by.iter().enumerate() {
                let sum = u64::from(rest[at + j]) + u64::from(*limb) + carry;
                rest[at + j] = (sum % BASE) as u32;
                carry = sum / BASE;
            }
            rest[at + width] = ((u64::from(rest[at + width]) + carry) % BASE) as u32;
        }
        out[at] = guess as u32;
    }
    trim(&mut out);
    trim(&mut rest);
    (out, divide(&rest, &shift).0)
}

impl Decimal {
    fn new(negative: bool, mut limbs: Vec<u32>, scale: usize) -> Decimal {
        trim(&mut limbs);
        Decimal { negative: negative && !limbs.is_empty(), limbs, scale }
    }

    /// The decimal of a text without exponent, as jsonb's numbers are.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut limbs = Vec::with_capacity(all.len() / DIGITS + 1);
        let mut end = all.len();
        while end > 0 {
            let start = end.saturating_sub(DIGITS);
            limbs.push(all[start..end].parse().ok()?);
            end = start;
        }
        Some(Decimal::new(negative, limbs, fraction.len()))
    }

    fn units(&self, scale: usize) -> Vec<u32> {
        if scale > self.scale { times(&self.limbs, &power_of_ten(scale - self.scale)) } else { self.limbs.clone() }
    }

    fn checked(self) -> Result<Decimal, Trouble> {
        if self.length() > self.scale + MAX_BEFORE { Err(Trouble::Overflow) } else { Ok(self) }
    }

    /// How many digits the units have; zero has none.
    fn length(&self) -> usize {
        self.limbs.last().map_or(0, |last| (self.limbs.len() - 1) * DIGITS + last.ilog10() as usize + 1)
    }

    /// Digits after the point.
    pub(crate) fn scale(&self) -> usize {
        self.scale
    }

    /// True for zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// True below zero.
    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    /// A whole number.
    pub(crate) fn of_int(value: i128) -> Decimal {
        let mut rest = value.unsigned_abs();
        let mut limbs = Vec::new();
        while rest > 0 {
            limbs.push((rest % u128::from(BASE)) as u32);
            rest /= u128::from(BASE);
        }
        Decimal::new(value < 0, limbs, 0)
    }

    /// That many units of 10^-scale.
    pub(crate) fn of_units(units: i128, scale: usize) -> Decimal {
        let mut value = Decimal::of_int(units);
        value.scale = scale;
        value
    }

    /// The whole number it is, if it is one that fits.
    pub(crate) fn to_int(&self) -> Option<i128> {
        let (whole, rest) = divide(&self.limbs, &power_of_ten(self.scale));
        if !rest.is_empty() || whole.len() > 4 {
            return None;
        }
        let value = whole.iter().rev().fold(0i128, |value, limb| value * i128::from(BASE) + i128::from(*limb));
        Some(if self.negative { -value } else { value })
    }

    /// The nearest double.
    pub(crate) fn to_float(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Numerical order: `1.0` and `1.00` are equal.
    pub(crate) fn compare(&self, other: &Decimal) -> Ordering {
        let scale = self.scale.max(other.scale);
        let size = || compare(&self.units(scale), &other.units(scale));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(),
            (true, true) => size().reverse(),
        }
    }

    /// With exactly that many digits after the point (before it, if negative), half going away from zero.
    pub(crate) fn round(&self, places: i64) -> Decimal {
        let places = places.clamp(-(MAX_BEFORE as i64), MAX_AFTER as i64);
        let scale = places.max(0) as usize;
        if places >= 0 && scale >= self.scale {
            return Decimal::new(self.negative, self.units(scale), scale);
        }
        if places >= 0 {
            return self.rounded(scale);
        }
        let unit = power_of_ten(self.scale + places.unsigned_abs() as usize);
        let (mut limbs, rest) = divide(&self.limbs, &unit);
        if compare(&plus(&rest, &rest), &unit).is_ge() {
            limbs = plus(&limbs, &[1]);
        }
        Decimal::new(self.negative, times(&limbs, &power_of_ten(places.unsigned_abs() as usize)), 0)
    }

    /// With exactly that many digits after the point (before it, if negative), the others dropped.
    pub(crate) fn cut(&self, places: i64) -> Decimal {
        let places = places.clamp(-(MAX_BEFORE as i64), MAX_AFTER as i64);
        let scale = places.max(0) as usize;
        if places >= 0 && scale >= self.scale {
            return self.round(places);
        }
        let dropped = (self.scale as i64 - places) as usize;
        let kept = divide(&self.limbs, &power_of_ten(dropped)).0;
        if places >= 0 {
            return Decimal::new(self.negative, kept, scale);
        }
        Decimal::new(self.negative, times(&kept, &power_of_ten(places.unsigned_abs() as usize)), 0)
    }

    /// Without zeros at the end of the fraction.
    pub(crate) fn trimmed(&self) -> Decimal {
        let text = self.to_string();
        let zeros = text.len() - text.trim_end_matches('0').len();
        if self.is_zero() { Decimal::of_int(0) } else { self.cut(self.scale.saturating_sub(zeros) as i64) }
    }

    /// The quotient with that many digits after the point, rounded.
    pub(crate) fn div_to(&self, other: &Decimal, scale: usize) -> Result<Decimal, Trouble> {
        if other.limbs.is_empty() {
            return Err(Trouble::DivisionByZero);
        }
        // One digit more than wanted, to round by.
        let (above, below) = (scale + 1 + other.scale, self.scale);
        let units = if above > below { times(&self.limbs, &power_of_ten(above - below)) } else { self.limbs.clone() };
        let by = if below > above { times(&other.limbs, &power_of_ten(below - above)) } else { other.limbs.clone() };
        Decimal::new(self.negative != other.negative, divide(&units, &by).0, scale + 1).rounded(scale).checked()
    }

    /// The scale of the quotient.
    pub(crate) fn quotient_scale(&self, other: &Decimal) -> usize {
        let ((weight, first), (other_weight, other_first)) = (self.weight(), other.weight());
        let weight = weight - other_weight - i64::from(first <= other_first);
        (QUOTIENT_DIGITS - weight * 4).max(self.scale as i64).max(other.scale as i64).clamp(0, QUOTIENT_SCALE) as usize
    }

    /// The sum.
    pub(crate) fn add(&self, other: &Decimal) -> Result<Decimal, Trouble> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.units(scale), other.units(scale));
        let (negative, limbs) = if self.negative == other.negative {
            (self.negative, plus(&a, &b))
        } else if compare(&a, &b).is_lt() {
            (other.negative, minus(&b, &a))
        } else {
            (self.negative, minus(&a, &b))
        };
        Decimal::new(negative, limbs, scale).checked()
    }

    /// The difference.
    pub(crate) fn sub(&self, other: &Decimal) -> Result<Decimal, Trouble> {
        self.add(&other.neg())
    }

    /// The product; its digits after the point are those of both factors.
    pub(crate) fn mul(&self, other: &Decimal) -> Result<Decimal, Trouble> {
        let product = Decimal::new(self.negative != other.negative, times(&self.limbs, &other.limbs), self.scale + other.scale);
        if product.scale > MAX_AFTER { product.rounded(MAX_AFTER).checked() } else { product.checked() }
    }

    /// The quotient, of about sixteen digits.
    pub(crate) fn div(&self, other: &Decimal) -> Result<Decimal, Trouble> {
        if other.limbs.is_empty() {
            return Err(Trouble::DivisionByZero);
        }
        self.div_to(other, self.quotient_scale(other))
    }

    /// The remainder, with the sign of the dividend.
    pub(crate) fn rem(&self, other: &Decimal) -> Result<Decimal, Trouble> {
        if other.limbs.is_empty() {
            return Err(Trouble::DivisionByZero);
        }
        let scale = self.scale.max(other.scale);
        Ok(Decimal::new(self.negative, divide(&self.units(scale), &other.units(scale)).1, scale))
    }

    /// The number with the other sign.
    pub(crate) fn neg(&self) -> Decimal {
        Decimal::new(!self.negative, self.limbs.clone(), self.scale)
    }

    /// The number without sign.
    pub(crate) fn abs(&self) -> Decimal {
        Decimal::new(false, self.limbs.clone(), self.scale)
    }

    /// The whole number nearest to zero.
    pub(crate) fn trunc(&self) -> Decimal {
        Decimal::new(self.negative, divide(&self.limbs, &power_of_ten(self.scale)).0, 0)
    }

    /// The whole number not greater.
    pub(crate) fn floor(&self) -> Decimal {
        let (mut whole, rest) = divide(&self.limbs, &power_of_ten(self.scale));
        if self.negative && !rest.is_empty() {
            whole = plus(&whole, &[1]);
        }
        Decimal::new(self.negative, whole, 0)
    }

    /// The whole number not smaller.
    pub(crate) fn ceil(&self) -> Decimal {
        self.neg().floor().neg()
    }

    /// Fewer digits after the point; half goes away from zero.
    fn rounded(&self, scale: usize) -> Decimal {
        let unit = power_of_ten(self.scale - scale);
        let (mut limbs, rest) = divide(&self.limbs, &unit);
        if compare(&plus(&rest, &rest), &unit).is_ge() {
            limbs = plus(&limbs, &[1]);
        }
        Decimal::new(self.negative, limbs, scale)
    }

    /// Position and value of the first digit in base 10,000.
    pub(crate) fn weight(&self) -> (i64, u32) {
        let text = self.to_string();
        let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
        let whole = whole.trim_start_matches('0');
        if !whole.is_empty() {
            let weight = (whole.len() - 1) / 4;
            return (weight as i64, whole[..whole.len() - weight * 4].parse().unwrap_or(0));
        }
        match fraction.find(|digit| digit != '0') {
            Some(zeros) => {
                let group = zeros / 4;
                let digits: String = fraction.chars().chain(std::iter::repeat('0')).skip(group * 4).take(4).collect();
                (-(group as i64) - 1, digits.parse().unwrap_or(0))
            }
            None => (0, 0),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = String::with_capacity(self.limbs.len() * DIGITS);
        for (at, limb) in self.limbs.iter().rev().enumerate() {
            digits.push_str(&if at == 0 { limb.to_string() } else { format!("{limb:09}") });
        }
        let digits = format!("{digits:0>width$}", width = self.scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale);
        write!(out, "{}{whole}", if self.negative { "-" } else { "" })?;
        if fraction.is_empty() { Ok(()) } else { write!(out, ".{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Operation = fn(&Decimal, &Decimal) -> Result<Decimal, Trouble>;

    #[test]
    fn arithmetic_has_numerics_scales() {
        let table: [(&str, Operation, &str, &str); 18] = [
            ("1.50", Decimal::add, "2.5", "4.00"),
            ("-0.1", Decimal::add, "0.1", "0.0"),
            ("999999999999999999", Decimal::add, "1", "1000000000000000000"),
            ("1", Decimal::sub, "1000000000000000000000", "-999999999999999999999"),
            ("1.5", Decimal::mul, "-1.50", "-2.250"),
            (
                "123456789012345678901234567890",
                Decimal::mul,
                "987654321098765432109876543210",
                "121932631137021795226185032733622923332237463801111263526900",
            ),
            ("1", Decimal::div, "3", "0.33333333333333333333"),
            ("10", Decimal::div, "4", "2.5000000000000000"),
            ("-2", Decimal::div, "3", "-0.66666666666666666667"),
            ("100000", Decimal::div, "3", "33333.333333333333"),
            ("1", Decimal::div, "100000000000000000000000", "0.0000000000000000000000100000000000000000"),
            (
                "121932631137021795226185032733622923332237463801111263526900",
                Decimal::div,
                "987654321098765432109876543210",
                "123456789012345678901234567890",
            ),
            ("0.00001", Decimal::div, "7", "0.000001428571428571428571"),
            ("5.5", Decimal::rem, "2", "1.5"),
            ("-5", Decimal::rem, "3", "-2"),
            ("5", Decimal::rem, "-0.30", "0.20"),
            ("1000000000000000000000000000001", Decimal::rem, "1000000000000", "1"),
            ("0", Decimal::mul, "-5.0", "0.0"),
        ];
        for (a, operation, b, want) in table {
            let got = operation(&Decimal::parse(a).unwrap(), &Decimal::parse(b).unwrap()).unwrap();
            assert_eq!(got.to_string(), want, "{a} and {b}");
        }
        let zero = Decimal::parse("0.00").unwrap();
        assert_eq!(zero.div(&zero), Err(Trouble::DivisionByZero));
        assert_eq!(zero.rem(&zero), Err(Trouble::DivisionByZero));
        let long = Decimal::parse(&"9".repeat(70_000)).unwrap();
        assert_eq!(long.mul(&long), Err(Trouble::Overflow));
        for bad in ["", "-", "1e5", "x", "1.-5"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_around() {
        for (text, floor, ceil, trunc) in
            [("1.5", "1", "2", "1"), ("-1.5", "-2", "-1", "-1"), ("-0.5", "-1", "0", "0"), ("7", "7", "7", "7"), ("3.000", "3", "3", "3")]
        {
            let number = Decimal::parse(text).unwrap();
            assert_eq!([number.floor().to_string(), number.ceil().to_string(), number.trunc().to_string()], [floor, ceil, trunc], "{text}");
        }
    }

    #[test]
    fn division_undoes_multiplication() {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u32 % BASE as u32
        };
        for length in 1..40 {
            let edge = |limb: u32| {
                if limb.is_multiple_of(5) {
                    BASE as u32 - 1
                } else if limb.is_multiple_of(7) {
                    0
                } else {
                    limb
                }
            };
            let mut a: Vec<u32> = (0..length).map(|_| edge(next())).collect();
            let mut b: Vec<u32> = (0..length / 2 + 1).map(|_| edge(next())).collect();
            b.push(1 + next() % 9);
            a.push(1);
            let (quotient, rest) = divide(&a, &b);
            assert!(compare(&rest, &b).is_lt());
            let mut back = plus(&times(&quotient, &b), &rest);
            trim(&mut back);
            assert_eq!(back, a);
        }
    }
}
