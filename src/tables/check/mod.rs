//! Checks a table against the models of the services: operations, inputs, paths, types, error codes, without a cloud.
//!
//! Knows no model: [`Shapes`] is implemented where the models are.

mod codes;
mod types;
mod versions;

use crate::expr::Expr;
use crate::program::{Op, Program, Source};
use crate::run::{Call, FILTER, Fallback, Link, LinkSource, Rest, Segment, Select, Takes};
use crate::spec::yaml::{At, Bad, closest};
use crate::{SpecError, Table};
use types::{Scene, Ty};

/// A member of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, as boto3 spells it.
    pub name: String,
    /// The name of its shape.
    pub shape: String,
}

/// A shape of a service model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A structure with its members.
    Structure(Vec<Member>),
    /// A list of a shape.
    List(String),
    /// A map from texts to a shape.
    Map(String),
    /// Text, enumerations included.
    Text,
    /// Bytes: base64 text in JSON.
    Blob,
    /// An integer.
    Int,
    /// A floating-point number.
    Double,
    /// A boolean.
    Bool,
    /// A point in time: RFC 3339 text in JSON.
    Timestamp,
    /// Any JSON.
    Document,
}

/// The models of the services.
pub trait Shapes {
    /// Does the operation exist, and does it only read? Operations of Azure are method and path, with `{}` for what varies.
    ///
    /// # Errors
    /// Why not, with a hint where there is one.
    fn allowed(&self, service: &str, operation: &str) -> Result<(), (String, Option<String>)>;

    /// The name of the input's shape: of Azure, a structure of query parameters; `None` when the operation takes nothing, or of Azure, when
    /// that is not known.
    fn input(&self, service: &str, operation: &str) -> Option<String>;

    /// The name of the output's shape; `None` when the operation gives nothing or that is not known.
    fn output(&self, service: &str, operation: &str) -> Option<String>;

    /// A shape by name.
    fn shape(&self, service: &str, name: &str) -> Option<Shape>;

    /// Error codes the operation declares.
    fn error_codes(&self, service: &str, operation: &str) -> Vec<String>;

    /// Versions of the API that have the operation; empty where an API has none, or where they are not known.
    fn api_versions(&self, _service: &str, _operation: &str) -> Vec<String> {
        Vec::new()
    }

    /// The name of the shape of a body; `None` where it is not known.
    fn body(&self, _service: &str, _operation: &str) -> Option<String> {
        None
    }

    /// The name of the output's shape in one version of the API; `None` as for [`Shapes::output`].
    fn output_of(&self, service: &str, operation: &str, _version: &str) -> Option<String> {
        self.output(service, operation)
    }

    /// Clauses that the `$filter` of an operation may have (`resourceUri eq`); `None` where that is not known.
    fn filter_clauses(&self, _service: &str, _operation: &str) -> Option<Vec<String>> {
        None
    }
}

impl Table {
    /// Everything that is wrong with the spec by the models; empty when nothing is. `file` is named in the errors.
    pub fn check(&self, file: &str, shapes: &dyn Shapes) -> Vec<SpecError> {
        let mut check = Check { shapes, program: &self.program, found: Vec::new() };
        check.run(|_| true);
        for summary in &self.summaries {
            check.program = &summary.program;
            check.run(|column| summary.gives[column]);
        }
        check.found.into_iter().map(|bad| bad.in_file(file)).collect()
    }
}

struct Check<'a> {
    shapes: &'a dyn Shapes,
    program: &'a Program,
    found: Vec<Bad>,
}

