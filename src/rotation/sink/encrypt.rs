//! Encryption of files by the installed `age` and `gpg`: the secret goes in on standard input, only the encrypted text comes out. Refuses
//! recipients that the program does not know, or knows more than one of.

use super::program::Program;
use super::text::Recipients;
use std::time::Duration;
use zeroize::Zeroizing;

/// Encryption needs nobody's help, so it is quick.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that encrypts for certain recipients.
#[derive(Debug, Clone)]
pub(crate) struct Encryption(Recipients);

impl Encryption {
    /// `None` where nothing is encrypted.
    pub(crate) fn new(recipients: Recipients) -> Option<Encryption> {
        (recipients != Recipients::None).then_some(Encryption(recipients))
    }

    /// Is the program there, and does it know the recipients? Encrypts an empty text to find out.
    ///
    /// # Errors
    /// One line.
    pub(crate) async fn check(&self) -> Result<(), String> {
        self.encrypt("").await.map(|_| ())
    }

    /// The text, encrypted.
    ///
    /// # Errors
    /// One line that holds no part of the text.
    pub(crate) async fn encrypt(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let (name, arguments) = match &self.0 {
            Recipients::None => return Err("this file is not encrypted".to_owned()),
            Recipients::Age(recipients) => ("age", recipients.iter().flat_map(|r| ["--recipient".to_owned(), r.clone()]).collect()),
            Recipients::Gpg(recipients) => ("gpg", gpg_arguments(recipients).await?),
        };
        let program = Program::new(Program::find(name)?, arguments, Vec::new(), LIMIT);
        let output = program.run(text).await?;
        if !output.status.success() {
            return Err(format!("{name} cannot encrypt for {}: {}", self.0.names(), output.reason(&[text])));
        }
        // A program that passes its input through would otherwise be believed.
        let plain = !text.is_empty() && output.stdout.windows(text.len()).any(|window| window == text.as_bytes());
        if output.stdout.is_empty() || plain {
            return Err(format!("{name} ended well, but gave back nothing that is encrypted"));
        }
        Ok(output.stdout)
    }
}

impl Recipients {
    fn names(&self) -> String {
        match self {
            Recipients::None => String::new(),
            Recipients::Age(names) | Recipients::Gpg(names) => names.join(", "),
        }
    }
}

/// The one key that each recipient means is named by its fingerprint; which key that is was the user's choice, whatever gpg trusts.
async fn gpg_arguments(recipients: &[String]) -> Result<Vec<String>, String> {
    let mut arguments: Vec<String> = ["--batch", "--no-tty", "--quiet", "--trust-model", "always", "--encrypt"].map(str::to_owned).to_vec();
    let path = Program::find("gpg")?;
    for recipient in recipients {
        let list = ["--batch", "--no-tty", "--with-colons", "--fingerprint", "--list-keys", "--", recipient].map(str::to_owned);
        let output = Program::new(path.clone(), list.to_vec(), Vec::new(), LIMIT).run("").await?;
        if !output.status.success() {
            return Err(format!("gpg has no key of {recipient}: import it first ({})", output.reason(&[])));
        }
        let fingerprint = usable(&String::from_utf8_lossy(&output.stdout)).map_err(|why| format!("gpg: {recipient} {why}"))?;
        arguments.extend(["--recipient".to_owned(), fingerprint]);
    }
    Ok(arguments)
}

/// The fingerprint of the one key in gpg's list that can be encrypted for. Source: GnuPG's doc/DETAILS, "Format of the colon listings".
fn usable(list: &str) -> Result<String, &'static str> {
    let mut found: Vec<String> = Vec::new();
    let mut waiting = false;
    let mut unusable = false;
    for line in list.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |n: usize| fields.get(n).copied().unwrap_or_default();
        match field(0) {
            "pub" => {
                // Invalid, disabled, revoked, expired; a capital E says that the key as a whole can encrypt.
                waiting = !field(1).contains(['i', 'd', 'r', 'e']) && field(11).contains('E') && !field(11).contains('D');
                unusable |= !waiting;
            }
            "fpr" if waiting => {
                found.push(field(9).to_owned());
                waiting = false;
            }
            _ => {}
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] if unusable => Err("has no key that can be encrypted for: it is expired, revoked, disabled, or for signing only"),
        [] => Err("has no key"),
        _ => Err("means more than one key: name it by its fingerprint"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_usable_key_is_chosen() {
        let key = |validity: &str, capabilities: &str, print: &str| {
            format!(
                "pub:{validity}:255:22:AAAA:1:::-:::{capabilities}:::\nfpr:::::::::{print}:\nuid:-::::1::X::a::::::::::0:\nsub:-:255:18:B:1::::::e:\nfpr:::::::::SUB{print}:\n"
            )
        };
        for (list, expected) in [
            (key("-", "scESC", "F1"), Ok("F1")),
            (key("u", "scESC", "F1") + &key("r", "scESC", "F2"), Ok("F1")),
            (key("e", "scESC", "F1"), Err("expired")),
            (key("-", "scSC", "F1"), Err("signing only")),
            (key("-", "scESCD", "F1"), Err("disabled")),
            (key("-", "scESC", "F1") + &key("-", "scESC", "F2"), Err("more than one key")),
            (String::new(), Err("has no key")),
        ] {
            match (usable(&list), expected) {
                (Ok(got), Ok(want)) => assert_eq!(got, want),
                (Err(got), Err(want)) => assert!(got.contains(want), "{list}: {got}"),
                (got, want) => panic!("{list}: {got:?} is not {want:?}"),
            }
        }
    }
}
