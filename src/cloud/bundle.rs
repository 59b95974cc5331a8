//! A recording: connections, accounts, regions, the time, and every answer (errors too), compressed in one file.
//!
//! The file is one zstd frame of lines: a JSON header, then one line per answer: subject, region, service, operation, canonical input,
//! `ok` or `error`, and the answer's JSON, parted by tabs. Answers stay text until they are asked for, so opening a bundle is cheap.

use crate::connection::{AZURE, Connection, Identity};
use crate::key::{call_key, canonical_input};
use crate::{CloudError, ErrorKind};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Version of the format; a bundle of another one is refused.
pub(crate) const VERSION: u32 = 1;

/// Level of compression: a few seconds for the largest runs, near the smallest size.
const LEVEL: i32 = 15;

/// No bundle is larger when unpacked: a file that claims more is not a bundle of ours.
const MAX_UNPACKED: u64 = 4 << 30;

/// A bundle in memory. No member that a spec calls secret is ever in it.
#[derive(Debug)]
pub struct Bundle {
    /// When it was recorded: the clock of its replay.
    pub recorded_at: DateTime<Utc>,
    pub(crate) header: Header,
    text: String,
    answers: HashMap<Box<str>, Answer>,
}

#[derive(Debug)]
enum Answer {
    /// A place in the text; `true` for an error.
    Text(Range<usize>, bool),
    Given(Result<Value, CloudError>),
}

/// Why a bundle cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not a bundle, or of another version.
    #[error("{path}: not an assay bundle: {why}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// Everything but the answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) assay_bundle: u32,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) default: Vec<String>,
    pub(crate) connections: Vec<RecordedConnection>,
    pub(crate) accounts: Vec<RecordedAccount>,
    /// Of Azure connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tenants: Vec<RecordedAccount>,
    pub(crate) logins: Vec<RecordedLogin>,
    /// Connections whose accounts could not be listed.
    pub(crate) failed: BTreeMap<String, CloudError>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedConnection {
    pub(crate) name: String,
    /// Absent: `aws`, or an aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) regions: Vec<String>,
}

