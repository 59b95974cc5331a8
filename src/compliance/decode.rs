//! From YAML nodes to controls and groups. Owns the grammar of both files; checks what one file alone can tell.

use crate::error::did_you_mean;
use crate::placeholders::placeholders;
use crate::yaml::{Data, Entry, Node, error_at};
use crate::{Child, ContentError, Control, Group, Leaf, Param, Place, QueryRef, Severity, Tags};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

const CONTROL_KEYS: &[&str] =
    &["control", "title", "description", "documentation", "severity", "service", "tags", "params", "sql", "query"];
const PARAM_KEYS: &[&str] = &["default", "description", "min", "max", "hint"];
const BENCHMARK_KEYS: &[&str] = &["benchmark", "title", "description", "documentation", "framework", "version", "tags", "children"];
const GROUP_KEYS: &[&str] = &["id", "title", "description", "documentation", "tags", "children"];
const LEAF_KEYS: &[&str] = &["id", "control", "item", "level", "type", "title", "description", "documentation", "service", "tags", "args"];

/// What a file holds.
#[derive(Debug)]
pub(crate) enum File {
    Control(Control),
    Benchmark(Group),
}

/// Decodes a file; the id must be `stem`, its name.
pub(crate) fn file(root: &Node, stem: &str) -> Result<File, ContentError> {
    let Data::Map(entries) = &root.data else {
        return Err(error_at(&root.place, format!("expected a mapping, found {}", root.kind()), None));
    };
    let has = |key: &str| entries.iter().any(|e| e.key == key);
    match (has("control"), has("benchmark")) {
        (true, false) => control(root, stem).map(File::Control),
        (false, true) => benchmark(root, stem).map(File::Benchmark),
        _ => {
            let hint = "a file holds one control (`control: <id>`) or one benchmark (`benchmark: <id>`)";
            Err(error_at(&root.place, "neither a control nor a benchmark", Some(hint.to_owned())))
        }
    }
}

/// A mapping whose keys are all known.
struct Fields<'a> {
    entries: &'a [Entry],
    place: &'a Place,
    what: &'static str,
}

impl<'a> Fields<'a> {
    fn open(node: &'a Node, what: &'static str, known: &[&str]) -> Result<Fields<'a>, ContentError> {
        let Data::Map(entries) = &node.data else {
            return Err(error_at(&node.place, format!("{what} must be a mapping, found {}", node.kind()), None));
        };
        if let Some(bad) = entries.iter().find(|e| !known.contains(&e.key.as_str())) {
            let hint = did_you_mean(&bad.key, known.iter().copied()).unwrap_or_else(|| format!("known: {}", known.join(", ")));
            return Err(error_at(&bad.place, format!("unknown key '{}' in {what}", bad.key), Some(hint)));
        }
        Ok(Fields { entries, place: &node.place, what })
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    fn text(&self, key: &str) -> Result<Option<String>, ContentError> {
        match self.get(key) {
            None => Ok(None),
            Some(node @ Node { data: Data::Scalar { text, .. }, .. }) if !node.is_null() && !text.trim().is_empty() => {
                Ok(Some(text.trim_end().to_owned()))
            }
            Some(node) => Err(error_at(&node.place, format!("'{key}' must be text, found {}", node.kind()), None)),
        }
    }

    fn required(&self, key: &str) -> Result<String, ContentError> {
        self.text(key)?.ok_or_else(|| error_at(self.place, format!("{} has no '{key}'", self.what), Some(format!("add `{key}:`"))))
    }

    fn optional(&self, key: &str) -> Result<String, ContentError> {
        Ok(self.text(key)?.unwrap_or_default())
    }

    fn place_of(&self, key: &str) -> Place {
        self.get(key).map_or_else(|| self.place.clone(), |n| n.place.clone())
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ContentError> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.to_json().as_f64() {
            Some(n) => Ok(Some(n)),
            None => Err(error_at(&node.place, format!("'{key}' must be a number"), None)),
        }
    }

    fn id(&self, key: &str) -> Result<String, ContentError> {
        let id = self.required(key)?;
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !id.chars().all(fine) || id.starts_with(['_', '-']) || id == "all" {
            let hint = "letters, digits, '_' and '-', not 'all'".to_owned();
            return Err(error_at(&self.place_of(key), format!("'{id}' cannot be an id"), Some(hint)));
        }
        Ok(id)
    }

    fn named_like_file(&self, key: &str, stem: &str) -> Result<String, ContentError> {
        let id = self.id(key)?;
        if id != stem {
            let hint = format!("rename the file to {id}.yaml, or the {key} to {stem}");
            return Err(error_at(&self.place_of(key), format!("{key} '{id}' stands in a file of another name"), Some(hint)));
        }
        Ok(id)
    }