impl Check<'_> {
    /// Looks at the links, the key columns, and those of the columns that are `given`, with their calls.
    fn run(&mut self, given: impl Fn(usize) -> bool) {
        let program = self.program;
        let mut scene = Scene { alsos: vec![Ty::Any; program.alsos.len()], ..Scene::default() };
        for link in &program.links {
            let (this, parent) = self.link(link, &scene);
            scene.links.push(this.clone());
            scene.this = this;
            scene.parent = parent;
            self.rows(link, &scene);
            scene.fold = Ty::List(Box::new(scene.this.clone()));
        }
        if let Some(get) = &program.get {
            let (this, parent) = self.link(get, &Scene::default());
            if program.links.is_empty() {
                scene.this = this;
                scene.parent = parent;
            }
        }
        // Those that others read first, so that their types are known.
        let given: Vec<&Source> = program.columns.iter().enumerate().filter(|(at, _)| given(*at)).map(|(_, column)| column).collect();
        let mut left: Vec<usize> = (0..program.alsos.len()).filter(|also| given.iter().any(|c| c.alsos.contains(also))).collect();
        while !left.is_empty() {
            let ready = left.iter().position(|a| program.needs[*a].iter().all(|n| !left.contains(n))).unwrap_or(0);
            let also = left.remove(ready);
            scene.alsos[also] = self.also(also, &scene);
        }
        for column in given {
            match types::infer(&column.source, &scene, self.shapes) {
                Ok(ty) => {
                    if let Some(message) = types::misfit(column.ty, &ty, self.shapes) {
                        self.found.push(Bad::new(column.at, format!("column {}: {message}", column.name)));
                    }
                }
                Err(wrong) => self.wrong(column.at, &format!("column {}: ", column.name), wrong),
            }
        }
        self.keys();
    }

    fn wrong(&mut self, at: At, before: &str, (message, hint): (String, Option<String>)) {
        self.found.push(Bad { at: Some(at), message: format!("{before}{message}"), hint });
    }

    /// The types of a link's rows and of the objects that hold them.
    fn link(&mut self, link: &Link, scene: &Scene) -> (Ty, Ty) {
        let call = match &link.source {
            LinkSource::Call(call) => call,
            LinkSource::Values(_) => return (Ty::Text, Ty::Any),
            LinkSource::Built(list, at) => return (self.built(list, *at, scene), Ty::Any),
        };
        let output = self.call(call, scene, link.batch.map(|(input, _)| input));
        self.codes(call, &link.none);
        if let Some(fallback) = &link.fallback {
            self.fallback(call, fallback, scene);
        }
        if let Some(until) = &link.until
            && let Err(wrong) = types::infer(&until.done, &Scene::over(&output), self.shapes)
        {
            self.wrong(until.at, "until: ", wrong);
        }
        if let Some((as_of, at)) = &link.as_of
            && let Err(wrong) = types::infer(as_of, &Scene::over(&output), self.shapes)
        {
            self.wrong(*at, "as_of: ", wrong);
        }
        if let Some((why, at)) = &link.or_list
            && let Err(wrong) = types::infer(why, &Scene::default(), self.shapes)
        {
            self.wrong(*at, "or_list: ", wrong);
        }
        if let Some(make) = &link.make {
            self.codes(call, &make.on);
            let made = self.call(&make.call, scene, None);
            if let Err(wrong) = types::infer(&make.until.done, &Scene::over(&made), self.shapes) {
                self.wrong(make.until.at, "until: ", wrong);
            }
        }
        self.select(&link.each, &output, link.each_at, !link.decode.is_empty())
    }

    /// The type of the rows of a list that is made from the row above.
    fn built(&mut self, list: &Expr, at: At, scene: &Scene) -> Ty {
        match types::infer(list, scene, self.shapes).and_then(|ty| types::element(&ty, self.shapes)) {
            Ok(ty) => ty,
            Err(wrong) => {
                self.wrong(at, "values: ", wrong);
                Ty::Any
            }
        }
    }

    /// `where:` and `fold:`, over the rows of a link.
    fn rows(&mut self, link: &Link, scene: &Scene) {
        let fold = link.fold.iter().flat_map(|f| [("fold: ", &f.by), ("fold: ", &f.order)]);
        for (before, (expr, at)) in link.only.iter().map(|only| ("where: ", only)).chain(fold) {
            if let Err(wrong) = types::infer(expr, scene, self.shapes) {
                self.wrong(*at, before, wrong);
            }
        }
    }

    fn also(&mut self, also: usize, scene: &Scene) -> Ty {
        let also = &self.program.alsos[also];
        let mut scene = scene.clone();
        if let Some((per, at)) = &also.per {
            match types::infer(per, &scene, self.shapes).and_then(|ty| types::element(&ty, self.shapes)) {
                Ok(item) => scene.item = item,
                Err(wrong) => self.wrong(*at, "per: ", wrong),
            }
        }
        let output = self.call(&also.call, &scene, None);
        self.codes(&also.call, &also.null);
        let mut ty = match (&also.each, &also.take) {
            (Some((each, at)), _) => Ty::List(Box::new(self.select(each, &output, *at, false).0)),
            (None, Some((take, at))) => self.take(take, &output, *at),
            (None, None) => output,
        };
        if let Some(fallback) = &also.fallback {
            let other = self.fallback(&also.call, fallback, &scene);
            ty = Ty::Either(Box::new(ty), Box::new(other));
        }
        if also.per.is_some() { Ty::List(Box::new(ty)) } else { ty }
    }

    fn take(&mut self, take: &Expr, output: &Ty, at: At) -> Ty {
        match types::infer(take, &Scene::over(output), self.shapes) {
            Ok(ty) => ty,
            Err(wrong) => {
                self.wrong(at, "take: ", wrong);
                Ty::Any
            }
        }
    }

    fn fallback(&mut self, call: &Call, fallback: &Fallback, scene: &Scene) -> Ty {
        self.codes(call, &fallback.on);
        let output = self.call(&fallback.call, scene, None);
        match &fallback.take {
            None => output,
            Some((take, at)) => self.take(take, &output, *at),
        }
    }

    /// Operation, inputs; gives the type of the answer.
    fn call(&mut self, call: &Call, scene: &Scene, batch: Option<usize>) -> Ty {
        if let Err((message, hint)) = self.shapes.allowed(&call.service, &call.operation) {
            self.found.push(Bad { at: Some(call.at), message, hint });
            return Ty::Any;
        }
        if let Some(rest) = &call.rest {
            self.rest(call, rest, scene);
        }
        for (i, (name, expr, at)) in call.input.iter().enumerate() {
            let member = match self.input(call, name) {
                Ok(member) => member,
                Err(wrong) => {
                    self.wrong(*at, "", wrong);
                    continue;
                }
            };
            match types::infer(expr, scene, self.shapes) {
                Ok(ty) => {
                    let ty = if batch == Some(i) { Ty::List(Box::new(ty)) } else { ty };
                    let unfit = if call.rest.is_some() { types::unfit_parameter } else { types::unfit_input };
                    if let Some(message) = unfit(&ty, &member, self.shapes) {
                        self.found.push(Bad::new(*at, format!("{name}: {message}")));
                    }
                }
                Err(wrong) => self.wrong(*at, &format!("{name}: "), wrong),
            }
        }
        if let Some((region, at)) = &call.region
            && let Err(wrong) = types::infer(region, scene, self.shapes)
        {
            self.wrong(*at, "region: ", wrong);
        }
        let output = match call.rest.as_ref().and_then(|rest| rest.version.as_ref()) {
            Some((version, _)) => self.shapes.output_of(&call.service, &call.operation, version),
            None => self.shapes.output(&call.service, &call.operation),
        };
        output.map_or(Ty::Any, |shape| Ty::Node(call.service.clone(), shape))
    }

    /// What a path, clauses and a body are made of.
    fn rest(&mut self, call: &Call, rest: &Rest, scene: &Scene) {
        if let Some((version, at)) = &rest.version {
            let known = self.shapes.api_versions(&call.service, &call.operation);
            if !known.is_empty() && !known.contains(version) {
                let bad = Bad::new(*at, format!("{} has no version {version}", call.name()));
                self.found.push(bad.hint(format!("versions: {}", known.join(", "))));
            }
        }
        if let Some(at) = rest.filter.first().map(|c| c.at)
            && let Err(wrong) = self.input(call, FILTER)
        {
            self.wrong(at, "", wrong);
        }
        for clause in &rest.filter {
            self.clause(call, &clause.key, clause.at);
        }
        for (expr, at) in rest.texts(|_| false) {
            match types::infer(expr, scene, self.shapes) {
                Ok(ty) if types::compound(&ty, self.shapes) => {
                    self.found.push(Bad::new(at, "a list or an object stands in a path or a clause"));
                }
                Ok(_) => {}
                Err(wrong) => self.wrong(at, "", wrong),
            }
        }
        let body = self.shapes.body(&call.service, &call.operation).map(|shape| Ty::Node(call.service.clone(), shape));
        for (name, expr, at) in &rest.body {
            let found = types::infer(expr, scene, self.shapes).map_err(|(why, hint)| (format!("{name}: {why}"), hint));
            let member = body.as_ref().map_or(Ok(Ty::Any), |body| types::field(body, name, self.shapes));
            if let Err(wrong) = found.and(member) {
                self.wrong(*at, "", wrong);
            }
        }
    }

    /// Is it a clause that the filter may have?
    fn clause(&mut self, call: &Call, key: &str, at: At) {
        let Some(known) = self.shapes.filter_clauses(&call.service, &call.operation) else { return };
        if known.iter().all(|k| k != key) {
            let bad = Bad::new(at, format!("the filter of {} has no clause `{key} …`", call.name()));
            self.found.push(match closest(key, known.iter().map(String::as_str)) {
                Some(best) => bad.hint(format!("did you mean `{best}`?")),
                None => bad.hint(format!("clauses: {}", known.join(", "))),
            });
        }
    }

    /// The type of an input member.
    fn input(&self, call: &Call, member: &str) -> Result<Ty, (String, Option<String>)> {
        let shape = self.shapes.input(&call.service, &call.operation);
        let members = match shape.and_then(|s| self.shapes.shape(&call.service, &s)) {
            Some(Shape::Structure(members)) => members,
            _ if call.rest.is_some() => return Ok(Ty::Any),
            _ => Vec::new(),
        };
        match members.iter().find(|m| m.name == member) {
            Some(m) => Ok(Ty::Node(call.service.clone(), m.shape.clone())),
            None => {
                let hint = closest(member, members.iter().map(|m| m.name.as_str())).map(|m| format!("did you mean {m}?"));
                let what = if call.rest.is_some() { "parameter" } else { "input" };
                Err((format!("{} has no {what} `{member}`", call.name()), hint))
            }
        }
    }

    fn select(&mut self, select: &Select, output: &Ty, at: At, decoded: bool) -> (Ty, Ty) {
        let found = match select {
            Select::Path(segments) => self.path(segments, output),
            Select::Expr(expr) => types::infer(expr, &Scene::over(output), self.shapes)
                .map(|ty| (types::element(&ty, self.shapes).unwrap_or(ty), output.clone())),
        };
        match found {
            Ok((_, parent)) if decoded => (Ty::Any, parent),
            Ok(found) => found,
            Err(wrong) => {
                self.wrong(at, "each: ", wrong);
                (Ty::Any, Ty::Any)
            }
        }
    }

    fn path(&self, segments: &[Segment], output: &Ty) -> Result<(Ty, Ty), (String, Option<String>)> {
        let (mut this, mut parent) = (output.clone(), output.clone());
        for (i, segment) in segments.iter().enumerate() {
            parent = this.clone();
            this = types::field(&this, &segment.name, self.shapes)?;
            let last = i + 1 == segments.len();
            match types::element(&this, self.shapes) {
                Ok(element) if last || segment.each => this = element,
                Err(wrong) if segment.each => return Err(wrong),
                _ => {}
            }
        }
        Ok((this, parent))
    }

    fn codes(&mut self, call: &Call, codes: &[(String, At)]) {
        let declared = self.shapes.error_codes(&call.service, &call.operation);
        for (code, at) in codes {
            if declared.iter().any(|c| c == code) || codes::undeclared(&call.service, code) {
                continue;
            }
            let bad = Bad::new(*at, format!("{} has no error `{code}`", call.name()));
            self.found
                .push(bad.suggest(code, declared.iter().map(String::as_str).chain(codes::of_provider(&call.service).iter().copied())));
        }
    }

    fn keys(&mut self) {
        let program = self.program;
        for key in &program.keys {
            for (op, target) in &key.targets {
                for link in &target.links {
                    let LinkSource::Call(call) = &program.links[*link].source else { continue };
                    let member = match self.input(call, &target.member) {
                        Ok(member) => member,
                        Err(wrong) => {
                            self.wrong(target.at, "", wrong);
                            continue;
                        }
                    };
                    if let Takes::Clause { key, .. } = &target.takes {
                        self.clause(call, key, target.at);
                    }
                    if let Some((message, hint)) = self.unfit_target(&target.takes, *op, &member) {
                        self.found.push(Bad::new(target.at, format!("{}: {message}", target.member)).hint(hint));
                    }
                }
            }
        }
    }

    fn unfit_target(&self, takes: &Takes, op: Op, member: &Ty) -> Option<(String, String)> {
        let list = types::element(member, self.shapes).ok();
        match (takes, list) {
            (Takes::Clause { .. }, _) => None,
            (Takes::One, Some(_)) => Some(("it takes a list".into(), "written Operation.Member[]".into())),
            (Takes::List | Takes::Filter(_), None) => Some(("it takes no list".into(), "written Operation.Member".into())),
            (Takes::Filter(_), Some(filter)) => {
                let has = |name| types::field(&filter, name, self.shapes).is_ok();
                (!has("Name") || !has("Values")).then(|| ("its elements have no Name and Values".into(), "not a list of filters".into()))
            }
            (Takes::List, Some(_)) if matches!(op, Op::Range(_)) => {
                Some(("a range has one value".into(), "written Operation.Member".into()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
