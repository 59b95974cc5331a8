//! All groups and leaves of all benchmark files by id; refuses ids given twice and groups that contain themselves.

use crate::yaml::error_at;
use crate::{Child, ContentError, Group, Leaf, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) groups: BTreeMap<String, Arc<Group>>,
    pub(crate) leaves: BTreeMap<String, Arc<Leaf>>,
}

impl Index {
    pub(crate) fn build(files: Vec<Arc<Group>>, is_control: impl Fn(&str) -> bool) -> Result<Index, ContentError> {
        let mut index = Index { groups: BTreeMap::new(), leaves: BTreeMap::new() };
        for file in files {
            index.add_group(file, &is_control)?;
        }
        index.refuse_cycles()?;
        Ok(index)
    }

    fn add_group(&mut self, group: Arc<Group>, is_control: &impl Fn(&str) -> bool) -> Result<(), ContentError> {
        self.refuse_taken(&group.id, &group.place, is_control)?;
        self.groups.insert(group.id.clone(), group.clone());
        for child in &group.children {
            match child {
                Child::Group(g) => self.add_group(g.clone(), is_control)?,
                Child::Leaf(leaf) => {
                    self.refuse_taken(&leaf.id, &leaf.place, is_control)?;
                    self.leaves.insert(leaf.id.clone(), leaf.clone());
                }
                Child::Name(..) => {}
            }
        }
        Ok(())
    }

    fn refuse_taken(&self, id: &str, place: &Place, is_control: &impl Fn(&str) -> bool) -> Result<(), ContentError> {
        let other = self.groups.get(id).map(|g| &g.place).or_else(|| self.leaves.get(id).map(|l| &l.place));
        let hint = match other {
            Some(at) => format!("{}:{} has it; choose another", at.file, at.line),
            None if is_control(id) => "a control has it; choose another".to_owned(),
            None => return Ok(()),
        };
        Err(error_at(place, format!("the id '{id}' is taken"), Some(hint)))
    }

    /// Benchmark files that no group names.
    pub(crate) fn roots(&self) -> Vec<Arc<Group>> {
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for group in self.groups.values() {
            named.extend(group.children.iter().filter_map(|c| match c {
                Child::Name(name, _) => Some(name.as_str()),
                _ => None,
            }));
        }
        self.groups.values().filter(|g| g.is_file && !named.contains(g.id.as_str())).cloned().collect()
    }

    fn refuse_cycles(&self) -> Result<(), ContentError> {
        let mut done = BTreeSet::new();
        for group in self.groups.values() {
            self.visit(group, &mut Vec::new(), &mut done)?;
        }
        Ok(())
    }

    fn visit<'a>(&'a self, group: &'a Group, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> Result<(), ContentError> {
        if done.contains(group.id.as_str()) {
            return Ok(());
        }
        path.push(&group.id);
        for child in &group.children {
            let (next, place) = match child {
                Child::Group(g) => (g.as_ref(), &g.place),
                Child::Name(name, place) => match self.groups.get(name) {
                    Some(g) => (g.as_ref(), place),
                    None => continue,
                },
                Child::Leaf(_) => continue,
            };
            if let Some(start) = path.iter().position(|id| *id == next.id) {
                let way = path[start..].iter().copied().chain([next.id.as_str()]).collect::<Vec<_>>().join(" → ");
                return Err(error_at(place, format!("'{}' contains itself", next.id), Some(format!("the way round is {way}"))));
            }
            self.visit(next, path, done)?;
        }
        path.pop();
        done.insert(&group.id);
        Ok(())
    }
}