impl RecordedConnection {
    /// What a replay needs of a connection: nothing about its credentials.
    pub(crate) fn of(connection: &Connection) -> RecordedConnection {
        RecordedConnection {
            name: connection.name.to_string(),
            cloud: Some(connection.cloud()).filter(|cloud| *cloud == AZURE).map(str::to_owned),
            members: connection.members.iter().map(ToString::to_string).collect(),
            regions: connection.config.regions.clone(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedAccount {
    pub(crate) connection: String,
    pub(crate) key: String,
    pub(crate) login: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordedLogin {
    pub(crate) key: String,
    pub(crate) region: String,
    /// Absent if nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Result<Identity, CloudError>>,
    /// Every enabled region; absent if nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regions: Option<Result<Vec<String>, CloudError>>,
    /// Why nothing was asked there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<CloudError>,
}

/// Answers by call, as JSON text.
pub(crate) type Answers = BTreeMap<Arc<str>, Result<String, CloudError>>;

impl Bundle {
    /// Reads a bundle file.
    ///
    /// # Errors
    /// Unreadable, or not a bundle.
    pub fn read(path: &Path) -> Result<Bundle, BundleError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| BundleError::Io { path: name.clone(), source })?;
        parse(&bytes).map_err(|why| BundleError::Format { path: name, why })
    }

    /// Reads a bundle from memory (the embedded demo).
    ///
    /// # Errors
    /// Not a bundle.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, BundleError> {
        parse(bytes).map_err(|why| BundleError::Format { path: "bundle in memory".to_owned(), why })
    }

    /// An empty bundle with the given clock, for tests: fill it with [`Bundle::account`] and [`Bundle::answer`].
    pub fn new(recorded_at: DateTime<Utc>) -> Bundle {
        let header = Header {
            assay_bundle: VERSION,
            recorded_at,
            default: Vec::new(),
            connections: Vec::new(),
            accounts: Vec::new(),
            tenants: Vec::new(),
            logins: Vec::new(),
            failed: BTreeMap::new(),
        };
        Bundle { recorded_at, header, text: String::new(), answers: HashMap::new() }
    }

    /// Adds an account under a connection, with its enabled regions. A new connection is also a default one. The account's key is
    /// `connection/account_id`, its caller `arn:aws:iam::<account_id>:user/assay`.
    pub fn account(&mut self, connection: &str, account_id: &str, regions: &[&str]) {
        let identity = Identity {
            tenant_id: None,
            account_id: account_id.into(),
            partition: "aws".into(),
            arn: format!("arn:aws:iam::{account_id}:user/assay").into(),
        };
        let mut regions: Vec<String> = regions.iter().map(|r| (*r).to_owned()).collect();
        regions.sort_unstable();
        self.login(connection, account_id, Ok(identity), Ok(regions));
    }

    /// Adds an account whose identity or regions could not be found out; `name` stands for the id that is not known.
    pub fn failing_account(&mut self, connection: &str, name: &str, error: CloudError) {
        self.login(connection, name, Err(error.clone()), Err(error));
    }

    /// Adds an aggregate: a connection that stands for others.
    pub fn aggregate(&mut self, name: &str, members: &[&str]) {
        let members = members.iter().map(|m| (*m).to_owned()).collect();
        self.header.connections.push(RecordedConnection { name: name.to_owned(), cloud: None, members, regions: Vec::new() });
    }

    /// Adds a subscription of the public cloud under an Azure connection, and the connection's tenant. A new connection is also a default
    /// one. Answers are kept under the subscription's id, of the tenant under the tenant's id or the connection's name; in region `global`.
    pub fn subscription(&mut self, connection: &str, id: &str, tenant: &str) {
        self.tenant(connection, tenant);
        self.azure_login(format!("{connection}/{id}"), connection, id, tenant, None);
    }

    /// Adds a subscription that is disabled: every call there fails with code `SubscriptionDisabled`.
    pub fn disabled_subscription(&mut self, connection: &str, id: &str, tenant: &str) {
        self.tenant(connection, tenant);
        let error = CloudError::new(ErrorKind::Denied, "SubscriptionDisabled", "the subscription is Disabled: nothing is read there");
        self.azure_login(format!("{connection}/{id}"), connection, id, tenant, Some(error));
    }

    /// Adds an Azure connection and its tenant.
    pub fn tenant(&mut self, connection: &str, tenant: &str) {
        if self.header.tenants.iter().any(|t| t.connection == connection) {
            return;
        }
        self.connection(connection, Some(AZURE));
        self.azure_login(connection.to_owned(), connection, tenant, tenant, None);
    }

    fn azure_login(&mut self, key: String, connection: &str, id: &str, tenant: &str, refused: Option<CloudError>) {
        let identity = crate::azure::subscriptions::identity(id, &"AzurePublicCloud".into(), tenant);
        let account = RecordedAccount { connection: connection.to_owned(), key: key.clone(), login: key.clone() };
        if key == connection { &mut self.header.tenants } else { &mut self.header.accounts }.push(account);
        let region = crate::azure::GLOBAL.to_owned();
        self.header.logins.push(RecordedLogin { key, region, identity: Some(Ok(identity)), regions: None, refused });
    }

    fn connection(&mut self, name: &str, cloud: Option<&str>) {
        if !self.header.connections.iter().any(|c| c.name == name) {
            let (name, cloud) = (name.to_owned(), cloud.map(str::to_owned));
            self.header.default.push(name.clone());
            self.header.connections.push(RecordedConnection { name, cloud, members: Vec::new(), regions: Vec::new() });
        }
    }

    fn login(&mut self, connection: &str, account: &str, identity: Result<Identity, CloudError>, regions: Result<Vec<String>, CloudError>) {
        self.connection(connection, None);
        let key = format!("{connection}/{account}");
        self.header.accounts.push(RecordedAccount { connection: connection.to_owned(), key: key.clone(), login: key.clone() });
        let region = "us-east-1".to_owned();
        self.header.logins.push(RecordedLogin { key, region, identity: Some(identity), regions: Some(regions), refused: None });
    }

    /// Adds an answer: a JSON output, or an error. Instead of the account id, the key of an account may be given.
    pub fn answer(
        &mut self,
        account_id: &str,
        region: &str,
        service: &str,
        operation: &str,
        input: &serde_json::Value,
        answer: Result<serde_json::Value, crate::CloudError>,
    ) {
        let key = call_key(account_id, region, service, operation, &canonical_input(input));
        self.answers.insert((*key).into(), Answer::Given(answer));
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether there is no answer at all.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// The recorded outcome of a call.
    pub(crate) fn find(
        &self,
        subject: &str,
        region: &str,
        service: &str,
        operation: &str,
        input: &str,
    ) -> Option<Result<Value, CloudError>> {
        let key = call_key(subject, region, service, operation, input);
        let broken =
            |e: serde_json::Error| CloudError::new(ErrorKind::BadAnswer, "BrokenBundle", format!("the bundle's answer is broken: {e}"));
        Some(match self.answers.get(&*key)? {
            Answer::Given(answer) => answer.clone(),
            Answer::Text(range, false) => serde_json::from_str(&self.text[range.clone()]).map_err(broken),
            Answer::Text(range, true) => Err(serde_json::from_str::<CloudError>(&self.text[range.clone()]).unwrap_or_else(broken)),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Bundle, String> {
    let mut text = String::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|e| format!("cannot unpack: {e}"))?;
    decoder.take(MAX_UNPACKED).read_to_string(&mut text).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => "the file is cut off".to_owned(),
        _ => format!("cannot unpack: {e}"),
    })?;
    let Some((first, _)) = text.split_once('\n') else { return Err("no header line".to_owned()) };
    let version = serde_json::from_str::<Value>(first).ok().and_then(|h| h.get("assay_bundle")?.as_u64());
    match version {
        None => return Err("no header line".to_owned()),
        Some(v) if v != u64::from(VERSION) => return Err(format!("format {v}; this assay reads format {VERSION}")),
        Some(_) => {}
    }
    let header: Header = serde_json::from_str(first).map_err(|e| format!("broken header: {e}"))?;
    let mut answers = HashMap::new();
    let mut at = first.len() + 1;
    for (number, line) in text[at..].split_inclusive('\n').enumerate() {
        let broken = || format!("line {}: not an answer", number + 2);
        let whole = line.strip_suffix('\n').ok_or_else(broken)?;
        let (key, rest) = whole.match_indices('\t').nth(4).map(|(i, _)| whole.split_at(i)).ok_or_else(broken)?;
        let (error, json) = match rest.strip_prefix("\tok\t") {
            Some(json) => (false, json),
            None => (true, rest.strip_prefix("\terror\t").ok_or_else(broken)?),
        };
        let start = at + whole.len() - json.len();
        answers.insert(key.into(), Answer::Text(start..at + whole.len(), error));
        at += line.len();
    }
    Ok(Bundle { recorded_at: header.recorded_at, header, text, answers })
}

/// Writes a bundle: a temporary file beside it, readable by its owner only, that takes its place when it is whole.
pub(crate) fn write(path: &Path, header: &Header, answers: &Answers) -> Result<(), BundleError> {
    let temporary = beside(path);
    let done = write_to(&temporary, header, answers).and_then(|()| std::fs::rename(&temporary, path));
    done.map_err(|source| {
        // The first error is the one to tell; a temporary file that was never made cannot be removed.
        let _ = std::fs::remove_file(&temporary);
        BundleError::Io { path: path.display().to_string(), source }
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_to(path: &Path, header: &Header, answers: &Answers) -> io::Result<()> {
    // A left-over of a run that was killed and had our process id.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = create_private(path)?;
    let mut out = zstd::stream::write::Encoder::new(BufWriter::new(file), LEVEL)?;
    serde_json::to_writer(&mut out, header)?;
    out.write_all(b"\n")?;
    for (key, answer) in answers {
        let (kind, json) = match answer {
            Ok(json) => ("ok", json.clone()),
            Err(e) => ("error", serde_json::to_string(e)?),
        };
        writeln!(out, "{key}\t{kind}\t{json}")?;
    }
    let file = out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pack(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    const HEADER: &str =
        r#"{"assay_bundle":1,"recorded_at":"2024-03-05T10:11:12Z","default":[],"connections":[],"accounts":[],"logins":[],"failed":{}}"#;

    #[test]
    fn what_is_not_a_bundle_says_why() {
        let whole = pack(&format!("{HEADER}\na\tb\tc\td\t{{}}\tok\t{{}}\n"));
        for (bytes, why) in [
            (b"".to_vec(), "the file is cut off"),
            (b"hello".to_vec(), "cannot unpack"),
            (pack("hello"), "no header line"),
            (pack("hello\n"), "no header line"),
            (pack("{\"assay_bundle\":2}\n"), "format 2; this assay reads format 1"),
            (pack("{\"assay_bundle\":1}\n"), "broken header: missing field"),
            (pack(&format!("{HEADER}\nhello\n")), "line 2: not an answer"),
            (pack(&format!("{HEADER}\na\tb\tc\td\t{{}}\tperhaps\t{{}}\n")), "line 2: not an answer"),
            (pack(&format!("{HEADER}\na\tb\tc\td\t{{}}\tok\t{{}}")), "line 2: not an answer"),
            (whole[..whole.len() - 9].to_vec(), "the file is cut off"),
        ] {
            let e = Bundle::from_bytes(&bytes).unwrap_err().to_string();
            assert!(e.starts_with("bundle in memory: not an assay bundle: ") && e.contains(why), "{why}: {e}");
        }
        assert_eq!(Bundle::from_bytes(&whole).unwrap().len(), 1);
        let e = Bundle::read(Path::new("/nowhere/x.bundle")).unwrap_err();
        assert!(matches!(e, BundleError::Io { .. }) && e.to_string().starts_with("/nowhere/x.bundle: "));
    }

    #[test]
    fn a_broken_answer_is_an_error_when_it_is_asked_for() {
        let bundle = Bundle::from_bytes(&pack(&format!("{HEADER}\na\tb\tc\td\t{{}}\tok\t{{\n"))).unwrap();
        assert_eq!(bundle.find("a", "b", "c", "d", "{}").unwrap().unwrap_err().kind, ErrorKind::BadAnswer);
        assert!(bundle.find("a", "b", "c", "d", "{\"x\":1}").is_none());
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let dir = std::env::temp_dir().join(format!("assay-bundle-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("taken")).unwrap();
        let header = Bundle::new(Utc::now()).header;
        for path in [dir.join("missing/x"), dir.join("taken")] {
            let e = write(&path, &header, &Answers::new()).unwrap_err();
            assert!(matches!(e, BundleError::Io { .. }), "{e}");
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn answers_come_back_as_they_were_written() {
        let path = std::env::temp_dir().join(format!("assay-answers-{}.bundle", std::process::id()));
        let denied = CloudError {
            status: Some(403),
            request_id: Some("r".into()),
            ..CloudError::new(ErrorKind::Denied, "AccessDenied", "no\tway\nhere")
        };
        let value = json!({"Z": "tab\t, line\n, ü, 🦀", "A": [1, 2.5, null, true]});
        let mut answers = Answers::new();
        answers.insert(call_key("a", "r", "iam", "Ok", "{}"), Ok(value.to_string()));
        answers.insert(call_key("a", "r", "iam", "No", "{}"), Err(denied.clone()));
        write(&path, &Bundle::new(Utc::now()).header, &answers).unwrap();
        let bundle = Bundle::read(&path).unwrap();
        assert_eq!(bundle.find("a", "r", "iam", "Ok", "{}").unwrap().unwrap().to_string(), value.to_string(), "order of members too");
        assert_eq!(bundle.find("a", "r", "iam", "No", "{}").unwrap().unwrap_err(), denied);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::remove_file(path).unwrap();
    }
}
