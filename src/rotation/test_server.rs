//! For tests of real calls: a small server on loopback that counts what it is asked, and processes of their own whose environment names it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    /// A member of a form, as the query protocol has it.
    pub(crate) fn form(&self, name: &str) -> String {
        let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let found = self.body.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == name);
        found.map(|(_, value)| decode(value)).unwrap_or_default()
    }

    /// The access key that signed it.
    pub(crate) fn signer(&self) -> &str {
        let signature = self.headers.get("authorization").map_or("", String::as_str);
        signature.split("Credential=").nth(1).and_then(|c| c.split('/').next()).unwrap_or_default()
    }

    /// What was asked, for counting.
    fn name(&self) -> String {
        match (self.form("Action"), self.headers.get("x-amz-target")) {
            (_, Some(target)) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            (action, None) if !action.is_empty() => format!("{action} {}", self.form("UserName")).trim().to_owned(),
            _ => format!("{} {}", self.method, self.target),
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&part[..n]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ').map(str::to_owned);
        let headers: BTreeMap<String, String> =
            lines.filter_map(|l| l.split_once(": ")).map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
        if body.len() < headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0) {
            continue;
        }
        return Some(Asked { method: first.next()?, target: first.next()?, headers, body: body.to_owned() });
    }
}

/// What was asked so far, in order.
pub(crate) type Counted = Arc<Mutex<Vec<String>>>;

/// Serves until the test ends; `None` closes the connection without an answer. Connections are kept open, so that what a client does with
/// an old one is seen too.
pub(crate) fn serve(answer: impl Fn(&Asked) -> Option<(u16, String)> + Send + Sync + 'static) -> (String, Counted) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let counted = Counted::default();
    let (kept, answer) = (counted.clone(), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, kept, answer) = (stream.unwrap(), kept.clone(), answer.clone());
            std::thread::spawn(move || {
                while let Some(asked) = read_request(&mut stream) {
                    kept.lock().unwrap().push(asked.name());
                    let Some((status, body)) = answer(&asked) else { return };
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nx-amzn-RequestId: r-1\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    if stream.write_all((head + &body).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, counted)
}

/// Runs an ignored test in a process whose environment is this; gives back all it printed.
pub(crate) fn inside(test: &str, variables: &[(&str, &str)]) -> String {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "--ignored", "--nocapture", test]);
    process.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", "/nowhere");
    process.env("AWS_ACCESS_KEY_ID", "AKIAOWN").env("AWS_SECRET_ACCESS_KEY", "own").env("AWS_REGION", "eu-west-1");
    // What the SDK would print of answers if it were asked to.
    process.env("LOG_SENSITIVE_BODIES", "true").envs(variables.iter().copied());
    let out = process.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
    text
}
