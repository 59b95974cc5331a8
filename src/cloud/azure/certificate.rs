//! A service principal's certificate: reads key and certificate from a PEM file and signs the assertions that are sent in place of a secret.
//! Refuses files with a password, PKCS#12 files and keys that are not RSA, each with what to do about it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, rand};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How to get rid of a password.
pub(super) const DECRYPT: &str = "write a PEM file without one: `openssl pkcs12 -in FILE -out FILE.pem -nodes`";

/// How long an assertion is good for: it is made for one request.
const VALID: Duration = Duration::from_secs(600);

/// A key with its certificate. Shows nothing in `Debug`.
pub(super) struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate, as `x5t#S256` has it.
    thumbprint: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(…)")
    }
}

impl Certificate {
    /// Reads a file. The error is for people, and names the file.
    pub(super) async fn open(path: &Path) -> Result<Certificate, String> {
        let bytes = tokio::fs::read(path).await.map_err(|e| format!("{}: {e}", path.display()))?;
        Certificate::read(&bytes).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// The RSA key, PKCS#8 or PKCS#1, and of the certificates the one that belongs to it.
    fn read(bytes: &[u8]) -> Result<Certificate, String> {
        let text = String::from_utf8_lossy(bytes);
        if !text.contains("-----BEGIN ") {
            return Err(match bytes {
                // The tag and length of an ASN.1 sequence.
                [0x30, 0x80..=0x84, ..] => {
                    "is a PKCS#12 (PFX) or other binary file; convert it: `openssl pkcs12 -in FILE -out FILE.pem -nodes`".to_owned()
                }
                _ => "holds no PEM block; it needs a private key and its certificate".to_owned(),
            });
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(format!("the private key has a password; {DECRYPT}"));
        }
        let mut key = None;
        let mut certificates = Vec::new();
        for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
            // The parser's own words may quote the file.
            let (kind, der) = block.map_err(|_| "a PEM block is damaged".to_owned())?;
            let found = match kind {
                SectionKind::Certificate => {
                    certificates.push(der);
                    continue;
                }
                SectionKind::PrivateKey => RsaKeyPair::from_pkcs8(&der),
                SectionKind::RsaPrivateKey => RsaKeyPair::from_der(&der),
                SectionKind::EcPrivateKey => return Err("the private key is no RSA key, which is what is needed here".to_owned()),
                _ => continue,
            };
            if key.is_some() {
                return Err("holds more than one private key".to_owned());
            }
            key = Some(found.map_err(|why| format!("the private key is no sound RSA key of at least 2048 bits ({why})"))?);
        }
        let key = key.ok_or("holds no private key")?;
        if certificates.is_empty() {
            return Err("holds no certificate beside the private key".to_owned());
        }
        // A certificate carries its public key as it is.
        let public = key.public_key().as_ref();
        let own = certificates.iter().find(|der| der.windows(public.len()).any(|part| part == public));
        let own = own.ok_or("no certificate in it belongs to the private key")?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, own));
        Ok(Certificate { key, thumbprint })
    }

    /// A signed assertion: RFC 7523 section 3, in the form of Entra's "application authentication certificate credentials".
    fn sign(&self, client_id: &str, audience: &str, now: SystemTime) -> Result<String, &'static str> {
        let now = now.duration_since(UNIX_EPOCH).map_err(|_| "the clock of this machine is before 1970")?.as_secs();
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": unique()?,
            "iat": now,
            "nbf": now,
            "exp": now + VALID.as_secs(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut token = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| "the private key cannot sign")?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

/// An id that no other assertion has.
fn unique() -> Result<String, &'static str> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| "this machine has no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Signs a new assertion for every request.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) certificate: Certificate,
    pub(super) client_id: String,
    /// The address that the assertion is sent to.
    pub(super) audience: String,
}

