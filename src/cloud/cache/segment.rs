//! One file of the cache on disk: a header, an encrypted index, encrypted answers. Written once and never changed; what is not exactly as
//! it was written is not read.

use super::seal::{FileKey, FileSalt, Id, StoreKey};
use chrono::{DateTime, Utc};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const MAGIC: &[u8; 8] = b"assayC1\n";
/// Magic, salt, oldest, until, number of entries.
const HEADER: usize = 8 + 16 + 8 + 8 + 4;
/// Id, time, length.
const ENTRY: usize = 32 + 8 + 4;
/// What encryption adds.
const TAG: usize = 16;
/// The index' place among the numbered parts.
const INDEX: u64 = u64::MAX;
/// No file of ours has more entries.
const MOST: u32 = 1 << 20;

/// Random bytes.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

/// A text that no other process makes.
pub(super) fn stamp() -> String {
    let random: [u8; 8] = random().unwrap_or_else(|_| u64::from(std::process::id()).to_be_bytes());
    format!("{:016x}", u64::from_be_bytes(random))
}

/// Where an answer stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: Id,
    /// When it was asked for, in microseconds since 1970.
    pub(super) asked: i64,
    number: u32,
    offset: u64,
    length: u32,
}

/// What goes into a file.
#[derive(Debug)]
pub(super) struct Draft {
    salt: FileSalt,
    key: FileKey,
    parts: Vec<Part>,
    body: Vec<u8>,
    until: i64,
}

/// A finished file.
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    pub(super) key: FileKey,
    pub(super) parts: Vec<Part>,
}

fn about(id: &Id, asked: i64) -> [u8; 40] {
    let mut about = [0; 40];
    about[..32].copy_from_slice(id);
    about[32..].copy_from_slice(&asked.to_be_bytes());
    about
}

impl Draft {
    pub(super) fn new(key: &StoreKey) -> Option<Draft> {
        let salt = random().ok()?;
        Some(Draft { salt, key: key.file(&salt)?, parts: Vec::new(), body: Vec::new(), until: i64::MIN })
    }

    /// Adds an answer that is of use until `until`; `false` if it cannot be.
    pub(super) fn add(&mut self, id: Id, asked: i64, until: i64, plain: Vec<u8>) -> bool {
        let Some(number) = u32::try_from(self.parts.len()).ok().filter(|n| *n < MOST) else { return false };
        let Some(sealed) = self.key.seal(u64::from(number), &about(&id, asked), plain) else { return false };
        let Ok(length) = u32::try_from(sealed.len()) else { return false };
        self.parts.push(Part { id, asked, number, offset: self.body.len() as u64, length });
        self.body.extend_from_slice(&sealed);
        self.until = self.until.max(until);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.parts.len() >= MOST as usize
    }

    pub(super) fn finish(mut self) -> Option<Finished> {
        let count = u32::try_from(self.parts.len()).ok()?;
        let oldest = self.parts.iter().map(|p| p.asked).min()?;
        let mut bytes = Vec::with_capacity(HEADER + self.parts.len() * ENTRY + TAG + self.body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&oldest.to_be_bytes());
        bytes.extend_from_slice(&self.until.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        let mut index = Vec::with_capacity(self.parts.len() * ENTRY + TAG);
        for part in &self.parts {
            index.extend_from_slice(&part.id);
            index.extend_from_slice(&part.asked.to_be_bytes());
            index.extend_from_slice(&part.length.to_be_bytes());
        }
        let index = self.key.seal(INDEX, &bytes, index)?;
        bytes.extend_from_slice(&index);
        let begin = bytes.len() as u64;
        bytes.append(&mut self.body);
        self.parts.iter_mut().for_each(|part| part.offset += begin);
        Some(Finished { bytes, key: self.key, parts: self.parts })
    }
}

/// What stands before the index.
struct Header {
    bytes: [u8; HEADER],
    oldest: i64,
    until: i64,
    count: u32,
}

fn number(bytes: &[u8], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(eight)
}

fn small(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(four)
}

fn header(file: &mut File) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER];
    match file.read_exact(&mut bytes) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let header = Header { oldest: number(&bytes, 24), until: number(&bytes, 32), count: small(&bytes, 40), bytes };
    Ok((header.bytes.starts_with(MAGIC) && header.count <= MOST).then_some(header))
}

/// Number of answers and the time of the oldest, as the header says.
pub(super) fn summary(path: &Path) -> Option<(u64, Option<DateTime<Utc>>)> {
    let header = header(&mut File::open(path).ok()?).ok()??;
    Some((u64::from(header.count), DateTime::from_timestamp_micros(header.oldest)))
}

/// What a file turned out to be.
pub(super) enum Opened {
    /// Its answers.
    Parts(FileKey, Vec<Part>),
    /// Nothing in it is of use any more.
    Over,
    /// Changed, cut off, or written with another key.
    Foreign,
}

/// Reads the index of a file.
///
/// # Errors
/// The file cannot be read.
pub(super) fn open(path: &Path, key: &StoreKey, now: i64) -> io::Result<Opened> {
    let mut file = File::open(path)?;
    let Some(header) = header(&mut file)? else { return Ok(Opened::Foreign) };
    if header.until <= now {
        return Ok(Opened::Over);
    }
    let mut salt = FileSalt::default();
    salt.copy_from_slice(&header.bytes[8..24]);
    let length = header.count as usize * ENTRY + TAG;
    let mut index = Vec::with_capacity(length);
    Read::by_ref(&mut file).take(length as u64).read_to_end(&mut index)?;
    let Some(key) = key.file(&salt) else { return Ok(Opened::Foreign) };
    let Some(index) = key.open(INDEX, &header.bytes, index) else { return Ok(Opened::Foreign) };
    let mut offset = (HEADER + length) as u64;
    let mut parts = Vec::with_capacity(index.len() / ENTRY);
    for (number_, entry) in (0_u32..).zip(index.chunks_exact(ENTRY)) {
        let mut id = Id::default();
        id.copy_from_slice(&entry[..32]);
        let part = Part { id, asked: number(entry, 32), number: number_, offset, length: small(entry, 40) };
        offset += u64::from(part.length);
        parts.push(part);
    }
    Ok(Opened::Parts(key, parts))
}

/// Reads an answer; `None` if it is not what was written.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read(path: &Path, key: &FileKey, part: &Part) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(part.offset))?;
    let mut bytes = Vec::with_capacity(part.length as usize);
    file.take(u64::from(part.length)).read_to_end(&mut bytes)?;
    Ok(key.open(u64::from(part.number), &about(&part.id, part.asked), bytes))
}