    fn tags(&self) -> Result<Tags, ContentError> {
        let Some(node) = self.get("tags") else { return Ok(Tags::new()) };
        let Data::Map(entries) = &node.data else {
            return Err(error_at(&node.place, format!("'tags' must be a mapping, found {}", node.kind()), None));
        };
        let mut tags = Tags::new();
        for e in entries {
            let Data::Scalar { text, .. } = &e.value.data else {
                return Err(error_at(&e.value.place, format!("tag '{}' must be text, found {}", e.key, e.value.kind()), None));
            };
            tags.insert(e.key.clone(), text.clone());
        }
        Ok(tags)
    }
}

fn control(root: &Node, stem: &str) -> Result<Control, ContentError> {
    let f = Fields::open(root, "a control", CONTROL_KEYS)?;
    let id = f.named_like_file("control", stem)?;
    let severity = match f.text("severity")? {
        None => Severity::None,
        Some(s) => Severity::parse(&s).ok_or_else(|| {
            let hint = did_you_mean(&s, Severity::ALL.map(Severity::as_str))
                .unwrap_or_else(|| format!("one of {}", Severity::ALL.map(Severity::as_str).join(", ")));
            error_at(&f.place_of("severity"), format!("'{s}' is not a severity"), Some(hint))
        })?,
    };
    let params = params(&f)?;
    let (query, query_place) = match (f.text("sql")?, f.text("query")?) {
        (Some(sql), None) => (QueryRef::Sql(Arc::from(sql)), f.place_of("sql")),
        (None, Some(name)) => (QueryRef::Named(name), f.place_of("query")),
        (Some(_), Some(_)) => {
            return Err(error_at(&f.place_of("query"), "both 'sql' and 'query'", Some("keep one of them".to_owned())));
        }
        (None, None) => {
            let hint = "add `sql:`, or `query:` with the id of the control whose SQL it shares".to_owned();
            return Err(error_at(root_place(root), "a control has no 'sql'", Some(hint)));
        }
    };
    if let QueryRef::Sql(sql) = &query {
        check_placeholders(sql, &params, &query_place)?;
    }
    let service = f.optional("service")?;
    let mut tags = f.tags()?;
    if !service.is_empty() {
        tags.entry("service".to_owned()).or_insert_with(|| service.clone());
    }
    Ok(Control {
        id,
        title: f.required("title")?,
        description: f.optional("description")?,
        documentation: f.optional("documentation")?,
        severity,
        service,
        tags,
        params,
        query,
        place: root.place.clone(),
        query_place,
    })
}

fn root_place(root: &Node) -> &Place {
    &root.place
}

fn params(f: &Fields<'_>) -> Result<Vec<Param>, ContentError> {
    let Some(node) = f.get("params") else { return Ok(Vec::new()) };
    let Data::Map(entries) = &node.data else {
        return Err(error_at(&node.place, format!("'params' must be a mapping, found {}", node.kind()), None));
    };
    let mut out = Vec::new();
    for e in entries {
        let fine = e.key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && e.key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fine {
            let hint = "a letter, then letters, digits and '_'".to_owned();
            return Err(error_at(&e.place, format!("'{}' cannot name a parameter", e.key), Some(hint)));
        }
        let p = Fields::open(&e.value, "a parameter", PARAM_KEYS)?;
        let default = match p.get("default") {
            None => None,
            Some(node) => {
                let value = node.to_json();
                let scalar = |v: &Json| !v.is_null() && !v.is_array() && !v.is_object();
                if !scalar(&value) && !value.as_array().is_some_and(|items| items.iter().all(scalar)) {
                    return Err(error_at(&node.place, "a default is a number, a boolean, text, or a list of them", None));
                }
                Some(value)
            }
        };
        let param = Param {
            name: e.key.clone(),
            description: p.optional("description")?,
            default,
            min: p.number("min")?,
            max: p.number("max")?,
            hint: p.optional("hint")?,
        };
        if let Some(problem) = param.default.as_ref().and_then(|d| crate::args::out_of_bounds(&param, d)) {
            return Err(error_at(&p.place_of("default"), problem, None));
        }
        out.push(param);
    }
    Ok(out)
}

fn check_placeholders(sql: &str, params: &[Param], place: &Place) -> Result<(), ContentError> {
    let used = placeholders(sql);
    let by_position = used.iter().any(|u| u.parse::<usize>().is_ok());
    if by_position && used.iter().any(|u| u.parse::<usize>().is_err()) {
        return Err(error_at(place, "the SQL mixes $1 and $name", Some("use one of the two ways".to_owned())));
    }
    for u in &used {
        let known = match u.parse::<usize>() {
            Ok(n) => (1..=params.len()).contains(&n),
            Err(_) => params.iter().any(|p| p.name == *u),
        };
        if !known {
            let hint = did_you_mean(u, params.iter().map(|p| p.name.as_str()))
                .unwrap_or_else(|| format!("declare it under `params:`, or write '${u}' in quotes"));
            return Err(error_at(place, format!("the SQL uses ${u}, which is not a parameter"), Some(hint)));
        }
    }
    let unused =
        params.iter().enumerate().find(|(i, p)| if by_position { !used.contains(&(i + 1).to_string()) } else { !used.contains(&p.name) });
    match unused {
        Some((_, p)) => {
            let hint = format!("use ${} in the SQL, or remove it from `params:`", p.name);
            Err(error_at(place, format!("parameter '{}' is not used in the SQL", p.name), Some(hint)))
        }
        None => Ok(()),
    }
}

