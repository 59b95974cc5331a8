//! From the configuration to connections and logins. Refuses, with one clear error, a configuration that contradicts itself.

use crate::CloudError;
use crate::connection::{AZURE, Config, Connection, ConnectionConfig};
use crate::credentials::role_identity;
use crate::limits::{Limits, invalid};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names and clouds of the connections that stand for the ambient credentials when nothing is configured.
const AMBIENT: [&str; 2] = ["aws", AZURE];

/// What the configuration says, checked.
#[derive(Debug)]
pub(crate) struct Registry {
    /// By name.
    pub(crate) connections: Vec<Connection>,
    pub(crate) default: Vec<Arc<str>>,
    pub(crate) limits: BTreeMap<Arc<str>, Limits>,
}

impl Registry {
    /// Checks the configuration and resolves every name and glob in it.
    pub(crate) fn read(config: &Config) -> Result<Registry, CloudError> {
        let mut configured = config.connections.clone();
        if configured.is_empty() {
            configured.extend(AMBIENT.map(|cloud| {
                let config = ConnectionConfig { cloud: Some(cloud.to_owned()), ..ConnectionConfig::default() };
                (cloud.to_owned(), config)
            }));
        }
        for (name, connection) in &configured {
            check(name, connection)?;
        }
        let real: Vec<&str> = configured.iter().filter(|(_, c)| c.aggregate.is_empty()).map(|(n, _)| n.as_str()).collect();
        let known: BTreeSet<&str> = configured.keys().map(String::as_str).collect();
        let mut connections = Vec::new();
        for (name, config) in &configured {
            let at = format!("connections.{name}.aggregate");
            let members = select(&at, &config.aggregate, &known, &real)?;
            connections.push(Connection { name: name.as_str().into(), members, config: config.clone() });
        }
        refuse_cycles(&connections)?;
        let default = match config.default.as_slice() {
            [] if !real.is_empty() => real.iter().map(|n| Arc::from(*n)).collect(),
            patterns => select("default", patterns, &known, &real)?,
        };
        let mut limits = BTreeMap::new();
        for (name, value) in &config.limits {
            if !real.contains(&name.as_str()) {
                let message = match known.contains(name.as_str()) {
                    true => format!("`limits.{name}`: an aggregate has no limits of its own; set them for its members"),
                    false => format!("`limits.{name}`: {}", unknown(name, &known)),
                };
                return Err(invalid(message));
            }
            let on_azure = configured.get(name).is_some_and(|c| c.cloud.as_deref() == Some(AZURE));
            limits.insert(Arc::from(name.as_str()), Limits::read(name, on_azure, value)?);
        }
        Ok(Registry { connections, default, limits })
    }
}

/// The names that patterns mean, in the order of the patterns, each once. Globs mean real connections only, so `*` never means itself.
fn select(at: &str, patterns: &[String], known: &BTreeSet<&str>, real: &[&str]) -> Result<Vec<Arc<str>>, CloudError> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for pattern in patterns {
        let found: Vec<&str> = if known.contains(pattern.as_str()) {
            vec![pattern]
        } else if is_glob(pattern) {
            let globs = Globs::read(at, std::slice::from_ref(pattern))?;
            real.iter().copied().filter(|n| globs.matches(n)).collect()
        } else {
            return Err(invalid(format!("`{at}`: {}", unknown(pattern, known))));
        };
        if found.is_empty() {
            return Err(invalid(format!("`{at}`: `{pattern}` matches no connection; there are {}", list(known))));
        }
        for name in found {
            if !names.iter().any(|n| **n == *name) {
                names.push(name.into());
            }
        }
    }
    Ok(names)
}

