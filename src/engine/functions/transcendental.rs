//! Roots, powers, exponentials and logarithms of decimals, with as many digits as PostgreSQL's numeric gives.

use super::decimal::{Decimal, Trouble};
use std::cmp::Ordering;

/// Digits a result has at least, and digits after its point at most.
const DIGITS: i64 = 16;
const SCALE: i64 = 1000;
/// Digits computed beyond those shown.
const GUARD: usize = 12;
const LOG10_E: f64 = std::f64::consts::LOG10_E;

/// What is wrong with an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("cannot take square root of a negative number")]
    Root,
    #[error("cannot take logarithm of zero")]
    LogarithmOfZero,
    #[error("cannot take logarithm of a negative number")]
    LogarithmOfNegative,
    #[error("zero raised to a negative power is undefined")]
    ZeroToNegative,
    #[error("a negative number raised to a non-integer power yields a complex result")]
    Complex,
    #[error("{0}")]
    Trouble(#[from] Trouble),
}

fn shown(scale: i64, given: &[&Decimal]) -> usize {
    let least = given.iter().map(|given| given.scale() as i64).max().unwrap_or(0);
    scale.max(least).clamp(0, SCALE) as usize
}

fn one() -> Decimal {
    Decimal::of_int(1)
}

/// The square root.
pub(crate) fn sqrt(x: &Decimal) -> Result<Decimal, Refusal> {
    if x.is_negative() {
        return Err(Refusal::Root);
    }
    let weight = x.weight().0;
    // Halves are cut towards zero.
    let scale = shown(DIGITS - ((weight + 1) * 4 / 2 - 1), &[x]);
    root(x, scale)
}

/// The square root with that many digits after the point.
pub(crate) fn root(x: &Decimal, scale: usize) -> Result<Decimal, Refusal> {
    if x.is_zero() {
        return Ok(x.round(scale as i64));
    }
    let within = scale + GUARD;
    let digits = x.weight().0 * 4;
    // Doubles may not reach that far: the first guess is scaled by a power of ten.
    let shift = if digits.abs() > 250 { digits / 2 } else { 0 };
    let near = if shift == 0 { x.to_float().sqrt() } else { 1.0 };
    let mut guess = of_float(near).unwrap_or_else(one);
    if shift > 0 {
        guess = guess.mul(&power_of_ten(shift)?)?;
    }
    for _ in 0..2000 {
        let next = guess.add(&x.div_to(&guess, within)?)?.div_to(&Decimal::of_int(2), within)?;
        let close = next.sub(&guess)?.abs().compare(&Decimal::of_units(2, within)).is_le();
        guess = next;
        if close || guess.is_zero() {
            break;
        }
    }
    // Close to the middle of two neighbours no guess is close enough: the squares tell.
    let near = guess.round(scale as i64);
    let (half, unit) = (Decimal::of_units(5, scale + 1), Decimal::of_units(1, scale));
    let (low, high) = (near.sub(&half)?, near.add(&half)?);
    if !low.is_negative() && low.mul(&low)?.compare(x).is_gt() {
        return Ok(near.sub(&unit)?);
    }
    if high.mul(&high)?.compare(x).is_le() { Ok(near.add(&unit)?) } else { Ok(near) }
}

fn power_of_ten(exponent: i64) -> Result<Decimal, Refusal> {
    let zeros = "0".repeat(exponent.unsigned_abs() as usize);
    Ok(Decimal::parse(&format!("1{zeros}")).unwrap_or_else(one))
}

fn of_float(value: f64) -> Option<Decimal> {
    (value.is_finite() && value != 0.0).then(|| Decimal::parse(&format!("{value:.40}"))).flatten().filter(|value| !value.is_zero())
}

/// e to the power of x.
pub(crate) fn exp(x: &Decimal) -> Result<Decimal, Refusal> {
    let weight = (x.to_float() * LOG10_E).clamp(-2000.0, 2000.0) as i64;
    exp_to(x, shown(DIGITS - weight, &[x]))
}

