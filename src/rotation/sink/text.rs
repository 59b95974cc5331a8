//! Sinks as people write them: `KIND:WHERE?OPTION=VALUE&…`, for a command `command?env=NAME:PROGRAM ARG…`. Refuses what it does not
//! understand, with one clear error.

use super::template::Template;

/// What the text of a sink says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spec {
    /// `secretsmanager:NAME`
    SecretsManager {
        /// Name of the secret.
        name: Template,
        /// Where it is, if not in the connection's own region.
        region: Option<String>,
        /// Whose credentials, if not those of the key's own connection.
        connection: Option<String>,
    },
    /// `keyvault:https://VAULT/secrets/NAME`
    KeyVault {
        /// Scheme and host, without a slash at the end.
        vault: String,
        /// Name of the secret.
        name: Template,
        /// Whose credentials.
        connection: Option<String>,
    },
    /// `file:PATH`
    File {
        /// The file.
        path: Template,
        /// Encrypted for these.
        recipients: Recipients,
    },
    /// `command:PROGRAM ARG…`
    Command {
        /// The program and its arguments; a placeholder never makes two words of one.
        words: Vec<Template>,
        /// Variables it may have although their names look secret.
        env: Vec<String>,
    },
}

/// For whom a file is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipients {
    /// For nobody: it is as it is, mode 0600.
    None,
    /// By `age`.
    Age(Vec<String>),
    /// By `gpg`.
    Gpg(Vec<String>),
}

/// The kinds, with an example each.
const KINDS: [(&str, &str); 4] = [
    ("secretsmanager", "secretsmanager:assay/{user}"),
    ("keyvault", "keyvault:https://VAULT.vault.azure.net/secrets/{user}"),
    ("file", "file:/var/secrets/{user}.json?age=age1…"),
    ("command", "command:vault kv put secret/{user} -"),
];

/// Options in their order, not yet judged.
type Options<'a> = Vec<(&'a str, &'a str)>;

/// Reads the text of a sink.
///
/// # Errors
/// One line with what is wrong, and what would be right.
pub(crate) fn parse(text: &str) -> Result<Spec, String> {
    let text = text.trim();
    let kinds = || KINDS.map(|(_, example)| format!("`{example}`")).join(", ");
    if text.chars().any(char::is_control) {
        return Err("a sink is one line without control characters".to_owned());
    }
    let Some((head, rest)) = text.split_once(':') else {
        return Err(format!("`{text}` is no sink; write it as one of {}", kinds()));
    };
    let (kind, early) = head.split_once('?').unwrap_or((head, ""));
    let Some((kind, example)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        return Err(format!("there is no sink `{}`; write it as one of {}", kind.escape_debug(), kinds()));
    };
    let wrong = |why: String| format!("sink `{text}`: {why}");
    let (place, options) = match *kind {
        "command" => (rest, early),
        _ if !early.is_empty() => return Err(wrong(format!("options stand at the end, as in `{example}`"))),
        _ => rest.split_once('?').unwrap_or((rest, "")),
    };
    if place.trim().is_empty() {
        return Err(wrong(format!("it does not say where, as in `{example}`")));
    }
    let options = read_options(options).map_err(wrong)?;
    match *kind {
        "secretsmanager" => secretsmanager(place, &options),
        "keyvault" => key_vault(place, &options),
        "file" => file(place, &options),
        _ => command(place, &options),
    }
    .map_err(wrong)
}

fn read_options(text: &str) -> Result<Options<'_>, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() => Ok((name, value)),
            _ => Err(format!("`{pair}` is no option; it is NAME=VALUE")),
        })
        .collect()
}