/// The message for a connection that does not exist.
pub(crate) fn unknown(name: &str, known: &BTreeSet<&str>) -> String {
    format!("there is no connection `{name}`; there are {}", list(known))
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn check(name: &str, c: &ConnectionConfig) -> Result<(), CloudError> {
    let at = format!("connections.{name}");
    let fail = |message: String| Err(invalid(format!("`{at}`: {message}")));
    if name.is_empty() || name.chars().any(|c| c.is_control() || "/*?[]{}\"".contains(c)) {
        return fail("a connection's name must not be empty or hold any of / * ? [ ] { } \"".into());
    }
    match c.cloud.as_deref() {
        None | Some("aws" | AZURE) => {}
        Some(other) => return fail(format!("unknown cloud `{other}`; there are `aws` and `azure`")),
    }
    let own = [
        ("profile", c.profile.is_some()),
        ("regions", !c.regions.is_empty()),
        ("role_arn", c.role_arn.is_some()),
        ("external_id", c.external_id.is_some()),
        ("organization", c.organization.is_some()),
    ];
    crate::azure::fields::check(&at, c, &own)?;
    if !c.aggregate.is_empty()
        && let Some((field, _)) = own.iter().find(|(_, set)| *set)
    {
        return fail(format!("an aggregate has no `{field}` of its own; set it on its members"));
    }
    if c.profile.as_deref() == Some("") {
        return fail("`profile` is empty".into());
    }
    Globs::read(&format!("{at}.regions"), &c.regions)?;
    match &c.role_arn {
        Some(arn) if role_identity(arn).is_none() => {
            return fail(format!("`role_arn: {arn}` is no role ARN, such as arn:aws:iam::123456789012:role/Audit"));
        }
        None if c.external_id.is_some() => return fail("`external_id` needs a `role_arn`".into()),
        _ => {}
    }
    if let Some(organization) = &c.organization {
        let role = &organization.role;
        if role.is_empty() || role.contains(':') || role.starts_with('/') || role.chars().any(char::is_control) {
            return fail(format!(
                "`organization.role: {role}` must be the name of a role that every member account has, such as AuditRole"
            ));
        }
        Globs::read(&format!("{at}.organization.exclude"), &organization.exclude)?;
    }
    Ok(())
}

/// Aggregates may hold aggregates, but not themselves, however far down.
fn refuse_cycles(connections: &[Connection]) -> Result<(), CloudError> {
    fn walk<'a>(
        at: &'a Connection,
        all: &'a [Connection],
        path: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Result<(), CloudError> {
        if let Some(start) = path.iter().position(|n| *n == &*at.name) {
            let cycle = [&path[start..], &[&*at.name]].concat().join(" → ");
            return Err(invalid(format!("`connections.{}.aggregate`: an aggregate cannot hold itself: {cycle}", at.name)));
        }
        if !done.contains(&*at.name) {
            path.push(&at.name);
            for member in &at.members {
                if let Some(next) = all.iter().find(|c| c.name == *member) {
                    walk(next, all, path, done)?;
                }
            }
            path.pop();
            done.insert(&at.name);
        }
        Ok(())
    }
    let mut done = BTreeSet::new();
    connections.iter().try_for_each(|c| walk(c, connections, &mut Vec::new(), &mut done))
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// Globs over names; none at all match everything.
#[derive(Debug, Clone)]
pub(crate) struct Globs {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles globs; `at` is their place in the configuration.
    pub(crate) fn read(at: &str, patterns: &[String]) -> Result<Globs, CloudError> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            if pattern.is_empty() || pattern.chars().any(char::is_control) {
                return Err(invalid(format!("`{at}`: `{}` is no glob", pattern.escape_debug())));
            }
            let glob = GlobBuilder::new(pattern).build();
            set.add(glob.map_err(|e| invalid(format!("`{at}`: `{pattern}` is no glob: {}", e.kind())))?);
        }
        let set = set.build().map_err(|e| invalid(format!("`{at}`: {e}")))?;
        Ok(Globs { patterns: patterns.to_vec(), set })
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.set.is_match(name)
    }

    /// Like [`Globs::matches`], but no globs at all match nothing.
    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.set.is_match(name)
    }

    /// The patterns, sorted, if they are all plain names.
    pub(crate) fn names(&self) -> Option<Arc<[Arc<str>]>> {
        if self.patterns.is_empty() || self.patterns.iter().any(|p| is_glob(p)) {
            return None;
        }
        let names: BTreeSet<&str> = self.patterns.iter().map(String::as_str).collect();
        Some(names.into_iter().map(Arc::from).collect())
    }

    /// What either of two sets matches.
    pub(crate) fn or(&self, other: &Globs) -> Result<Globs, CloudError> {
        if self.patterns.is_empty() || other.patterns.is_empty() {
            return Globs::read("regions", &[]);
        }
        let all: BTreeSet<String> = self.patterns.iter().chain(&other.patterns).cloned().collect();
        Globs::read("regions", &all.into_iter().collect::<Vec<_>>())
    }

    /// The patterns, for messages.
    pub(crate) fn text(&self) -> String {
        self.patterns.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use serde_json::{Value, json};

    fn read(config: Value) -> Result<Registry, CloudError> {
        Registry::read(&serde_json::from_value(config).expect("a configuration of the right shape"))
    }

    fn names(names: &[Arc<str>]) -> Vec<&str> {
        names.iter().map(|n| &**n).collect()
    }

    #[test]
    fn no_configuration_is_one_connection_per_cloud() {
        let r = read(json!({})).unwrap();
        let shown: Vec<_> = r.connections.iter().map(|c| (&*c.name, c.cloud(), c.kind())).collect();
        assert_eq!(shown, [("aws", "aws", "account"), ("azure", "azure", "tenant")]);
        assert_eq!(names(&r.default), ["aws", "azure"]);
        let r =
            read(json!({"connections": {"prod": {"cloud": "azure", "tenant": "t", "subscriptions": ["prod-*"], "environment": "china"}}}))
                .unwrap();
        assert_eq!((r.connections.len(), r.connections[0].cloud()), (1, "azure"));
    }

    #[test]
    fn aggregates_and_defaults_are_resolved() {
        let r = read(json!({
            "connections": {
                "prod_b": {"cloud": "aws", "profile": "b"}, "prod_a": {"profile": "a"}, "dev": {},
                "prods": {"aggregate": ["prod_*"]},
                "all": {"aggregate": ["dev", "prods", "*"]},
            },
            "default": ["all"],
        }))
        .unwrap();
        let of = |name: &str| names(&r.connections.iter().find(|c| &*c.name == name).unwrap().members).join(" ");
        assert_eq!(of("prods"), "prod_a prod_b");
        assert_eq!(of("all"), "dev prods prod_a prod_b");
        assert_eq!(of("dev"), "");
        assert_eq!(names(&r.default), ["all"]);
        let r = read(json!({"connections": {"b": {}, "a": {}, "c": {"aggregate": ["a"]}}})).unwrap();
        assert_eq!(names(&r.default), ["a", "b"], "aggregates are not in the default by themselves");
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused() {
        let one = |c: Value| json!({"connections": {"p": c}});
        for (config, message) in [
            (one(json!({"cloud": "gcp"})), "`connections.p`: unknown cloud `gcp`"),
            (one(json!({"tenant": "t"})), "`connections.p`: `tenant` belongs to `cloud: azure`"),
            (one(json!({"cloud": "azure", "profile": "p"})), "`connections.p`: `profile` belongs to `cloud: aws`"),
            (one(json!({"cloud": "azure", "regions": ["r"]})), "`regions` belongs to `cloud: aws`"),
            (one(json!({"cloud": "azure", "subscriptions": ["[a"]})), "`connections.p.subscriptions`: `[a` is no glob"),
            (json!({"connections": {"a": {}, "b": {"aggregate": ["a"], "tenant": "t"}}}), "an aggregate has no `tenant` of its own"),
            (one(json!({"profile": ""})), "`profile` is empty"),
            (one(json!({"role_arn": "Audit"})), "is no role ARN"),
            (one(json!({"external_id": "x"})), "`external_id` needs a `role_arn`"),
            (one(json!({"organization": {}})), "`organization.role: ` must be the name of a role"),
            (one(json!({"organization": {"role": "arn:aws:iam::1:role/x"}})), "must be the name of a role"),
            (one(json!({"organization": {"role": "R", "exclude": ["[a"]}})), "`connections.p.organization.exclude`: `[a` is no glob"),
            (one(json!({"regions": [""]})), "`connections.p.regions`: `` is no glob"),
            (one(json!({"regions": ["us-{east"]})), "`connections.p.regions`: `us-{east` is no glob"),
            (one(json!({"aggregate": ["x"]})), "`connections.p.aggregate`: there is no connection `x`; there are p"),
            (one(json!({"aggregate": ["x*"]})), "`x*` matches no connection; there are p"),
            (one(json!({"aggregate": ["p"]})), "an aggregate cannot hold itself: p → p"),
            (one(json!({"aggregate": ["p"], "profile": "x"})), "an aggregate has no `profile` of its own"),
            (
                json!({"connections": {"a": {"aggregate": ["b"]}, "b": {"aggregate": ["c"]}, "c": {"aggregate": ["a"]}}}),
                "an aggregate cannot hold itself: a → b → c → a",
            ),
            (json!({"connections": {"a/b": {}}}), "`connections.a/b`: a connection's name"),
            (json!({"default": ["x"]}), "`default`: there is no connection `x`; there are aws, azure"),
            (json!({"limits": {"x": {}}}), "`limits.x`: there is no connection `x`; there are aws, azure"),
            (json!({"connections": {"a": {}, "b": {"aggregate": ["a"]}}, "limits": {"b": {}}}), "an aggregate has no limits of its own"),
            (json!({"limits": {"aws": {"iam": 3}}}), "`limits.aws.iam` must be a mapping"),
        ] {
            let e = read(config.clone()).expect_err(&config.to_string());
            assert_eq!(e.kind, ErrorKind::Invalid);
            assert!(e.message.contains(message), "{config}: {e}");
        }
    }

    #[test]
    fn plain_region_names_need_no_question() {
        let globs = |p: &[&str]| Globs::read("r", &p.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap();
        assert_eq!(names(&globs(&["us-west-2", "eu-west-1", "us-west-2"]).names().unwrap()), ["eu-west-1", "us-west-2"]);
        assert!(globs(&["us-*", "eu-west-1"]).names().is_none());
        assert!(globs(&[]).names().is_none() && globs(&[]).matches("x") && !globs(&[]).excludes("x"));
        let both = globs(&["us-*"]).or(&globs(&["eu-west-1"])).unwrap();
        assert!(both.matches("us-east-1") && both.matches("eu-west-1") && !both.matches("eu-west-2"));
        assert!(globs(&["us-*"]).or(&globs(&[])).unwrap().matches("eu-west-2"));
    }
}
