//! Encryption of what is on disk: AES-256-GCM under keys derived from the one key, per connection and per file. Owns what stands for a
//! request in the index: a keyed hash, so that neither names nor sizes of files say what was asked.

use super::key::Master;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use std::fmt;
use zeroize::Zeroizing;

/// Stands for a request: who asks, where, what, with which input.
pub(super) type Id = [u8; 32];

/// Makes one file's key differ from every other's.
pub(super) type FileSalt = [u8; 16];

/// Changes when the format does: what an older version wrote is not read.
const PURPOSE: &[u8] = b"assay cache 1";

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// The keys of one connection.
pub(super) struct StoreKey {
    lookup: hmac::Key,
    files: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

fn derive(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Option<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Length).ok()?.fill(out.as_mut_slice()).ok()?;
    Some(out)
}

impl StoreKey {
    pub(super) fn new(master: &Master, connection: &str) -> Option<StoreKey> {
        let lookup = derive(master.as_slice(), PURPOSE, &[b"lookup ", connection.as_bytes()])?;
        let files = derive(master.as_slice(), PURPOSE, &[b"files ", connection.as_bytes()])?;
        Some(StoreKey { lookup: hmac::Key::new(hmac::HMAC_SHA256, lookup.as_slice()), files })
    }

    /// What stands for these parts; no part can run into the next.
    pub(super) fn id(&self, parts: &[&[u8]]) -> Id {
        let mut context = hmac::Context::with_key(&self.lookup);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut id = [0; 32];
        id.copy_from_slice(context.sign().as_ref());
        id
    }

    pub(super) fn file(&self, salt: &FileSalt) -> Option<FileKey> {
        let key = derive(self.files.as_slice(), salt, &[PURPOSE])?;
        UnboundKey::new(&AES_256_GCM, key.as_slice()).ok().map(|key| FileKey(LessSafeKey::new(key)))
    }
}

/// The key of one file. Its parts are numbered, and a number is used once.
pub(super) struct FileKey(LessSafeKey);

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl FileKey {
    /// Encrypts part `number`; `about` has to be the same when it is read.
    pub(super) fn seal(&self, number: u64, about: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.0.seal_in_place_append_tag(nonce(number), Aad::from(about), &mut bytes).ok()?;
        Some(bytes)
    }

    /// Decrypts part `number`; `None` if it is not what was written.
    pub(super) fn open(&self, number: u64, about: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let length = self.0.open_in_place(nonce(number), Aad::from(about), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8, connection: &str) -> StoreKey {
        StoreKey::new(&Zeroizing::new([byte; 32]), connection).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_only_as_it_was() {
        let sealed = |store: &StoreKey| store.file(&[7; 16]).unwrap();
        let one = key(1, "prod");
        let bytes = sealed(&one).seal(3, b"about", b"secret".to_vec()).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"secret"));
        let open = |store: &StoreKey, salt: u8, number: u64, about: &[u8], bytes: &[u8]| {
            store.file(&[salt; 16]).unwrap().open(number, about, bytes.to_vec())
        };
        assert_eq!(open(&one, 7, 3, b"about", &bytes).unwrap(), b"secret");
        assert!(open(&key(2, "prod"), 7, 3, b"about", &bytes).is_none(), "another key");
        assert!(open(&key(1, "test"), 7, 3, b"about", &bytes).is_none(), "another connection");
        assert!(open(&one, 8, 3, b"about", &bytes).is_none(), "another file");
        assert!(open(&one, 7, 4, b"about", &bytes).is_none(), "another part");
        assert!(open(&one, 7, 3, b"abou", &bytes).is_none(), "about something else");
        assert!(open(&one, 7, 3, b"about", &bytes[..bytes.len() - 1]).is_none() && open(&one, 7, 3, b"about", b"").is_none());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(open(&one, 7, 3, b"about", &changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn ids_differ_with_every_part_and_key() {
        let one = key(1, "prod");
        let ids = [
            one.id(&[b"ab", b"c"]),
            one.id(&[b"a", b"bc"]),
            one.id(&[b"ab", b"c", b""]),
            key(1, "test").id(&[b"ab", b"c"]),
            key(2, "prod").id(&[b"ab", b"c"]),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert!(ids.iter().skip(i + 1).all(|b| a != b), "{i}");
        }
        assert_eq!(one.id(&[b"ab", b"c"]), ids[0]);
    }
}
