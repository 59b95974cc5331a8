//! `format("%s is %5.1f", …)`: the verbs of Go's `fmt` that HCL has.

use super::{Wrong, bad};
use crate::mods::value::Value;

/// Wider than this is a mistake.
const MAX_WIDTH: usize = 1_000;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Fills a template in.
pub(super) fn format(template: &str, args: &[Value]) -> Result<String, Wrong> {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    let mut next = 0;
    let mut most = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '0' => spec.zero = true,
                ' ' => spec.space = true,
                _ => spec.sharp = true,
            }
        }
        spec.width = digits(&mut chars)?;
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars)?.unwrap_or(0));
        }
        if chars.next_if_eq(&'[').is_some() {
            let n = digits(&mut chars)?.filter(|n| *n > 0).ok_or_else(|| bad(0, "'%[' needs the number of an argument"))?;
            if chars.next_if_eq(&']').is_none() {
                return Err(bad(0, "'%[' is not closed"));
            }
            next = n - 1;
        }
        let Some(verb) = chars.next() else { return Err(bad(0, "it ends with '%'; write '%%'")) };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = args.get(next).ok_or_else(|| Wrong::from(format!("there is no argument for %{verb}")))?;
        let text = one(&spec, verb, value).map_err(|why| bad(next + 1, why))?;
        pad(&spec, &text, verb, &mut out);
        next += 1;
        most = most.max(next);
    }
    if most < args.len() {
        return Err(bad(most + 1, format!("the template uses {most} of {} arguments", args.len())));
    }
    Ok(out)
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>, Wrong> {
    let mut text = String::new();
    while let Some(d) = chars.next_if(char::is_ascii_digit) {
        text.push(d);
    }
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().ok().filter(|n| *n <= MAX_WIDTH).map(Some).ok_or_else(|| bad(0, format!("'{text}' is too much")))
}

fn one(spec: &Spec, verb: char, value: &Value) -> Result<String, String> {
    let refused = |want: &str| format!("%{verb} needs {want}, not {}", value.kind());
    let number = || value.as_f64().ok_or_else(|| refused("a number"));
    let int = || value.as_int().ok_or_else(|| refused("a whole number"));
    let signed = |text: String| match (spec.plus, spec.space) {
        (true, _) if !text.starts_with('-') => format!("+{text}"),
        (_, true) if !text.starts_with('-') => format!(" {text}"),
        _ => text,
    };
    let cut = |text: &str| match spec.precision {
        Some(n) => text.chars().take(n).collect(),
        None => text.to_owned(),
    };
    let json = || value.to_json().map(|j| j.to_string()).ok_or_else(|| refused("a value"));
    Ok(match verb {
        'v' if spec.sharp => json()?,
        'v' if matches!(value, Value::Int(_) | Value::Float(_)) => signed(general(number()?)),
        'v' => match value.as_text() {
            Some(text) => cut(&text),
            None => json()?,
        },
        's' => cut(&value.as_text().ok_or_else(|| refused("text"))?),
        'q' => serde_json::Value::from(cut(&value.as_text().ok_or_else(|| refused("text"))?)).to_string(),
        't' => value.as_bool().ok_or_else(|| refused("true or false"))?.to_string(),
        'd' => match value.as_number() {
            Some(Value::Int(i)) => signed(i.to_string()),
            Some(Value::Float(f)) if f.fract() == 0.0 => signed(format!("{f:.0}")),
            _ => return Err(refused("a whole number")),
        },
        'f' | 'F' => signed(format!("{:.*}", spec.precision.unwrap_or(6), number()?)),
        'e' | 'E' => {
            let text = format!("{:.*e}", spec.precision.unwrap_or(6), number()?);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            let text = format!("{mantissa}e{sign}{exponent:0>2}");
            signed(if verb == 'E' { text.to_uppercase() } else { text })
        }
        'g' | 'G' => {
            let text = general(number()?);
            signed(if verb == 'G' { text.to_uppercase() } else { text })
        }
        'b' => format!("{:b}", int()?),
        'o' => format!("{:o}", int()?),
        'x' | 'X' => {
            let text = format!("{}{:x}", if spec.sharp { "0x" } else { "" }, int()?);
            if verb == 'X' { text.to_uppercase() } else { text }
        }
        other => return Err(format!("there is no verb %{other}")),
    })
}

/// As Go's `%g`: with an exponent from the millions on, and below four zeros.
fn general(n: f64) -> String {
    let text = format!("{n:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let e: i32 = exponent.parse().unwrap_or(0);
    if n != 0.0 && !(-4..6).contains(&e) {
        let (sign, exponent) = if e < 0 { ('-', -e) } else { ('+', e) };
        return format!("{mantissa}e{sign}{exponent:02}");
    }
    n.to_string()
}

fn pad(spec: &Spec, text: &str, verb: char, out: &mut String) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        out.push_str(text);
    } else if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero && !matches!(verb, 's' | 'q' | 'v' | 't') {
        let sign = text.len() - text.trim_start_matches(['+', '-', ' ']).len();
        out.push_str(&text[..sign]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[sign..]);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}
