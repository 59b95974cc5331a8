//! The container of embedded models: a magic word, an index as compressed JSON, compressed blocks that the index places.
//!
//! `models/generate.py` and `models/generate_azure.py` write it. Nothing is decompressed before it is asked for.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

const MAGIC: &[u8] = b"ASSAYMD1";
/// Larger than any index; a limit for the decoder, not an expectation.
const LARGEST: usize = 1 << 26;

/// Where a block is, and how long it is when it is decompressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    at: usize,
    packed: usize,
    pub(crate) length: usize,
}

impl Place {
    /// `[offset, compressed length, length]`
    pub(crate) fn read(value: &Value) -> Option<Place> {
        let n = |i: usize| usize::try_from(value.get(i)?.as_u64()?).ok();
        Some(Place { at: n(0)?, packed: n(1)?, length: n(2)? })
    }

    /// Places by name.
    pub(crate) fn read_all(value: &Value) -> Option<BTreeMap<String, Place>> {
        value.as_object()?.iter().map(|(name, place)| Some((name.clone(), Place::read(place)?))).collect()
    }

    /// The compressed bytes.
    pub(crate) fn packed(self, blocks: &'static [u8]) -> Option<&'static [u8]> {
        blocks.get(self.at..self.at.checked_add(self.packed)?)
    }
}

/// The index and the blocks; `None` only for a damaged file, which tests exclude.
pub(crate) fn open(file: &'static [u8]) -> Option<(Map<String, Value>, &'static [u8])> {
    let rest = file.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (head, blocks) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let json = zstd::bulk::decompress(head, LARGEST).ok()?;
    Some((serde_json::from_slice(&json).ok()?, blocks))
}
