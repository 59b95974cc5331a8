//! `inet` and `cidr`: text input, order, containment, arithmetic.

use super::row::{Def, Kind, Ret, Row, Value, fail, tag};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::logical_expr::ReturnFieldArgs;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Functions of this file. The operators' functions have names that no identifier of a statement can be.
pub(crate) const ALL: &[Def] = &[
    Def::new("inet <<", &[Kind::Text, Kind::Text], Ret::Bool, |row| both(row, |a, b| b.holds(a) && a.bits > b.bits)),
    Def::new("inet <<=", &[Kind::Text, Kind::Text], Ret::Bool, |row| both(row, |a, b| b.holds(a))),
    Def::new("inet &&", &[Kind::Text, Kind::Text], Ret::Bool, |row| both(row, |a, b| a.holds(b) || b.holds(a))),
    Def::new("inet key", &[Kind::Text], Ret::Text, |row| Ok(net(row, 0)?.key().into())),
    Def::new("inet of key", &[Kind::Text], Ret::Inet, |row| Ok(of_key(row.text(0)).map(|net| net.inet()).into())),
    Def::new("cidr of key", &[Kind::Text], Ret::Cidr, |row| Ok(of_key(row.text(0)).map(|net| net.cidr()).into())),
    Def::new("inet +", &[Kind::Text, Kind::Int], Ret::Inet, |row| moved(row, row.int(1).into())),
    Def::new("inet -", &[Kind::Text, Kind::Int], Ret::Inet, |row| moved(row, -i128::from(row.int(1)))),
    Def::new("inet distance", &[Kind::Text, Kind::Text], Ret::Int, distance),
    Def::new("inet &", &[Kind::Text, Kind::Text], Ret::Inet, |row| bitwise(row, |a, b| a & b)),
    Def::new("inet |", &[Kind::Text, Kind::Text], Ret::Inet, |row| bitwise(row, |a, b| a | b)),
    Def::new("bitwise not", &[Kind::Any], Ret::Of(inverted), |row| {
        let (col, at) = row.col(0);
        if col.array.data_type().is_integer() {
            return Ok(Value::Int(!super::cast::to_int(&col.array.slice(at, 1))?.as_primitive::<Int64Type>().value(0)));
        }
        let texts = super::text_out::texts(&col.array.slice(at, 1))?;
        let Some(net) = parse(texts.value(0), false) else { return fail("operator does not exist: ~") };
        Ok(Net { address: !net.address & net.all(), ..net }.inet().into())
    }),
    Def::new("host", &[Kind::Text], Ret::Text, |row| Ok(net(row, 0)?.host().into())),
    Def::new("masklen", &[Kind::Text], Ret::Int, |row| Ok(Value::Int(net(row, 0)?.bits.into()))),
    Def::new("family", &[Kind::Text], Ret::Int, |row| Ok(Value::Int(if net(row, 0)?.v6 { 6 } else { 4 }))),
    Def::new("network", &[Kind::Text], Ret::Cidr, |row| Ok(net(row, 0)?.network().cidr().into())),
    Def::new("netmask", &[Kind::Text], Ret::Inet, |row| {
        let net = net(row, 0)?;
        Ok(Net { address: net.mask(), bits: net.width(), ..net }.inet().into())
    }),
    Def::new("hostmask", &[Kind::Text], Ret::Inet, |row| {
        let net = net(row, 0)?;
        Ok(Net { address: net.all() & !net.mask(), bits: net.width(), ..net }.inet().into())
    }),
    Def::new("broadcast", &[Kind::Text], Ret::Inet, |row| {
        let net = net(row, 0)?;
        Ok(Net { address: net.address | (net.all() & !net.mask()), ..net }.inet().into())
    }),
    Def::new("set_masklen", &[Kind::Text, Kind::Int], Ret::Of(same), set_masklen),
    Def::new("abbrev", &[Kind::Any], Ret::Text, abbrev),
    Def::new("inet_same_family", &[Kind::Text, Kind::Text], Ret::Bool, |row| both(row, |a, b| a.v6 == b.v6)),
    Def::new("inet_merge", &[Kind::Text, Kind::Text], Ret::Cidr, merge),
];

/// An address and the length of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    v6: bool,
    address: u128,
    bits: u8,
}

impl Net {
    fn width(self) -> u8 {
        if self.v6 { 128 } else { 32 }
    }

