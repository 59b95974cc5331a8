//! Whether a summary can show columns in another version of the API than the table asks for: only if the models know the same of them in
//! every version from that one on. Refuses: versions before it, which the summary's index has left behind.

use super::types::{self, Kind, Scene, Ty};
use super::{Check, Shapes};
use crate::Table;
use crate::run::LinkSource;

impl Table {
    /// Columns that summaries of many scopes give, though a later version of the API has them otherwise: `column (version)`.
    pub fn drifts(&self, shapes: &dyn Shapes) -> Vec<String> {
        let Some((link, call)) = self.program.links.last().and_then(|link| match &link.source {
            LinkSource::Call(call) => Some((link, call)),
            LinkSource::Values(_) | LinkSource::Built(..) => None,
        }) else {
            return Vec::new();
        };
        let Some((asked, _)) = call.rest.as_ref().and_then(|rest| rest.version.as_ref()) else { return Vec::new() };
        let mut check = Check { shapes, program: &self.program, found: Vec::new() };
        let mut scene = |version: &str| {
            let output = shapes.output_of(&call.service, &call.operation, version)?;
            let (this, parent) = check.select(&link.each, &Ty::Node(call.service.clone(), output), link.each_at, false);
            Some(Scene { this, parent, alsos: vec![Ty::Any; self.program.alsos.len()], ..Scene::default() })
        };
        let Some(own) = scene(asked) else { return Vec::new() };
        let mut out = Vec::new();
        for version in shapes.api_versions(&call.service, &call.operation).iter().filter(|version| *version > asked) {
            let Some(later) = scene(version) else { continue };
            for summary in self.summaries.iter().filter(|summary| summary.shared_calls() > 0) {
                let given = self.program.columns.iter().zip(&summary.gives).filter(|(column, given)| **given && !column.common);
                for (column, _) in given {
                    let ty = |scene: &Scene| types::infer(&column.source, scene, shapes).ok();
                    if !matches!((ty(&own), ty(&later)), (Some(a), Some(b)) if same(&a, &b, &mut Vec::new(), shapes)) {
                        out.push(format!("{} ({version})", column.name));
                    }
                }
            }
        }
        out
    }
}

/// Do both types have the same values? `within` are those that are being compared, for types that contain themselves.
fn same(a: &Ty, b: &Ty, within: &mut Vec<(Ty, Ty)>, shapes: &dyn Shapes) -> bool {
    if a == b || within.iter().any(|(x, y)| x == a && y == b) {
        return true;
    }
    within.push((a.clone(), b.clone()));
    let result = match (types::kind(a, shapes), types::kind(b, shapes)) {
        (Kind::Any, Kind::Any) => true,
        (Kind::Scalar(a), Kind::Scalar(b)) => a == b,
        (Kind::List(a), Kind::List(b)) | (Kind::Map(a), Kind::Map(b)) => same(&a, &b, within, shapes),
        (Kind::Structure(members), Kind::Structure(others)) => {
            members.len() == others.len()
                && members.iter().all(|member| {
                    let of = |ty: &Ty| types::field(ty, &member.name, shapes).ok();
                    matches!((of(a), of(b)), (Some(x), Some(y)) if same(&x, &y, within, shapes))
                })
        }
        _ => false,
    };
    within.pop();
    result
}
