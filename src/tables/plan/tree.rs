//! What a plan can ask, before anything is known of the answers: each call, and the call whose rows it is made for.
//!
//! Owns: one group per call of the plan, whatever the number of walks. Refuses: numbers; how many rows an answer has, only a cloud knows.

use super::{CallPlan, Route, Start};
use crate::run::{Call, Link, LinkSource};
use std::sync::Arc;

/// What a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Once a walk.
    Walk,
    /// Once for each row of this group.
    Row(usize),
    /// For each row of this group, once per element of something in it.
    Element(usize),
    /// For this many rows of this group at once.
    Batch(usize, usize),
}

impl Per {
    /// The group whose rows it is made for.
    pub fn parent(self) -> Option<usize> {
        match self {
            Per::Walk => None,
            Per::Row(parent) | Per::Element(parent) | Per::Batch(parent, _) => Some(parent),
        }
    }
}

/// Calls of one kind that a plan can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallGroup {
    /// The service, as botocore spells it; of Azure the API.
    pub service: Arc<str>,
    /// The operation.
    pub operation: Arc<str>,
    /// What it is made for.
    pub per: Per,
    /// How many times for each of these: walks of a list of values, rows that a spec writes out.
    pub times: usize,
    /// Its answer is a list, and may have pages.
    pub lists: bool,
    /// Values of key columns are part of its input.
    pub keyed: bool,
    /// Asked again until its answer is complete.
    pub polled: bool,
    /// Made only after another call failed.
    pub fallback: bool,
    /// Not every row takes it: a condition, or an input that may be null.
    pub maybe: bool,
    /// Made once for all subscriptions that are asked together, whatever the number of rows above.
    pub shared: bool,
    /// What it asks, where the operation does not say so.
    pub question: Option<Arc<str>>,
}

impl CallGroup {
    /// `service.Operation`, or `arm GET /path`.
    pub fn name(&self) -> String {
        let between = if self.operation.contains(' ') { ' ' } else { '.' };
        format!("{}{between}{}", self.service, self.operation)
    }
}

impl CallPlan {
    /// Every call the plan can make; a group's parent comes before it.
    pub fn tree(&self) -> Vec<CallGroup> {
        let mut routes: Vec<(Route, Vec<&Start>)> = Vec::new();
        for start in &self.starts {
            match routes.iter_mut().find(|(route, _)| *route == start.route) {
                Some((_, starts)) => starts.push(start),
                None => routes.push((start.route, vec![start])),
            }
        }
        let mut out = Vec::new();
        for (route, starts) in routes {
            self.grow(route, &starts, &mut out);
        }
        out
    }

    fn grow(&self, route: Route, starts: &[&Start], out: &mut Vec<CallGroup>) {
        let links: &[Link] = match route {
            Route::Get => self.program.get.as_slice(),
            Route::Links(first) => &self.program.links[first..],
        };
        let mut parent: Option<usize> = None;
        let mut times = 1;
        for link in links {
            let call = match &link.source {
                LinkSource::Call(call) => call,
                LinkSource::Values(values) => {
                    times *= values.as_array().map_or(1, Vec::len);
                    continue;
                }
                // As many rows as there is something in the row above.
                LinkSource::Built(..) => continue,
            };
            let (per, own) = match (parent, link.batch) {
                _ if link.is_shared() => (Per::Walk, starts.len()),
                (None, _) => (Per::Walk, starts.len() * times),
                (Some(parent), Some((_, size))) => (Per::Batch(parent, size), times),
                (Some(parent), None) => (Per::Row(parent), times),
            };
            let group = CallGroup {
                lists: route != Route::Get && link.lists(),
                keyed: route == Route::Get || starts.iter().any(|start| start.overrides.iter().any(|o| o.link == link.index)),
                polled: link.until.is_some(),
                shared: link.is_shared(),
                maybe: parent.is_some() && starts.iter().any(|start| start.among.inputs(link.index).next().is_some()),
                ..group(call, per, own)
            };
            out.push(group);
            let this = out.len() - 1;
            if let Some(fallback) = &link.fallback {
                out.push(CallGroup { fallback: true, maybe: true, ..self::group(&fallback.call, per, own) });
            }
            if let Some(make) = &link.make {
                out.push(CallGroup { fallback: true, maybe: true, polled: true, ..self::group(&make.call, per, own) });
            }
            parent = Some(this);
            times = 1;
        }
        for also in self.waves.iter().flatten() {
            let also = &self.program.alsos[*also];
            let row = |parent| if also.per.is_some() { Per::Element(parent) } else { Per::Row(parent) };
            let per = parent.map_or(Per::Walk, row);
            let own = if parent.is_some() { times } else { starts.len() * times };
            out.push(CallGroup { lists: also.each.is_some(), ..group(&also.call, per, own) });
            if let Some(fallback) = &also.fallback {
                out.push(CallGroup { fallback: true, maybe: true, ..group(&fallback.call, per, own) });
            }
        }
    }