#[async_trait::async_trait]
impl ClientAssertion for Signer {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let signed = self.certificate.sign(&self.client_id, &self.audience, SystemTime::now());
        signed.map_err(|why| azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, why))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use base64::engine::general_purpose::STANDARD;
    use std::sync::LazyLock;

    /// A key, made once: it takes a while.
    static KEY: LazyLock<Vec<u8>> =
        LazyLock::new(|| AsDer::as_der(&RsaKeyPair::generate(KeySize::Rsa2048).unwrap()).unwrap().as_ref().to_vec());

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn public() -> Vec<u8> {
        RsaKeyPair::from_pkcs8(&KEY).unwrap().public_key().as_ref().to_vec()
    }

    /// Not a whole certificate, but with the key in it as a certificate has it.
    fn certificate() -> Vec<u8> {
        [&b"0\x82\x03\x00 subject, dates"[..], &public(), b" signature"].concat()
    }

    /// A PEM file that can be used.
    pub(in crate::azure) fn sound() -> String {
        pem("PRIVATE KEY", &KEY) + &pem("CERTIFICATE", &certificate())
    }

    /// The PKCS#1 key inside a PKCS#8 one: the last octet string, here with a length of two bytes.
    fn pkcs1() -> Vec<u8> {
        let at = KEY.windows(2).position(|w| w == [0x04, 0x82]).unwrap();
        KEY[at + 4..].to_vec()
    }

    #[test]
    fn an_assertion_says_who_and_for_whom_and_is_signed_by_the_key() {
        let read = Certificate::read(sound().as_bytes()).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let token = read.sign("app-1", "https://login.example/t/oauth2/v2.0/token", now).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let json = |at: usize| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap();
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate()));
        assert_eq!(json(0), json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
        let mut claims = json(1);
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(id.as_str().unwrap().len(), 22);
        assert_eq!(
            claims,
            json!({"aud": "https://login.example/t/oauth2/v2.0/token", "iss": "app-1", "sub": "app-1",
                "iat": 1_790_000_000, "nbf": 1_790_000_000, "exp": 1_790_000_600})
        );
        let signed = format!("{}.{}", parts[0], parts[1]);
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public());
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        key.verify(signed.as_bytes(), &signature).unwrap();
        assert!(key.verify(b"another text", &signature).is_err());
        assert_ne!(token, read.sign("app-1", "https://login.example/t/oauth2/v2.0/token", now).unwrap(), "each has its own id");
        assert!(!format!("{read:?}").contains(&thumbprint));
    }

    #[test]
    fn keys_of_both_forms_and_chains_are_read() {
        let other = pem("CERTIFICATE", b"0\x82 of the issuer");
        let own = pem("CERTIFICATE", &certificate());
        let expected = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate()));
        for text in [
            sound(),
            format!("Bag Attributes\n  friendlyName: x\n{own}{other}{}", pem("PRIVATE KEY", &KEY)),
            format!("{other}{own}{}", pem("RSA PRIVATE KEY", &pkcs1())),
        ] {
            assert_eq!(Certificate::read(text.as_bytes()).unwrap().thumbprint, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_to_do() {
        let key = pem("PRIVATE KEY", &KEY);
        let own = pem("CERTIFICATE", &certificate());
        for (bytes, message) in [
            (&b""[..], "holds no PEM block"),
            (b"hello", "holds no PEM block"),
            (b"0\x82\x09\x00PFX", "is a PKCS#12 (PFX) or other binary file; convert it: `openssl pkcs12"),
            (own.as_bytes(), "holds no private key"),
            (key.as_bytes(), "holds no certificate beside the private key"),
            (format!("{key}{}", pem("CERTIFICATE", b"0 another")).as_bytes(), "no certificate in it belongs to the private key"),
            (format!("{key}{key}{own}").as_bytes(), "holds more than one private key"),
            (format!("{}{own}", pem("ENCRYPTED PRIVATE KEY", b"x")).as_bytes(), "the private key has a password; write a PEM file without one"),
            (
                format!("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n{own}").as_bytes(),
                "the private key has a password",
            ),
            (format!("{}{own}", pem("EC PRIVATE KEY", b"x")).as_bytes(), "is no RSA key"),
            (format!("{}{own}", pem("PRIVATE KEY", b"x")).as_bytes(), "is no sound RSA key of at least 2048 bits"),
            (format!("{own}-----BEGIN PRIVATE KEY-----\nS3CR3T").as_bytes(), "a PEM block is damaged"),
            (format!("{own}-----BEGIN PRIVATE KEY-----\n!S3CR3T!\n-----END PRIVATE KEY-----\n").as_bytes(), "a PEM block is damaged"),
        ] {
            let e = Certificate::read(bytes).expect_err(&String::from_utf8_lossy(bytes));
            assert!(e.contains(message), "{e}");
            assert!(!e.contains("S3CR3T"), "{e}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let e = Certificate::open(Path::new("/nowhere/sp.pem")).await.unwrap_err();
        assert!(e.starts_with("/nowhere/sp.pem: "), "{e}");
    }
}
