//! One block of a mod as the library's model: its attributes evaluated, what is wrong with each kept.

use super::eval::{Evaluator, Frame};
use super::module::{At, Kind, Module, World};
use super::value::{Thing, Value};
use crate::error::did_you_mean;
use crate::yaml::error_at;
use crate::{Child, ContentError, Control, Group, Param, Place, Query, QueryRef, Severity, Tags};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use serde_json::Value as Json;
use std::sync::Arc;

/// What became of a block.
pub(super) struct Made {
    pub(super) built: Built,
    pub(super) notices: Vec<String>,
    pub(super) bad: Vec<ContentError>,
}

pub(super) enum Built {
    Control(Control),
    Group(Group),
    Query(Query),
}

/// Evaluates one block. What is wrong is kept, so that everything else of the block is looked at too.
pub(super) struct Builder<'w> {
    ev: Evaluator<'w>,
    m: &'w Module,
    module: usize,
    at: At,
    thing: Thing,
    notices: Vec<String>,
    bad: Vec<ContentError>,
}

impl<'w> Builder<'w> {
    pub(super) fn new(world: &'w World, module: usize, kind: Kind, name: &str, at: At) -> Builder<'w> {
        let thing = Thing { module: Some(module), kind, name: Arc::from(name) };
        Builder { ev: Evaluator::new(world), m: &world.modules[module], module, at, thing, notices: Vec::new(), bad: Vec::new() }
    }

    pub(super) fn build(mut self) -> Made {
        let unknown = self.ev.unknown_attributes(self.module, self.thing.kind, self.at);
        self.notices = self.keep(unknown);
        let built = match self.thing.kind {
            Kind::Benchmark => Built::Group(self.group()),
            Kind::Query => Built::Query(self.query()),
            Kind::Control | Kind::Mod => Built::Control(self.control()),
        };
        Made { built, notices: self.notices, bad: self.bad }
    }

    /// What was found, or nothing where that is wrong.
    fn keep<T: Default>(&mut self, found: Result<T, ContentError>) -> T {
        found.unwrap_or_else(|e| {
            self.bad.push(e);
            T::default()
        })
    }

    /// The text of an attribute.
    fn words(&mut self, name: &str) -> String {
        let text = self.text(name);
        self.keep(text)
    }

    /// A file that is not there does not make a control useless.
    fn documentation(&mut self) -> String {
        match self.text("documentation") {
            Err(e) if e.message.starts_with("file(): there is no file") => {
                self.notices.push(format!("{e}; it is read over"));
                String::new()
            }
            text => self.keep(text),
        }
    }

    fn id(&self, thing: &Thing) -> String {
        match thing.module {
            Some(i) => format!("{}.{}.{}", self.ev.world.modules[i].name, thing.kind.word(), thing.name),
            None => thing.name.to_string(),
        }
    }

    fn value(&self, name: &str) -> Result<Value, ContentError> {
        self.ev.attribute_of(&self.thing, name, &self.m.place(self.at))
    }

    fn place_of(&self, name: &str) -> Place {
        let source = &self.m.sources[self.at.source];
        self.m.attribute(self.at, name).map_or_else(|| self.m.place(self.at), |a| source.place(a.value.span()))
    }

    fn wrong(&self, name: &str, want: &str, value: &Value) -> ContentError {
        error_at(&self.place_of(name), format!("'{name}' must be {want}, not {}", value.kind()), None)
    }

    fn text(&self, name: &str) -> Result<String, ContentError> {
        match self.value(name)? {
            Value::Null => Ok(String::new()),
            value => value.as_text().map(|t| t.to_string()).ok_or_else(|| self.wrong(name, "text", &value)),
        }
    }

    fn title(&mut self) -> String {
        let title = self.words("title");
        if title.is_empty() { self.thing.name.to_string() } else { title }
    }

    fn tags(&mut self) -> Tags {
        let tags = self.some_tags();
        self.keep(tags)
    }

    fn some_tags(&self) -> Result<Tags, ContentError> {
        let map = match self.value("tags")? {
            Value::Null => return Ok(Tags::new()),
            Value::Map(map) => map,
            other => return Err(self.wrong("tags", "a map", &other)),
        };
        let mut tags = Tags::new();
        for (key, value) in map {
            match value.as_text() {
                Some(text) => drop(tags.insert(key, text.to_string())),
                None if matches!(value, Value::Null) => {}
                None => return Err(error_at(&self.place_of("tags"), format!("tag '{key}' must be text, not {}", value.kind()), None)),
            }
        }
        Ok(tags)
    }

    fn group(&mut self) -> Group {
        let mut children = Vec::new();
        match self.m.attribute(self.at, "children").map(|a| &a.value) {
            Some(Expression::Array(items)) => {
                let source = &self.m.sources[self.at.source];
                let frame = Frame { module: self.module, source, names: None };
                for item in items {
                    let child = self.ev.expr(&frame, item).and_then(|v| self.child(&v, source.place(item.span())));
                    children.extend(self.keep(child.map(Some)));
                }
            }
            _ => {
                let all = self.value("children").and_then(|v| if matches!(v, Value::Null) { Ok(Vec::new()) } else { self.children(v) });
                children = self.keep(all);
            }
        }
        Group {
            id: self.id(&self.thing),
            title: self.title(),
            description: self.words("description"),
            documentation: self.documentation(),
            tags: self.tags(),
            children,
            is_file: true,
            place: self.m.place(self.at),
        }
    }

    fn children(&self, value: Value) -> Result<Vec<Child>, ContentError> {
        match value {
            Value::List(items) => items.iter().map(|v| self.child(v, self.place_of("children"))).collect(),
            other => Err(self.wrong("children", "a list", &other)),
        }
    }

    fn child(&self, value: &Value, place: Place) -> Result<Child, ContentError> {
        match value {
            Value::Thing(thing) if matches!(thing.kind, Kind::Control | Kind::Benchmark) => Ok(Child::Name(self.id(thing), place)),
            other => {
                let hint = "name it: control.… or benchmark.…".to_owned();
                Err(error_at(&place, format!("a child must be a control or a benchmark, not {}", other.kind()), Some(hint)))
            }
        }
    }

    fn query(&mut self) -> Query {
        let before = self.bad.len();
        let sql = self.words("sql");
        if sql.trim().is_empty() && self.bad.len() == before {
            let hint = "add `sql = …`".to_owned();
            self.bad.push(error_at(&self.m.place(self.at), format!("query '{}' has no 'sql'", self.thing.name), Some(hint)));
        }
        let params = self.params(&self.thing);
        Query {
            id: self.id(&self.thing),
            title: self.title(),
            description: self.words("description"),
            documentation: self.documentation(),
            tags: self.tags(),
            sql: Arc::from(sql),
            params: self.keep(params),
            place: self.m.place(self.at),
        }
    }

    /// The blocks `param` of a control or query, in order.
    fn params(&self, thing: &Thing) -> Result<Vec<Param>, ContentError> {
        let Some(module) = thing.module else { return Ok(Vec::new()) };
        let m = &self.ev.world.modules[module];
        let Some(at) = m.things.get(&(thing.kind, thing.name.to_string())) else { return Ok(Vec::new()) };
        let source = &m.sources[at.source];
        let frame = Frame { module, source, names: None };
        let mut out: Vec<Param> = Vec::new();
        for block in m.block(*at).map(|b| b.body.get_blocks("param")).into_iter().flatten() {
            let Some(name) = block.labels.first().map(|l| l.as_str().to_owned()) else {
                let hint = "write `param \"name\" { … }`".to_owned();
                return Err(error_at(&source.place(block.ident.span()), "a parameter has no name", Some(hint)));
            };
            if out.iter().any(|p| p.name == name) {
                return Err(error_at(&source.place(block.ident.span()), format!("parameter '{name}' is defined twice"), None));
            }
            let default = match block.body.get_attribute("default") {
                Some(a) => {
                    let value = self.ev.expr(&frame, &a.value)?;
                    let json = value.to_json();
                    Some(
                        json.ok_or_else(|| error_at(&source.place(a.value.span()), format!("a default cannot be {}", value.kind()), None))?,
                    )
                }
                None => None,
            };
            let description = match block.body.get_attribute("description") {
                Some(a) => self.ev.text(&frame, &a.value, "a description")?.to_string(),
                None => String::new(),
            };
            out.push(Param { name, description, default, min: None, max: None, hint: String::new() });
        }
        Ok(out)
    }

    fn control(&mut self) -> Control {
        let tags = self.tags();
        let question = self.question().unwrap_or_else(|e| {
            self.bad.push(e);
            (QueryRef::Sql(Arc::from("")), self.m.place(self.at), Vec::new())
        });
        let (query, query_place, params) = question;
        Control {
            id: self.id(&self.thing),
            title: self.title(),
            description: self.words("description"),
            documentation: self.documentation(),
            severity: self.severity(),
            service: tags.get("service").cloned().unwrap_or_default(),
            tags,
            params,
            query,
            place: self.m.place(self.at),
            query_place,
        }
    }

    fn severity(&mut self) -> Severity {
        let text = self.words("severity");
        let word = text.trim().to_lowercase();
        if word.is_empty() {
            return Severity::None;
        }
        Severity::parse(&word).unwrap_or_else(|| {
            let place = self.place_of("severity");
            self.notices.push(format!("{}:{}:{}: '{text}' is not a severity; it is read over", place.file, place.line, place.column));
            Severity::None
        })
    }

    /// The SQL of a control or the query it names, and its parameters with the control's arguments.
    fn question(&self) -> Result<(QueryRef, Place, Vec<Param>), ContentError> {
        let own = self.params(&self.thing)?;
        let (query, sql) = (self.value("query")?, self.text("sql")?);
        match query {
            Value::Null if sql.trim().is_empty() => {
                let hint = "add `sql = …`, or `query = query.…`".to_owned();
                Err(error_at(&self.m.place(self.at), format!("control '{}' has neither 'sql' nor 'query'", self.thing.name), Some(hint)))
            }
            Value::Null => {
                let params = self.args(own, true)?;
                Ok((QueryRef::Sql(Arc::from(sql)), self.place_of("sql"), params))
            }
            Value::Thing(thing) if thing.kind == Kind::Query => {
                let mut params = self.params(&thing)?;
                for param in own {
                    match params.iter_mut().find(|p| p.name == param.name) {
                        Some(known) => *known = param,
                        None => params.push(param),
                    }
                }
                let params = self.args(params, thing.module.is_some())?;
                Ok((QueryRef::Named(self.id(&thing)), self.place_of("query"), params))
            }
            other => Err(self.wrong("query", "a query, such as query.name", &other)),
        }
    }

    /// Parameters with the values of `args` as defaults; `closed`: there are no others.
    fn args(&self, mut params: Vec<Param>, closed: bool) -> Result<Vec<Param>, ContentError> {
        let place = self.place_of("args");
        let json = |value: &Value, name: &str| -> Result<Json, ContentError> {
            value.to_json().ok_or_else(|| error_at(&place, format!("argument '{name}' cannot be {}", value.kind()), None))
        };
        let new = |name: String, default| Param {
            name,
            description: String::new(),
            default: Some(default),
            min: None,
            max: None,
            hint: String::new(),
        };
        match self.value("args")? {
            Value::Null => {}
            Value::Map(map) => {
                for (name, value) in map {
                    let value = json(&value, &name)?;
                    match params.iter_mut().find(|p| p.name == name) {
                        Some(param) => param.default = Some(value),
                        None if !closed => params.push(new(name, value)),
                        None => {
                            let known: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
                            let hint = did_you_mean(&name, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
                                [] => "it has no parameters".to_owned(),
                                known => format!("parameters: {}", known.join(", ")),
                            });
                            return Err(error_at(&place, format!("the query has no parameter '{name}'"), Some(hint)));
                        }
                    }
                }
            }
            Value::List(_) if !closed => {
                let hint = "write args = { name = value }".to_owned();
                return Err(error_at(&place, "arguments of this query must be named", Some(hint)));
            }
            Value::List(items) => {
                let open = params.is_empty();
                for (i, value) in items.iter().enumerate() {
                    let value = json(value, &(i + 1).to_string())?;
                    match params.get_mut(i) {
                        Some(param) => param.default = Some(value),
                        None if open => params.push(new((i + 1).to_string(), value)),
                        None => {
                            let message = format!("{} arguments for {} parameters", items.len(), params.len());
                            return Err(error_at(&place, message, Some("remove what is too much".to_owned())));
                        }
                    }
                }
            }
            other => return Err(self.wrong("args", "a map or a list", &other)),
        }
        Ok(params)
    }
}
