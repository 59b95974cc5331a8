//! `bytea`: encodings, digests, single bytes; and lengths, which text has too.

use super::row::{Def, Kind, Ret, Row, Value, fail};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;

/// Functions of this file.
pub(crate) const ALL: &[Def] = &[
    Def::new("encode", &[Kind::Bytes, Kind::Text], Ret::Text, |row| encode(row.bytes(0), row.text(1)).map(Value::from)),
    Def::new("decode", &[Kind::Text, Kind::Text], Ret::Bytes, |row| decode(row.text(0), row.text(1)).map(Value::Bytes)),
    Def::new("convert_from", &[Kind::Bytes, Kind::Text], Ret::Text, |row| {
        let bytes = row.bytes(0);
        match encoding(row.text(1)) {
            Some(Encoding::Latin1) => Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into()),
            Some(_) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.into()),
                Err(error) => {
                    let wrong = &bytes[error.valid_up_to()..];
                    let width =
                        error.error_len().unwrap_or(wrong.len()).max(wrong.first().map_or(1, |first| width(*first)).min(wrong.len()));
                    let shown: Vec<String> = wrong[..width].iter().map(|byte| format!("0x{byte:02x}")).collect();
                    fail(format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
                }
            },
            None => fail(format!("invalid source encoding name \"{}\"", row.text(1))),
        }
    }),
    Def::new("convert_to", &[Kind::Text, Kind::Text], Ret::Bytes, |row| match encoding(row.text(1)) {
        Some(Encoding::Latin1) => {
            let byte = |c: char| u8::try_from(u32::from(c));
            match row.text(0).chars().map(byte).collect::<std::result::Result<Vec<_>, _>>() {
                Ok(bytes) => Ok(Value::Bytes(bytes)),
                Err(_) => fail("character in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\""),
            }
        }
        Some(_) => Ok(Value::Bytes(row.text(0).as_bytes().to_vec())),
        None => fail(format!("invalid destination encoding name \"{}\"", row.text(1))),
    }),
    Def::new("md5", &[Kind::Any], Ret::Text, |row| Ok(hex(&Md5::digest(raw(row, 0)?)).into())),
    Def::new("sha224", &[Kind::Bytes], Ret::Bytes, |row| Ok(Value::Bytes(Sha224::digest(row.bytes(0)).to_vec()))),
    Def::new("sha256", &[Kind::Bytes], Ret::Bytes, |row| Ok(Value::Bytes(Sha256::digest(row.bytes(0)).to_vec()))),
    Def::new("sha384", &[Kind::Bytes], Ret::Bytes, |row| Ok(Value::Bytes(Sha384::digest(row.bytes(0)).to_vec()))),
    Def::new("sha512", &[Kind::Bytes], Ret::Bytes, |row| Ok(Value::Bytes(Sha512::digest(row.bytes(0)).to_vec()))),
    Def::new("get_byte", &[Kind::Bytes, Kind::Int], Ret::Int, |row| {
        let bytes = row.bytes(0);
        match usize::try_from(row.int(1)).ok().and_then(|at| bytes.get(at)) {
            Some(byte) => Ok(Value::Int((*byte).into())),
            None => fail(format!("index {} out of valid range, 0..{}", row.int(1), bytes.len() as i64 - 1)),
        }
    }),
    Def::new("octet_length", &[Kind::Any], Ret::Int, |row| Ok(Value::Int(raw(row, 0)?.len() as i64))),
    Def::new("bit_length", &[Kind::Any], Ret::Int, |row| Ok(Value::Int(raw(row, 0)?.len() as i64 * 8))),
    Def::new("length", &[Kind::Any, Kind::Text], Ret::Int, length).required(1),
    Def::new("char_length", &[Kind::Any], Ret::Int, length),
    Def::new("character_length", &[Kind::Any], Ret::Int, length),
    Def::new("bytes ||", &[Kind::Bytes, Kind::Bytes], Ret::Bytes, |row| Ok(Value::Bytes([row.bytes(0), row.bytes(1)].concat()))),
];

fn length(row: Row<'_>) -> Result<Value<'_>> {
    let (col, at) = row.col(0);
    Ok(Value::Int(match col.array.data_type() {
        DataType::Utf8 => {
            let text = col.array.as_string::<i32>().value(at);
            if text.is_ascii() { text.len() } else { text.chars().count() }
        }
        DataType::Binary => col.array.as_binary::<i32>().value(at).len(),
        DataType::Utf8View | DataType::Dictionary(..) => super::text_out::texts(&col.array.slice(at, 1))?.value(0).chars().count(),
        _ => return fail(format!("function length({}) does not exist", super::text_out::type_name(&col.field))),
    } as i64))
}

/// The bytes of a bytea or of a text.
fn raw(row: Row<'_>, k: usize) -> Result<&[u8]> {
    let (col, at) = row.col(k);
    match col.array.data_type() {
        DataType::Utf8 => Ok(col.array.as_string::<i32>().value(at).as_bytes()),
        DataType::Binary => Ok(col.array.as_binary::<i32>().value(at)),
        DataType::Utf8View => Ok(col.array.as_string_view().value(at).as_bytes()),
        _ => fail(format!("{} is neither text nor bytea", super::text_out::type_name(&col.field))),
    }
}

/// How many bytes a character has that begins with this one.
fn width(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

fn encoding(name: &str) -> Option<Encoding> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "utf8" | "unicode" | "sqlascii" => Some(Encoding::Utf8),
        "latin1" | "iso88591" => Some(Encoding::Latin1),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn encode(bytes: &[u8], format: &str) -> Result<String> {
    Ok(match format.to_ascii_lowercase().as_str() {
        "hex" => hex(bytes),
        "base64" => {
            // Lines of at most 76 characters.
            let all = STANDARD.encode(bytes);
            let lines: Vec<&str> = (0..all.len()).step_by(76).map(|at| &all[at..all.len().min(at + 76)]).collect();
            lines.join("\n")
        }
        "escape" => {
            let mut out = String::new();
            let mut rest = bytes;
            while let Some((byte, tail)) = rest.split_first() {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80..=0xff => {
                        let _ = write!(out, "\\{byte:03o}");
                    }
                    plain => out.push(char::from(*plain)),
                }
                rest = tail;
            }
            out
        }
        _ => return fail(format!("unrecognized encoding: \"{format}\"")),
    })
}

fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let digits: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            if let Some(wrong) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
                return fail(format!("invalid hexadecimal digit: \"{wrong}\""));
            }
            if digits.len() % 2 == 1 {
                return fail("invalid hexadecimal data: odd number of digits");
            }
            let value = |c: char| c.to_digit(16).unwrap_or(0) as u8;
            Ok(digits.chunks(2).map(|pair| value(pair[0]) * 16 + value(pair[1])).collect())
        }
        "base64" => {
            let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            if let Some(wrong) = plain.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '=')) {
                return fail(format!("invalid symbol \"{wrong}\" found while decoding base64 sequence"));
            }
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
                .with_decode_allow_trailing_bits(true);
            match GeneralPurpose::new(&alphabet::STANDARD, config).decode(plain) {
                Ok(bytes) => Ok(bytes),
                Err(_) => fail("invalid base64 end sequence"),
            }
        }
        "escape" => match super::cast::escaped_bytes(text) {
            Some(bytes) => Ok(bytes),
            None => fail("invalid input syntax for type bytea"),
        },
        _ => fail(format!("unrecognized encoding: \"{format}\"")),
    }
}
