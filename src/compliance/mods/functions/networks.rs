//! Arithmetic with address ranges, IPv4 and IPv6.

use super::{Args, Done, Entry, MANY, Wrong, bad};
use crate::mods::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) const TABLE: &[Entry] = &[
    Entry("cidrhost", 2, 2, |a| {
        let (range, n) = (Range::read(a)?, i128::from(a.int(1)?));
        let free = range.width - range.length;
        let size = if free >= 127 { i128::MAX } else { 1i128 << free };
        if n >= size || n < -size {
            return Err(bad(1, format!("the range has no host {n}")));
        }
        let host = if n < 0 { size.wrapping_add(n) } else { n };
        Ok(Value::text(range.address(range.base | u128::try_from(host).unwrap_or(0)).to_string()))
    }),
    Entry("cidrnetmask", 1, 1, |a| {
        let range = Range::read(a)?;
        Ok(Value::text(range.address(range.mask()).to_string()))
    }),
    Entry("cidrsubnet", 3, 3, |a| {
        let (range, bits, n) = (Range::read(a)?, a.size(1)?, a.size(2)?);
        let length = range.longer(bits, 1)?;
        if bits < 64 && n >= 1usize << bits {
            return Err(bad(2, format!("{bits} more bits do not make a network {n}")));
        }
        let base = range.base | (n as u128).checked_shl(range.width - length).unwrap_or(0);
        Ok(Value::text(format!("{}/{length}", range.address(base))))
    }),
    Entry("cidrsubnets", 1, MANY, subnets),
];

/// A range such as `10.0.0.0/8`; addresses are numbers of `width` bits.
struct Range {
    base: u128,
    length: u32,
    width: u32,
}

impl Range {
    fn read(a: &Args) -> Result<Range, Wrong> {
        let text = a.text(0)?;
        let refused = || bad(0, format!("'{text}' is not a range such as 10.0.0.0/8"));
        let (address, length) = text.split_once('/').ok_or_else(refused)?;
        let (base, width) = match address.parse::<IpAddr>().map_err(|_| refused())? {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let length = length.parse::<u32>().ok().filter(|l| *l <= width).ok_or_else(refused)?;
        let range = Range { base, length, width };
        Ok(Range { base: base & range.mask(), ..range })
    }

    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.width);
        all & u128::MAX.checked_shl(self.width - self.length).unwrap_or(0)
    }

    fn address(&self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.width == 32 => Ipv4Addr::from_bits(bits).into(),
            _ => Ipv6Addr::from_bits(bits).into(),
        }
    }

    fn longer(&self, bits: usize, arg: usize) -> Result<u32, Wrong> {
        let length = u32::try_from(bits).ok().and_then(|b| b.checked_add(self.length));
        length.filter(|l| *l <= self.width).ok_or_else(|| bad(arg, format!("the range has no {bits} bits left")))
    }
}

/// Ranges one after the other, each with so many more bits than the whole.
fn subnets(a: &Args) -> Done {
    let range = Range::read(a)?;
    let end = range.base | !range.mask() & (u128::MAX >> (128 - range.width));
    let mut next = Some(range.base);
    let mut out = Vec::new();
    for i in 1..a.0.len() {
        let length = match a.size(i)? {
            0 => return Err(bad(i, "at least one more bit is needed")),
            bits => range.longer(bits, i)?,
        };
        let last = 1u128.checked_shl(range.width - length).map_or(u128::MAX, |size| size - 1);
        let full = || bad(i, "the range has no room for it");
        // A range begins at a multiple of its size.
        let start = next.and_then(|n| n.checked_add(last)).ok_or_else(full)? & !last;
        if start.checked_add(last).is_none_or(|e| e > end) {
            return Err(full());
        }
        out.push(Value::text(format!("{}/{length}", range.address(start))));
        next = (start + last).checked_add(1);
    }
    Ok(Value::List(out))
}