    /// Names of the secret columns of the projection.
    pub fn secret_columns(&self) -> Vec<String> {
        self.columns().filter(|column| column.secret).map(|column| column.name.clone()).collect()
    }
}

fn group(call: &Call, per: Per, times: usize) -> CallGroup {
    CallGroup {
        service: call.service.clone(),
        operation: call.operation.clone(),
        per,
        times,
        lists: false,
        keyed: false,
        polled: false,
        fallback: false,
        maybe: call.conditional(),
        shared: false,
        question: call.question(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, Request, Scalar, Table};

    const SPEC: &str = "\
table: t
about: Things.
scope: account
get: { call: iam.GetThing, in: { Name: name }, take: Thing }
rows:
  - call: iam.ListUsers
    each: Users
    as: user
    unless: user_name
  - call: iam.ListThings
    in: { UserName: user.UserName }
    each: Things
also:
  names: { call: iam.ListNames, in: { Name: Name }, each: Names }
  texts: { per: names, call: iam.GetText, in: { Name: Name, Text: item } }
keys:
  name: {}
  user_name: { to: ListThings.UserName }
columns:
  name: text
  user_name: text
  texts: jsonb <- texts
";

    fn tree(columns: &[&str], filters: Vec<Filter>) -> Vec<String> {
        let table = Table::load("t.yaml", SPEC).unwrap();
        let projection = columns.iter().map(|name| table.columns.iter().position(|c| c.name == *name).unwrap()).collect();
        let tree = table.plan(&Request { projection, filters, ..Request::default() }).unwrap().tree();
        let flags = |g: &CallGroup| if g.lists { " lists" } else { "" };
        tree.iter().map(|g| format!("{} {:?} x{}{}", g.name(), g.per, g.times, flags(g))).collect()
    }

    fn is(column: &str, values: &[&str]) -> Filter {
        Filter::OneOf { column: column.into(), values: values.iter().map(|v| Scalar::Text((*v).into())).collect() }
    }

    #[test]
    fn parents_come_first_and_only_what_is_needed_is_there() {
        assert_eq!(tree(&["name"], vec![]), ["iam.ListUsers Walk x1 lists", "iam.ListThings Row(0) x1 lists"]);
        assert_eq!(
            tree(&["name", "texts"], vec![]),
            ["iam.ListUsers Walk x1 lists", "iam.ListThings Row(0) x1 lists", "iam.ListNames Row(1) x1 lists", "iam.GetText Element(1) x1"]
        );
    }

    #[test]
    fn keys_are_walks() {
        assert_eq!(tree(&["name"], vec![is("name", &["a", "b"])]), ["iam.GetThing Walk x2"]);
        assert_eq!(tree(&["name"], vec![is("user_name", &["a", "b", "c"])]), ["iam.ListThings Walk x3 lists"]);
        let get = tree(&["texts"], vec![is("name", &["a"])]);
        assert_eq!(get, ["iam.GetThing Walk x1", "iam.ListNames Row(0) x1 lists", "iam.GetText Element(0) x1"]);
    }
}