/// Refuses options that the kind does not have, and those given twice that can be given once.
fn only(options: &Options<'_>, once: &[&str], often: &[&str]) -> Result<(), String> {
    for (at, (name, _)) in options.iter().enumerate() {
        let known = once.contains(name) || often.contains(name);
        if !known {
            let names: Vec<&str> = once.iter().chain(often).copied().collect();
            return Err(format!("there is no option `{name}` here; there are {}", names.join(", ")));
        }
        if once.contains(name) && options[..at].iter().any(|(before, _)| before == name) {
            return Err(format!("the option `{name}` is given twice"));
        }
    }
    Ok(())
}

fn one(options: &Options<'_>, name: &str) -> Option<String> {
    options.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
}

fn all(options: &Options<'_>, name: &str) -> Vec<String> {
    options.iter().filter(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()).collect()
}

fn secretsmanager(place: &str, options: &Options<'_>) -> Result<Spec, String> {
    only(options, &["region", "connection"], &[])?;
    let region = one(options, "region");
    if let Some(region) = region.as_deref().filter(|r| !r.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')) {
        return Err(format!("`region={region}` is no region, such as eu-west-1"));
    }
    Ok(Spec::SecretsManager { name: Template::read(place)?, region, connection: one(options, "connection") })
}

fn key_vault(place: &str, options: &Options<'_>) -> Result<Spec, String> {
    only(options, &["connection"], &[])?;
    let shape = || format!("`{place}` is no address of a secret, such as https://VAULT.vault.azure.net/secrets/{{user}}");
    let (scheme, rest) = place.split_once("://").ok_or_else(shape)?;
    let (host, path) = rest.split_once('/').ok_or_else(shape)?;
    let name = path.strip_prefix("secrets/").filter(|name| !name.is_empty() && !name.contains('/')).ok_or_else(shape)?;
    // Which hosts are vaults, and whether http may be spoken, is judged where the token is sent.
    if host.is_empty() || host.contains(['{', '}', '@', '#', '\\']) || !matches!(scheme, "https" | "http") {
        return Err(shape());
    }
    Ok(Spec::KeyVault { vault: format!("{scheme}://{host}"), name: Template::read(name)?, connection: one(options, "connection") })
}

fn file(place: &str, options: &Options<'_>) -> Result<Spec, String> {
    only(options, &[], &["age", "gpg"])?;
    let (age, gpg) = (all(options, "age"), all(options, "gpg"));
    if let Some(bad) = age.iter().chain(&gpg).find(|r| r.starts_with('-')) {
        return Err(format!("`{bad}` is no recipient"));
    }
    let recipients = match (age.is_empty(), gpg.is_empty()) {
        (true, true) => Recipients::None,
        (false, true) => Recipients::Age(age),
        (true, false) => Recipients::Gpg(gpg),
        (false, false) => return Err("a file is encrypted with age or with gpg, not with both".to_owned()),
    };
    let path = Template::read(place)?;
    if place.ends_with('/') || place.split('/').any(|segment| segment == "..") {
        return Err(format!("`{place}` is no path of a file; `..` is not taken"));
    }
    Ok(Spec::File { path, recipients })
}