/// What a file hands down to its leaves.
struct Inherited<'a> {
    framework: &'a str,
    tags: &'a Tags,
}

fn benchmark(root: &Node, stem: &str) -> Result<Group, ContentError> {
    let f = Fields::open(root, "a benchmark", BENCHMARK_KEYS)?;
    let id = f.named_like_file("benchmark", stem)?;
    let framework = f.optional("framework")?;
    let mut tags = Tags::new();
    if !framework.is_empty() {
        tags.insert(framework.clone(), "true".to_owned());
    }
    if let Some(version) = f.text("version")? {
        if framework.is_empty() {
            return Err(error_at(
                &f.place_of("version"),
                "'version' without 'framework'",
                Some("add `framework:`, such as cis".to_owned()),
            ));
        }
        tags.insert(format!("{framework}_version"), version);
    }
    tags.extend(f.tags()?);
    let children = children(&f, &Inherited { framework: &framework, tags: &tags })?;
    Ok(Group {
        id,
        title: f.required("title")?,
        description: f.optional("description")?,
        documentation: f.optional("documentation")?,
        tags,
        children,
        is_file: true,
        place: root.place.clone(),
    })
}

fn children(f: &Fields<'_>, inherited: &Inherited<'_>) -> Result<Vec<Child>, ContentError> {
    let node = f.get("children").ok_or_else(|| error_at(f.place, format!("{} has no 'children'", f.what), None))?;
    let Data::List(items) = &node.data else {
        return Err(error_at(&node.place, format!("'children' must be a list, found {}", node.kind()), None));
    };
    if items.is_empty() {
        return Err(error_at(&node.place, "'children' is empty", None));
    }
    items.iter().map(|item| child(item, inherited)).collect()
}

fn child(node: &Node, inherited: &Inherited<'_>) -> Result<Child, ContentError> {
    match &node.data {
        Data::Scalar { text, .. } if !node.is_null() => Ok(Child::Name(text.clone(), node.place.clone())),
        Data::Map(entries) if entries.iter().any(|e| e.key == "children") => {
            let f = Fields::open(node, "a group", GROUP_KEYS)?;
            let mut tags = inherited.tags.clone();
            tags.extend(f.tags()?);
            let children = children(&f, &Inherited { framework: inherited.framework, tags: &tags })?;
            Ok(Child::Group(Arc::new(Group {
                id: f.id("id")?,
                title: f.required("title")?,
                description: f.optional("description")?,
                documentation: f.optional("documentation")?,
                tags,
                children,
                is_file: false,
                place: f.place_of("id"),
            })))
        }
        Data::Map(_) => leaf(node, inherited).map(|l| Child::Leaf(Arc::new(l))),
        _ => {
            let hint = "a child is a name, or a mapping with an id".to_owned();
            Err(error_at(&node.place, format!("a child cannot be {}", node.kind()), Some(hint)))
        }
    }
}

fn leaf(node: &Node, inherited: &Inherited<'_>) -> Result<Leaf, ContentError> {
    let f = Fields::open(node, "a leaf", LEAF_KEYS)?;
    let item = f.text("item")?;
    let service = f.text("service")?;
    let (level, kind) = (f.text("level")?, f.text("type")?);
    let mut tags = inherited.tags.clone();
    let framework = inherited.framework;
    if framework.is_empty() {
        if let Some(key) = ["level", "type"].into_iter().find(|k| f.get(k).is_some()) {
            let hint = "add `framework:` to the file, such as cis; the tag is then cis_level".to_owned();
            return Err(error_at(&f.place_of(key), format!("'{key}' without a framework"), Some(hint)));
        }
    } else {
        let section = item.as_ref().and_then(|i| i.rsplit_once('.')).map(|(section, _)| section.to_owned());
        for (name, value) in [("item_id", item.clone()), ("section_id", section), ("level", level), ("type", kind)] {
            if let Some(value) = value {
                tags.insert(format!("{framework}_{name}"), value);
            }
        }
    }
    if let Some(service) = &service {
        tags.insert("service".to_owned(), service.clone());
    }
    tags.extend(f.tags()?);
    let args = match f.get("args") {
        None => BTreeMap::new(),
        Some(Node { data: Data::Map(entries), .. }) => entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect(),
        Some(other) => return Err(error_at(&other.place, format!("'args' must be a mapping, found {}", other.kind()), None)),
    };
    let control = f.text("control")?;
    if control.is_none() && !args.is_empty() {
        return Err(error_at(&f.place_of("args"), "'args' without 'control'", None));
    }
    Ok(Leaf {
        id: f.id("id")?,
        item,
        title: f.text("title")?,
        description: f.text("description")?,
        documentation: f.text("documentation")?,
        service,
        tags,
        args,
        place: f.place_of("id"),
        control_place: f.place_of("control"),
        control,
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