    fn all(self) -> u128 {
        if self.v6 { u128::MAX } else { u128::from(u32::MAX) }
    }

    fn mask(self) -> u128 {
        let host = self.width() - self.bits;
        self.all() & u128::MAX.checked_shl(u32::from(host)).unwrap_or(0)
    }

    pub(crate) fn network(self) -> Net {
        Net { address: self.address & self.mask(), ..self }
    }

    /// True if the other is in this network, or is it.
    fn holds(self, other: Net) -> bool {
        self.v6 == other.v6 && self.bits <= other.bits && (self.address ^ other.address) & self.mask() == 0
    }

    fn host(self) -> String {
        if self.v6 {
            let text = Ipv6Addr::from(self.address).to_string();
            // Addresses that embed one of version 4 show it.
            let embedded = self.address >> 32 == 0 && self.address > 0xffff;
            if embedded { format!("::{}", Ipv4Addr::from(self.address as u32)) } else { text }
        } else {
            Ipv4Addr::from(self.address as u32).to_string()
        }
    }

    /// As inet prints it: with the network's length, unless that is the whole address.
    pub(crate) fn inet(self) -> String {
        if self.bits == self.width() { self.host() } else { self.cidr() }
    }

    /// As cidr prints it.
    pub(crate) fn cidr(self) -> String {
        format!("{}/{}", self.host(), self.bits)
    }

    /// True if nothing is set right of the network.
    pub(crate) fn is_network(self) -> bool {
        self.address & !self.mask() == 0
    }

    /// A text that sorts as PostgreSQL sorts addresses: family, network, its length, address.
    fn key(self) -> String {
        let mut key = String::with_capacity(usize::from(self.bits) + 36);
        key.push(if self.v6 { '6' } else { '4' });
        for bit in 0..self.bits {
            key.push(if self.address >> (self.width() - 1 - bit) & 1 == 1 { '1' } else { '0' });
        }
        // Sorts before the digits: of two networks, the one that holds the other comes first.
        let _ = write!(key, " {:032x}", self.address);
        key
    }
}

fn of_key(key: &str) -> Option<Net> {
    let (prefix, address) = key.split_once(' ')?;
    Some(Net {
        v6: prefix.starts_with('6'),
        address: u128::from_str_radix(address, 16).ok()?,
        bits: u8::try_from(prefix.len().checked_sub(1)?).ok()?,
    })
}

/// Reads an address; `cidr` may leave out trailing parts and the length, which its first part then tells.
pub(crate) fn parse(text: &str, cidr: bool) -> Option<Net> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => {
            let digits = !bits.is_empty() && bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit());
            (address, Some(bits.parse::<u8>().ok().filter(|_| digits)?))
        }
        None => (text, None),
    };
    if address.contains(':') {
        let address = u128::from(address.parse::<Ipv6Addr>().ok()?);
        let bits = bits.unwrap_or(128);
        return (bits <= 128).then_some(Net { v6: true, address, bits });
    }
    let mut octets = Vec::new();
    for part in address.split('.') {
        let digits = !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        octets.push(part.parse::<u8>().ok().filter(|_| digits)?);
    }
    if octets.len() > 4 || (octets.len() < 4 && bits.is_none() && !cidr) {
        return None;
    }
    let bits = match bits {
        Some(bits) => bits,
        None if octets.len() == 4 => 32,
        None => class_bits(octets.first().copied()?).max(octets.len() as u8 * 8),
    };
    let address = octets.iter().chain(std::iter::repeat(&0)).take(4).fold(0u128, |all, octet| all << 8 | u128::from(*octet));
    (bits <= 32).then_some(Net { v6: false, address, bits })
}

/// The length a network had by its first octet before lengths were written; class D is known by its one prefix.
fn class_bits(first: u8) -> u8 {
    match first {
        240.. => 32,
        224 => 4,
        225.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    }
}

fn net(row: Row<'_>, k: usize) -> Result<Net> {
    let text = row.text(k);
    parse(text, false).map_or_else(|| fail(format!("invalid input syntax for type inet: \"{text}\"")), Ok)
}

fn both<'a>(row: Row<'a>, test: fn(Net, Net) -> bool) -> Result<Value<'a>> {
    Ok(Value::Bool(test(net(row, 0)?, net(row, 1)?)))
}