fn command(place: &str, options: &Options<'_>) -> Result<Spec, String> {
    only(options, &[], &["env"])?;
    let words = shlex::split(place).ok_or("its quotes do not end")?;
    let words = words.iter().map(|word| Template::read(word)).collect::<Result<Vec<_>, _>>()?;
    match words.first().map(Template::literal) {
        None | Some(Some("")) => return Err("it names no program".to_owned()),
        Some(None) => return Err("the program itself has no placeholder".to_owned()),
        Some(Some(_)) => {}
    }
    let env: Vec<String> = all(options, "env").iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    match env.iter().find(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
        Some(bad) => Err(format!("`env={bad}` names no variable")),
        None => Ok(Spec::Command { words, env }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::read(text).unwrap()
    }

    #[test]
    fn sinks_are_read() {
        let text = |t: &str| Some(t.to_owned());
        for (given, spec) in [
            (
                "secretsmanager:assay/{user}?region=eu-west-1&connection=vaults",
                Spec::SecretsManager { name: template("assay/{user}"), region: text("eu-west-1"), connection: text("vaults") },
            ),
            (" secretsmanager:x ", Spec::SecretsManager { name: template("x"), region: None, connection: None }),
            (
                "keyvault:https://my-vault.vault.azure.net/secrets/{user_id}?connection=az",
                Spec::KeyVault { vault: "https://my-vault.vault.azure.net".into(), name: template("{user_id}"), connection: text("az") },
            ),
            ("file:~/k/{user}.json", Spec::File { path: template("~/k/{user}.json"), recipients: Recipients::None }),
            ("file:a?gpg=A1&gpg=B2", Spec::File { path: template("a"), recipients: Recipients::Gpg(vec!["A1".into(), "B2".into()]) }),
            ("file:a?age=age1x", Spec::File { path: template("a"), recipients: Recipients::Age(vec!["age1x".into()]) }),
            (
                "command:vault kv put 'secret/{user} x' -",
                Spec::Command { words: ["vault", "kv", "put", "secret/{user} x", "-"].map(template).to_vec(), env: vec![] },
            ),
            (
                "command?env=VAULT_TOKEN,B:/bin/x a?b=c",
                Spec::Command { words: ["/bin/x", "a?b=c"].map(template).to_vec(), env: vec!["VAULT_TOKEN".into(), "B".into()] },
            ),
        ] {
            assert_eq!(parse(given), Ok(spec), "{given}");
        }
    }

    #[test]
    fn each_mistake_has_its_error() {
        for (given, message) in [
            ("", "is no sink; write it as one of `secretsmanager:assay/{user}`"),
            ("secretsmanager", "is no sink"),
            ("s3:bucket/key", "there is no sink `s3`"),
            ("File:x", "there is no sink `File`"),
            ("secretsmanager:", "does not say where"),
            ("file: ", "does not say where"),
            ("secretsmanager?region=x:a", "options stand at the end"),
            ("secretsmanager:a?zone=x", "there is no option `zone` here; there are region, connection"),
            ("secretsmanager:a?region=x&region=y", "the option `region` is given twice"),
            ("secretsmanager:a?region", "`region` is no option; it is NAME=VALUE"),
            ("secretsmanager:a?region=", "is no option"),
            ("secretsmanager:a?region=EU West", "is no region"),
            ("secretsmanager:{name}", "{name} is no placeholder"),
            ("keyvault:my-vault/secrets/a", "is no address of a secret"),
            ("keyvault:https://v.vault.azure.net/keys/a", "is no address of a secret"),
            ("keyvault:https://v.vault.azure.net/secrets/", "is no address of a secret"),
            ("keyvault:https://v.vault.azure.net/secrets/a/b", "is no address of a secret"),
            ("keyvault:https://{user}.vault.azure.net/secrets/a", "is no address of a secret"),
            ("keyvault:https://u@v.vault.azure.net/secrets/a", "is no address of a secret"),
            ("keyvault:ftp://v/secrets/a", "is no address of a secret"),
            ("file:a/../b", "`..` is not taken"),
            ("file:a/", "is no path of a file"),
            ("file:a?mode=0644", "there is no option `mode` here; there are age, gpg"),
            ("file:a?age=x&gpg=y", "not with both"),
            ("file:a?gpg=--homedir", "`--homedir` is no recipient"),
            ("command:{user} x", "the program itself has no placeholder"),
            ("command:x{user}", "the program itself has no placeholder"),
            ("command:'' x", "it names no program"),
            ("command:a 'b", "its quotes do not end"),
            ("command?env=A B:x", "names no variable"),
            ("command?shell=1:x", "there is no option `shell` here; there are env"),
            ("command:a\nb", "control characters"),
        ] {
            let e = parse(given).expect_err(given);
            assert!(e.contains(message) && !e.contains('\n'), "{given}: {e}");
        }
    }
}
