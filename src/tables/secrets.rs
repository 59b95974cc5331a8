//! Where the values of secret columns stand in answers, so that recordings leave them out.

use crate::Table;
use crate::expr::{Expr, Root, Step};
use crate::program::Program;
use crate::run::{Also, Link, LinkSource, Select};

/// A member of an operation's answers that is secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretMember {
    /// The service, as botocore spells it.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// Names of members joined by dots; lists are entered by themselves. Empty: the whole answer.
    pub path: String,
}

impl Table {
    /// What recordings must leave out: every member that a secret column reads. Sorted.
    pub fn secret_members(&self) -> Vec<SecretMember> {
        let mut out = Vec::new();
        for program in std::iter::once(&self.program).chain(self.summaries.iter().map(|summary| &summary.program)) {
            for column in program.columns.iter().filter(|c| c.secret) {
                column.source.paths(&mut |root, steps| members(program, root, steps, &mut out));
            }
        }
        out.sort();
        out.dedup();
        out
    }
}

fn members(program: &Program, root: Root, steps: &[Step], out: &mut Vec<SecretMember>) {
    match root {
        Root::This | Root::Parent | Root::Fold => {
            out.extend(program.links.last().into_iter().chain(&program.get).filter_map(|l| of_link(l, root, steps)))
        }
        Root::Link(link) => out.extend(of_link(&program.links[link], root, steps)),
        Root::Also(also) => of_also(&program.alsos[also], steps, out),
        Root::Key(_) | Root::Keys | Root::Fact(_) | Root::Item => {}
    }
}

fn of_link(link: &Link, root: Root, steps: &[Step]) -> Option<SecretMember> {
    let LinkSource::Call(call) = &link.source else { return None };
    let mut path = selected(&link.each).filter(|_| link.decode.is_empty());
    if let (Root::Parent, Some(path)) = (root, &mut path) {
        path.pop();
    }
    Some(member(&call.service, &call.operation, path, steps))
}

fn of_also(also: &Also, steps: &[Step], out: &mut Vec<SecretMember>) {
    let path = match (&also.each, &also.take) {
        (Some((each, _)), _) => selected(each),
        (None, Some((take, _))) => taken(take),
        (None, None) => Some(Vec::new()),
    };
    out.push(member(&also.call.service, &also.call.operation, path, steps));
    if let Some(fallback) = &also.fallback {
        let path = fallback.take.as_ref().map_or(Some(Vec::new()), |(take, _)| taken(take));
        out.push(member(&fallback.call.service, &fallback.call.operation, path, steps));
    }
}

/// The path of a selection; `None` when it is more than a path, so that the whole answer has to go.
fn selected(select: &Select) -> Option<Vec<String>> {
    match select {
        Select::Path(segments) => Some(segments.iter().map(|s| s.name.to_string()).collect()),
        Select::Expr(_) => None,
    }
}

fn taken(take: &Expr) -> Option<Vec<String>> {
    match take {
        Expr::Path(Root::This, steps) => Some(names(steps)),
        _ => None,
    }
}

fn names(steps: &[Step]) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::Field(name) => Some(name.clone()),
        Step::Index(_) => None,
    };
    steps.iter().filter_map(name).collect()
}

fn member(service: &str, operation: &str, path: Option<Vec<String>>, steps: &[Step]) -> SecretMember {
    let path = path.map(|mut path| {
        path.extend(names(steps));
        path.join(".")
    });
    SecretMember { service: service.to_owned(), operation: operation.to_owned(), path: path.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use crate::Table;

    #[test]
    fn members_of_secret_columns() {
        let spec = "\
table: t
about: Things.
scope: account
get: { call: iam.GetThing, in: { Id: id }, take: Thing }
rows:
  - { call: iam.ListThings, each: \"Groups[].Things[]\" }
also:
  whole: { call: iam.GetWhole, in: { Id: Id } }
  part: { call: iam.GetPart, in: { Id: Id }, take: A.B }
  odd: { call: iam.GetOdd, in: { Id: Id }, take: A || B }
keys: { id: {} }
secret: [a, b, c, d, e]
columns:
  id: text
  a: text <- Secret.Text
  b: jsonb <- whole
  c: text <- upper(part.C[0].D)
  d: text <- odd.X
  e: \"jsonb <- Many[].{K: Key}\"
";
        let found = Table::load("t.yaml", spec).unwrap().secret_members();
        let found: Vec<String> = found.iter().map(|m| format!("{}.{} {}", m.service, m.operation, m.path)).collect();
        assert_eq!(
            found,
            [
                "iam.GetOdd ",
                "iam.GetPart A.B.C.D",
                "iam.GetThing Thing.Many",
                "iam.GetThing Thing.Secret.Text",
                "iam.GetWhole ",
                "iam.ListThings Groups.Things.Many",
                "iam.ListThings Groups.Things.Secret.Text",
            ]
        );
    }
}
