//! Digests, and identifiers made of them. Those of files are in [`super::files`].

use super::{Args, Done, Entry, bad};
use crate::mods::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use std::fmt::Write as _;

pub(super) const TABLE: &[Entry] = &[
    Entry("base64sha256", 1, 1, |a| Ok(Value::text(digest("base64sha256", a.text(0)?.as_bytes())))),
    Entry("base64sha512", 1, 1, |a| Ok(Value::text(digest("base64sha512", a.text(0)?.as_bytes())))),
    Entry("md5", 1, 1, |a| Ok(Value::text(digest("md5", a.text(0)?.as_bytes())))),
    Entry("sha1", 1, 1, |a| Ok(Value::text(digest("sha1", a.text(0)?.as_bytes())))),
    Entry("sha256", 1, 1, |a| Ok(Value::text(digest("sha256", a.text(0)?.as_bytes())))),
    Entry("sha512", 1, 1, |a| Ok(Value::text(digest("sha512", a.text(0)?.as_bytes())))),
    Entry("uuidv5", 2, 2, uuid),
];

/// The digest of bytes, in hexadecimal or base64 by the function's name.
pub(super) fn digest(name: &str, bytes: &[u8]) -> String {
    match name {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&sha1(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "base64sha256" => STANDARD.encode(Sha256::digest(bytes)),
        "base64sha512" => STANDARD.encode(Sha512::digest(bytes)),
        _ => hex(&Sha512::digest(bytes)),
    }
}

fn sha1(bytes: &[u8]) -> [u8; 20] {
    use sha1::Digest as _;
    Sha1::digest(bytes).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// RFC 9562, version 5: the namespace is one of four by name, or a UUID.
fn uuid(a: &Args) -> Done {
    let (space, name) = (a.text(0)?, a.text(1)?);
    let namespace = match &*space {
        "dns" | "url" | "oid" | "x500" => {
            let last = ["dns", "url", "oid", "", "x500"].iter().position(|n| *n == &*space).unwrap_or(0);
            format!("6ba7b81{last}-9dad-11d1-80b4-00c04fd430c8")
        }
        other => other.to_owned(),
    };
    let digits: String = namespace.chars().filter(|c| *c != '-').collect();
    let namespace = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    let namespace = namespace.ok_or_else(|| bad(0, "a namespace is dns, url, oid, x500 or a UUID"))?;
    let mut hashed = sha1(&[&namespace.to_be_bytes()[..], name.as_bytes()].concat());
    hashed[6] = hashed[6] & 0x0f | 0x50;
    hashed[8] = hashed[8] & 0x3f | 0x80;
    let h = hex(&hashed[..16]);
    Ok(Value::text(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
}