fn exp_to(x: &Decimal, scale: usize) -> Result<Decimal, Refusal> {
    let size = x.to_float();
    if size > 6000.0 {
        return Err(Refusal::Trouble(Trouble::Overflow));
    }
    if size < -6000.0 {
        return Ok(Decimal::of_int(0).round(scale as i64));
    }
    // e^x = (e^(x / 2^n))^(2^n), so that the series is short.
    let mut halvings = 0u32;
    while size.abs() / 2f64.powi(halvings as i32) > 0.01 {
        halvings += 1;
    }
    let whole = (size.abs() * LOG10_E) as usize + 1;
    let within = scale + GUARD + 2 * whole + halvings as usize;
    let small = x.div_to(&Decimal::of_int(1i128 << halvings), within)?;
    let (mut sum, mut term) = (one().round(within as i64), one());
    for n in 1..10_000 {
        term = term.mul(&small)?.round(within as i64).div_to(&Decimal::of_int(n), within)?;
        if term.is_zero() {
            break;
        }
        sum = sum.add(&term)?;
    }
    for _ in 0..halvings {
        sum = sum.mul(&sum)?.round(within as i64);
    }
    Ok(sum.round(scale as i64))
}

/// Where the first digit of the logarithm stands, estimated.
fn logarithm_weight(x: &Decimal) -> i64 {
    let near = |units: i128| Decimal::of_units(units, 1);
    if x.is_negative() || x.is_zero() {
        return 0;
    }
    if x.compare(&near(9)).is_ge() && x.compare(&near(11)).is_le() {
        let Ok(rest) = x.sub(&one()) else { return 0 };
        let (weight, first) = rest.weight();
        return if rest.is_zero() { 0 } else { weight * 4 + f64::from(first).log10() as i64 };
    }
    // The first eight digits do.
    let text = x.trimmed().to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let (weight, first) = x.weight();
    let width = first.to_string().len();
    let take = (width + 4).min(digits.len().max(1));
    let kept: f64 = digits[..take.min(digits.len())].parse().unwrap_or(1.0);
    let exponent = weight * 4 - (take as i64 - width as i64);
    let estimate = kept.ln() + exponent as f64 * std::f64::consts::LN_10;
    if estimate == 0.0 { 0 } else { estimate.abs().log10() as i64 }
}

fn positive(x: &Decimal) -> Result<(), Refusal> {
    if x.is_zero() {
        Err(Refusal::LogarithmOfZero)
    } else if x.is_negative() {
        Err(Refusal::LogarithmOfNegative)
    } else {
        Ok(())
    }
}

/// The natural logarithm.
pub(crate) fn ln(x: &Decimal) -> Result<Decimal, Refusal> {
    positive(x)?;
    ln_to(x, shown(DIGITS - logarithm_weight(x), &[x]))
}

fn ln_to(x: &Decimal, scale: usize) -> Result<Decimal, Refusal> {
    let mut within = scale + GUARD + 8;
    let weight = x.weight().0;
    if !(-1..=1).contains(&weight) {
        // ln x = ln (x / 10ⁿ) + n ln 10, so that no long number is left.
        let tens = weight * 4;
        let small = if tens > 0 { x.div_to(&power_of_ten(tens)?, within)? } else { x.mul(&power_of_ten(tens)?)?.round(within as i64) };
        let rest = ln_to(&Decimal::of_int(10), within)?.mul(&Decimal::of_int(tens.into()))?;
        return Ok(ln_to(&small, within)?.add(&rest)?.round(scale as i64));
    }
    let (mut x, mut doublings) = (x.clone(), 0u32);
    if weight < 0 {
        within += 4;
    }
    // ln x = 2 ln √x, until x is near 1.
    while x.compare(&Decimal::of_units(9, 1)) != Ordering::Greater || x.compare(&Decimal::of_units(11, 1)) != Ordering::Less {
        x = root(&x, within)?;
        doublings += 1;
        within += 1;
    }
    // ln x = 2 (z + z³/3 + z⁵/5 …) of z = (x - 1) / (x + 1).
    let z = x.sub(&one())?.div_to(&x.add(&one())?, within)?;
    let square = z.mul(&z)?.round(within as i64);
    let (mut sum, mut power) = (z.clone(), z);
    for n in 1..10_000 {
        power = power.mul(&square)?.round(within as i64);
        let term = power.div_to(&Decimal::of_int(2 * n + 1), within)?;
        if term.is_zero() {
            break;
        }
        sum = sum.add(&term)?;
    }
    Ok(sum.mul(&Decimal::of_int(2i128 << doublings))?.round(scale as i64))
}

