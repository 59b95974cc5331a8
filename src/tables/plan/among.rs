//! Rows that are asked for by the values of a column, where these do not become parameters of calls.
//!
//! Owns: leaving out parents and rows before anything further is asked for them. Refuses: being exact; the engine compares again.

use super::{CallPlan, Route, Scalar, Start};
use crate::ColumnType;
use crate::expr::Root;
use crate::planner::json;
use crate::program::Op;
use crate::run::Takes;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Values that rows and their parents must be among.
#[derive(Debug, Clone, Default)]
pub(crate) struct Among {
    /// Column, and its values.
    columns: Vec<(usize, Arc<HashSet<String>>)>,
    /// Link, member of its input, and the values that are asked for.
    inputs: Vec<(usize, String, Arc<HashSet<String>>)>,
}

impl Among {
    /// The values of each column.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, &HashSet<String>)> {
        self.columns.iter().map(|(column, values)| (*column, &**values))
    }

    /// The values of each input of a link.
    pub(crate) fn inputs(&self, link: usize) -> impl Iterator<Item = (&str, &HashSet<String>)> {
        self.inputs.iter().filter(move |(of, ..)| *of == link).map(|(_, member, values)| (member.as_str(), &**values))
    }
}

impl CallPlan {
    /// Asks nothing further for rows whose column is none of these values, nor for parents that can have no other rows. True where that
    /// is possible: the column is a text that is known without a further call.
    pub fn keep_among(&mut self, column: usize, values: &[Scalar]) -> bool {
        let texts = values.iter().map(|value| match value {
            Scalar::Text(text) => Some(text.clone()),
            _ => None,
        });
        let Some(texts) = texts.collect::<Option<HashSet<String>>>() else { return false };
        let texts = Arc::new(texts);
        let program = Arc::clone(&self.program);
        let Some(source) = program.columns.get(column) else { return false };
        let mut among = Among::default();
        let given = self.summary.as_ref().is_none_or(|summary| summary.gives[column]);
        if given && source.ty == ColumnType::Text && source.alsos.is_empty() && !source.costly_fact {
            among.columns.push((column, Arc::clone(&texts)));
        }
        let key = program.keys.iter().position(|key| key.column == column && key.map.is_none());
        if let Some((key, target)) = key.and_then(|key| Some((key, program.keys[key].target(Op::Eq)?)))
            && target.takes == Takes::One
        {
            let named = target.links.iter().filter(|link| program.names_parent(key, **link));
            among.inputs.extend(named.map(|link| (*link, target.member.clone(), Arc::clone(&texts))));
        }
        for (_, link, member) in program.parents.iter().filter(|(of, ..)| *of == column) {
            among.inputs.push((*link, member.clone(), Arc::clone(&texts)));
        }
        if among.columns.is_empty() && among.inputs.is_empty() {
            return false;
        }
        for start in &mut self.starts {
            let own = Arc::make_mut(&mut start.among);
            own.columns.extend(among.columns.iter().cloned());
            own.inputs.extend(among.inputs.iter().cloned());
        }
        true
    }

    /// Leaves out the walks for combinations of values that nobody asks for: filters of several columns give all of them.
    pub fn keep_combinations(&mut self, columns: &[usize], wanted: &[Vec<Scalar>]) {
        let wanted: HashSet<Vec<String>> = wanted.iter().map(|row| row.iter().map(|value| json(value).to_string()).collect()).collect();
        let keys: Vec<Option<usize>> = columns.iter().map(|c| self.program.keys.iter().position(|key| key.column == *c)).collect();
        self.starts.retain(|start| {
            let own = keys.iter().map(|key| key.map(|key| start.keys.value(key)).filter(|value| !value.is_null()));
            let own: Option<Vec<String>> = own.map(|value| value.map(ToString::to_string)).collect();
            own.is_none_or(|own| wanted.contains(&own))
        });
    }

    /// The texts of a key column that a walk asks by; `None` where that is not known.
    pub fn asked_by(&self, start: usize, column: usize) -> Option<Vec<Scalar>> {
        let start = self.starts.get(start)?;
        let key = self.program.keys.iter().position(|key| key.column == column)?;
        let spec = &self.program.keys[key];
        let text = |value: &Value| value.as_str().map(|text| Scalar::Text(text.to_owned()));
        if let Some(one) = text(start.keys.value(key)) {
            return Some(vec![one]);
        }
        let target = spec.target(Op::Eq).filter(|_| spec.map.is_none())?;
        let set =
            start.overrides.iter().find(|o| target.links.contains(&o.link) && o.member == target.member && o.takes == target.takes)?;
        match &set.value {
            Value::Array(all) => all.iter().map(text).collect(),
            one => text(one).map(|one| vec![one]),
        }
    }

    /// Do values of key columns narrow the first call of every walk, or which of its rows are parents?
    pub fn begins_narrow(&self) -> bool {
        let read = |start: &Start, first: usize| {
            let given = |root: &Root| matches!(root, Root::Key(key) if !start.keys.value(*key).is_null());
            self.program.links[first].exprs().any(|(expr, _)| expr.all_roots().iter().any(given))
        };
        let narrow = |start: &Start| match start.route {
            Route::Get => true,
            Route::Links(first) => first > 0 || start.overrides.iter().any(|o| o.link == first) || read(start, first),
        };
        !self.starts.is_empty() && self.starts.iter().all(narrow)
    }

    /// Does it leave parents out, by [`CallPlan::keep_among`]?
    pub fn leaves_out_parents(&self) -> bool {
        !self.starts.is_empty() && self.starts.iter().all(|start| !start.among.inputs.is_empty())
    }

    /// Are all rows there is one list of pages, without parents?
    pub fn is_one_list(&self) -> bool {
        self.program.links.len() == 1
    }

    /// Are there further calls per row?
    pub fn asks_per_row(&self) -> bool {
        !self.waves.is_empty()
    }
}