fn bitwise<'a>(row: Row<'a>, op: fn(u128, u128) -> u128) -> Result<Value<'a>> {
    let (a, b) = (net(row, 0)?, net(row, 1)?);
    if a.v6 != b.v6 {
        return fail("cannot AND or OR inet values of different sizes");
    }
    Ok(Net { address: op(a.address, b.address), bits: a.bits.max(b.bits), ..a }.inet().into())
}

fn moved(row: Row<'_>, by: i128) -> Result<Value<'_>> {
    let net = net(row, 0)?;
    let moved = if by < 0 { net.address.checked_sub(by.unsigned_abs()) } else { net.address.checked_add(by.unsigned_abs()) };
    match moved.filter(|address| *address <= net.all()) {
        Some(address) => Ok(Net { address, ..net }.inet().into()),
        None => fail("result is out of range"),
    }
}

fn distance(row: Row<'_>) -> Result<Value<'_>> {
    let (a, b) = (net(row, 0)?, net(row, 1)?);
    if a.v6 != b.v6 {
        return fail("cannot subtract inet values of different sizes");
    }
    let size = i64::try_from(a.address.abs_diff(b.address));
    match size {
        Ok(size) => Ok(Value::Int(if a.address < b.address { -size } else { size })),
        Err(_) => fail("result is out of range"),
    }
}

fn inverted(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    Ok(if args.arg_fields.first().is_some_and(|field| field.data_type().is_integer()) { Ret::Int } else { Ret::Inet })
}

/// The type of the first argument; an untyped literal is an inet.
fn same(args: &ReturnFieldArgs<'_>) -> Result<Ret> {
    Ok(if args.arg_fields.first().and_then(|field| tag(field)) == Some("cidr") { Ret::Cidr } else { Ret::Inet })
}

fn set_masklen(row: Row<'_>) -> Result<Value<'_>> {
    let net = net(row, 0)?;
    let length = row.int(1);
    let bits = if length == -1 { net.width() } else { u8::try_from(length).unwrap_or(u8::MAX) };
    if bits > net.width() {
        return fail(format!("invalid mask length: {length}"));
    }
    let net = Net { bits, ..net };
    Ok(if tag(&row.col(0).0.field) == Some("cidr") { net.network().cidr() } else { net.inet() }.into())
}

fn abbrev(row: Row<'_>) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    let texts = super::text_out::texts(&col.array.slice(at, 1))?;
    let text = texts.value(0);
    let cidr = tag(&col.field) == Some("cidr");
    let Some(net) = parse(text, cidr) else { return fail(format!("invalid input syntax for type inet: \"{text}\"")) };
    if !cidr {
        return Ok(net.inet().into());
    }
    if net.v6 {
        return Ok(abbreviated(net).into());
    }
    let octets = (net.address as u32).to_be_bytes();
    let shown = usize::from(net.bits.div_ceil(8)).max(1);
    let parts: Vec<String> = octets.iter().take(shown).map(u8::to_string).collect();
    Ok(format!("{}/{}", parts.join("."), net.bits).into())
}

/// A network of version 6 without the zeros at its end.
fn abbreviated(net: Net) -> String {
    let shown = usize::from(net.bits.div_ceil(16));
    let groups: Vec<String> = (0..shown).map(|group| format!("{:x}", (net.address >> (112 - 16 * group)) as u16)).collect();
    match shown {
        0 => format!("::/{}", net.bits),
        1 => format!("{}::/{}", groups[0], net.bits),
        8 => net.cidr(),
        _ => format!("{}/{}", groups.join(":"), net.bits),
    }
}

fn merge(row: Row<'_>) -> Result<Value<'_>> {
    let (a, b) = (net(row, 0)?, net(row, 1)?);
    if a.v6 != b.v6 {
        return fail("cannot merge addresses from different families");
    }
    let unused = 128 - u32::from(a.width());
    let common = (a.address ^ b.address).leading_zeros() - unused;
    let bits = u8::try_from(common).unwrap_or(0).min(a.bits).min(b.bits);
    Ok(Net { bits, ..a }.network().cidr().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_addresses_and_can_be_read_back() {
        let sorted = ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.9", "10.0.0.10", "255.255.255.255", "::/0", "::1", "fe80::/10"];
        let keys: Vec<String> = sorted.iter().map(|text| parse(text, false).unwrap().key()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for (text, key) in sorted.iter().zip(&keys) {
            assert_eq!(of_key(key).unwrap().inet(), *text);
        }
    }
}