/// The logarithm of x to a base.
pub(crate) fn log(base: &Decimal, x: &Decimal) -> Result<Decimal, Refusal> {
    positive(base)?;
    positive(x)?;
    let (of_base, of_x) = (logarithm_weight(base), logarithm_weight(x));
    let scale = shown(DIGITS - (of_x - of_base), &[base, x]);
    let within = |weight: i64| (scale as i64 + of_x.abs() + of_base.abs() + 8 - weight.min(0)).max(0) as usize;
    let (above, below) = (ln_to(x, within(of_x))?, ln_to(base, within(of_base))?);
    Ok(above.div_to(&below, scale)?)
}

/// x to the power of y.
pub(crate) fn power(x: &Decimal, y: &Decimal) -> Result<Decimal, Refusal> {
    if x.is_zero() && y.is_negative() {
        return Err(Refusal::ZeroToNegative);
    }
    if let Some(times) = y.to_int().and_then(|times| i32::try_from(times).ok()) {
        return power_of(x, times);
    }
    if x.is_negative() {
        return Err(Refusal::Complex);
    }
    if x.is_zero() {
        return Ok(Decimal::of_int(0).round(DIGITS));
    }
    let near = x.to_float().ln() * y.to_float() * LOG10_E;
    if near > 131_072.0 {
        return Err(Refusal::Trouble(Trouble::Overflow));
    }
    let scale = shown(DIGITS - near.max(-2000.0) as i64, &[x, y]);
    let within = scale + near.abs() as usize + y.to_float().abs().log10().max(0.0) as usize + GUARD;
    exp_to(&ln_to(x, within)?.mul(y)?, scale)
}

/// x to the power of a whole number, rounded once at the end.
fn power_of(x: &Decimal, times: i32) -> Result<Decimal, Refusal> {
    let logarithm = if x.is_zero() { 0.0 } else { logarithm10(x) };
    let weight = logarithm * f64::from(times);
    if weight > 131_072.0 {
        return Err(Refusal::Trouble(Trouble::Overflow));
    }
    if weight + 1.0 < -(SCALE as f64) {
        return Ok(Decimal::of_int(0).round(SCALE));
    }
    let scale = shown(DIGITS, &[x]);
    let within = scale + (weight.abs() as usize) + GUARD + f64::from(times).abs().log10().max(0.0) as usize;
    let (mut left, mut square, mut result) = (times.unsigned_abs(), x.clone(), one());
    // The reciprocal has the digits that the power needs.
    let limit = if times < 0 { within + 2 * weight.abs() as usize } else { within };
    let short = |value: Decimal| if value.scale() > limit { value.round(limit as i64) } else { value };
    while left > 0 {
        if left & 1 == 1 {
            result = short(result.mul(&square)?);
        }
        left >>= 1;
        if left > 0 {
            square = short(square.mul(&square)?);
        }
    }
    if times < 0 { Ok(one().div_to(&result, scale)?) } else { Ok(result.round(scale as i64)) }
}

fn logarithm10(x: &Decimal) -> f64 {
    let (weight, first) = x.weight();
    let value = x.abs().to_float();
    if value.is_finite() && value > 0.0 { value.log10() } else { weight as f64 * 4.0 + f64::from(first.max(1)).log10() }
}
