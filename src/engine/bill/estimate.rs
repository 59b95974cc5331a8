//! From scans and statistics to the lines of a bill.

use super::leaves::Leaf;
use super::statistics::{Cell, Record, cells};
use super::{Asked, Basis, Bill, BillLine};
use crate::Engine;
use assay_cloud::{Metered, is_paged, permissions, price};
use assay_tables::{CallGroup, Per, ScopeKind};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of a list of which nothing is known.
const ROWS: u64 = 20;
/// Milliseconds of a call where none was measured.
const LATENCY: f64 = 100.0;
/// Calls under way at the same time, all services together.
const CEILING: f64 = 256.0;

fn line(table: &str, service: &str, operation: &str, scopes: usize, calls: u64, basis: Basis) -> BillLine {
    BillLine {
        table: table.to_owned(),
        service: service.to_owned(),
        operation: operation.to_owned(),
        scopes,
        calls,
        basis,
        per: String::new(),
        seconds: 0.0,
        permissions: permissions(service, operation),
        price: price(service, operation),
    }
}

fn of_cell(cell: &Cell, basis: Basis) -> BillLine {
    line(&cell.table, &cell.service, &cell.operation, cell.scopes, cell.calls, basis)
}

/// The bill of what was really asked.
pub(super) fn of_metered(metered: &[Metered], basis: Basis) -> Bill {
    Bill { lines: cells(metered).iter().map(|cell| of_cell(cell, basis)).collect(), ..Bill::default() }
}

impl Engine {
    /// The bill of statements that are not rehearsed.
    pub(super) fn estimate(&self, statements: &[Asked<'_>], leaves: &[Leaf]) -> Bill {
        if leaves.iter().map(|leaf| &leaf.table).collect::<BTreeSet<_>>().len() <= 1
            && leaves.len() <= 1
            && leaves.iter().all(Leaf::is_by_key)
        {
            return self.by_key(leaves);
        }
        let known = self.shared.settings.statistics.as_deref();
        if let Some(record) = known.and_then(|s| s.get(&self.run_key(statements))) {
            let basis = Basis::Statistics(record.at);
            let lines: Vec<BillLine> = record.cells.iter().filter(|cell| !is_made(cell, leaves)).map(|cell| of_cell(cell, basis)).collect();
            // A record of one statement among others has not seen what finds the scopes.
            let lines = if lines.iter().any(|line| line.table.is_empty()) { lines } else { self.with_scopes(lines, leaves) };
            return Bill { lines, ..Bill::default() };
        }
        // Each of them may have run by itself, or with others.
        let single = |asked: &Asked<'_>| known.and_then(|s| s.get(&self.run_key(std::slice::from_ref(asked))));
        let records: Option<Vec<&Record>> = statements.iter().map(single).collect();
        match records.filter(|records| !records.is_empty()) {
            Some(records) => Bill { lines: self.with_scopes(union(&records, leaves), leaves), ..Bill::default() },
            None => self.guess(leaves),
        }
    }

    /// As many calls as values.
    fn by_key(&self, leaves: &[Leaf]) -> Bill {
        let mut lines = Vec::new();
        for leaf in leaves {
            for group in &leaf.groups {
                let calls = (group.times * leaf.scopes.len()) as u64;
                lines.push(line(&leaf.table, &group.service, &group.operation, leaf.scopes.len(), calls, Basis::Keys));
            }
        }
        let mut scopes = Vec::new();
        for leaf in leaves {
            for connection in &leaf.connections {
                let needed = leaf.identity && leaf.scopes.iter().any(|s| s.account.known_identity().is_none());
                let identification = self.cloud().identification(connection).filter(|_| needed);
                let found = self.cloud().discovery(connection, leaf.scope == ScopeKind::Region && leaf.assumed);
                scopes.extend(found.into_iter().chain(identification).map(|(s, o)| line("", s, o, 1, 1, Basis::Keys)));
            }
        }
        scopes.extend(lines);
        Bill { lines: scopes, ..Bill::default() }
    }

    /// Lines for what finds the scopes, before the others.
    fn with_scopes(&self, lines: Vec<BillLine>, leaves: &[Leaf]) -> Vec<BillLine> {
        let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
        for leaf in leaves {
            for connection in &leaf.connections {
                wanted.extend(self.cloud().discovery(connection, leaf.scope == ScopeKind::Region));
                wanted.extend(self.cloud().identification(connection).filter(|_| leaf.identity));
            }
        }
        // Azure's list of subscriptions may be a table's as well: then it is there.
        wanted.retain(|(service, operation)| !lines.iter().any(|l| l.service == *service && l.operation == *operation));
        let shape = self.shape();
        let records = self.shared.settings.statistics.as_deref().map(|s| s.of_shape(&shape)).unwrap_or_default();
        let known = |service: &str, operation: &str| {
            let cells = records.iter().flat_map(|r| r.cells.iter().map(move |cell| (r.at, cell)));
            cells
                .filter(|(_, c)| c.table.is_empty() && c.service == service && c.operation == operation)
                .max_by_key(|(at, c)| (c.calls, *at))
        };
        let mut out: Vec<BillLine> = wanted
            .into_iter()
            .map(|(service, operation)| match known(service, operation) {
                Some((at, cell)) => of_cell(cell, Basis::Others(at)),
                None => line("", service, operation, 1, 1, Basis::Guess),
            })
            .collect();
        out.extend(lines);
        out
    }

    /// From what was counted, and a guess for calls that depend on answers which nobody asked for.
    pub(super) fn asked_bill(&self, metered: &[Metered], leaves: &[Leaf]) -> Bill {
        let mut bill = of_metered(metered, Basis::Asked);
        for leaf in leaves {
            let counted = |lines: &[BillLine], group: &CallGroup| {
                let same = |l: &&BillLine| l.service == *group.service && l.operation == *group.operation;
                lines.iter().filter(same).map(|l| l.calls).max()
            };
            for group in leaf.groups.iter().filter(|group| !group.fallback) {
                let Some(parent) = group.per.parent() else { continue };
                if counted(&bill.lines, group).is_some() {
                    continue;
                }
                // As many rows as other calls were counted for. A list that was asked for and had none has none; otherwise one per call.
                let siblings = leaf.groups.iter().filter(|other| other.per.parent() == Some(parent) && !other.fallback);
                let rows = siblings.filter_map(|other| counted(&bill.lines, other)).max();
                let above = &leaf.groups[parent];
                let asked = above.per == Per::Walk && !above.keyed && leaf.bound_by.is_empty();
                let Some(calls) = rows.or_else(|| counted(&bill.lines, above).filter(|_| !asked)) else { continue };
                bill.lines.push(line(&leaf.table, &group.service, &group.operation, leaf.scopes.len(), calls, Basis::Guess));
            }
        }
        bill.lines.sort_by(|a, b| (&a.table, &a.service, &a.operation).cmp(&(&b.table, &b.service, &b.operation)));
        bill
    }

    /// From the plans alone, and what other statements have cost.
    fn guess(&self, leaves: &[Leaf]) -> Bill {
        let shape = self.shape();
        let records = self.shared.settings.statistics.as_deref().map(|s| s.of_shape(&shape)).unwrap_or_default();
        let mut seen: BTreeMap<(String, String, Option<&str>), usize> = BTreeMap::new();
        let mut lines: Vec<BillLine> = Vec::new();
        for leaf in leaves {
            let (mut rows, mut asked): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
            for (at, group) in leaf.groups.iter().enumerate() {
                let scopes = if group.shared { leaf.shared } else { leaf.scopes.len().max(1) };
                let times = group.times as u64;
                let guessed = match group.per {
                    Per::Walk => times * scopes as u64,
                    Per::Row(parent) => times * rows[parent],
                    Per::Element(parent) => times * rows[parent],
                    Per::Batch(parent, size) => times * rows[parent].div_ceil(size.max(1) as u64),
                };
                let whole = !group.keyed && leaf.bound_by.is_empty() && !leaf.limited;
                let known = records.iter().filter(|_| whole && !group.fallback).find_map(|record| {
                    let same = |c: &&Cell| c.service == *group.service && c.operation == *group.operation && !c.table.is_empty();
                    let own = record.cells.iter().filter(same).find(|c| c.table == leaf.table);
                    // Of another table it is another question.
                    let other = || record.cells.iter().filter(same).filter(|_| group.question.is_none()).max_by_key(|c| c.calls);
                    own.or_else(other).map(|cell| (record.at, cell))
                });
                // What was counted for a table is all that it asks by this name: the last of its questions has what the others leave.
                let same = |other: &CallGroup| other.name() == group.name();
                let before: u64 = leaf.groups.iter().zip(&asked).filter(|(other, _)| same(other)).map(|(_, calls)| calls).sum();
                let more = leaf.groups[at + 1..].iter().any(same);
                let (calls, scopes, basis) = match known {
                    Some((at, cell)) if group.question.is_some() => {
                        let left = cell.calls.saturating_sub(before);
                        (if more { guessed.min(left) } else { left }, cell.scopes, Basis::Others(at))
                    }
                    Some((at, cell)) => (cell.calls, cell.scopes, Basis::Others(at)),
                    None if group.fallback => (0, scopes, Basis::Guess),
                    None => (guessed, scopes, Basis::Guess),
                };
                asked.push(calls);
                rows.push(if group.lists { calls * ROWS } else { calls });
                let mut own = line(&leaf.table, &group.service, &group.operation, scopes, calls, basis);
                own.per = per(group, leaf);
                // Asked by several tables, or several times in a statement, it is asked once.
                let question = (own.service.clone(), own.operation.clone(), group.question.as_deref());
                let same = |line: &BillLine| (&line.table, &line.service, &line.operation) == (&own.table, &own.service, &own.operation);
                match (seen.get(&question), lines.iter().position(same).filter(|_| group.question.is_some())) {
                    (Some(at), _) if !group.keyed => {
                        let first = &mut lines[*at];
                        first.calls = first.calls.max(own.calls);
                    }
                    // Another question by the same name is another call.
                    (None, Some(at)) => {
                        seen.insert(question, at);
                        lines[at].calls += own.calls;
                    }
                    _ => {
                        seen.insert(question, lines.len());
                        lines.push(own);
                    }
                }
            }
        }
        lines.retain(|line| line.calls > 0 || line.basis == Basis::Guess);
        Bill { lines: self.with_scopes(lines, leaves), ..Bill::default() }
    }

    /// Every operation, whatever the numbers.
    pub(super) fn all_operations(&self, leaves: &[Leaf]) -> Bill {
        let mut lines = Vec::new();
        for leaf in leaves {
            let all = leaf.groups.iter().chain(&leaf.others);
            lines.extend(all.map(|group| line(&leaf.table, &group.service, &group.operation, leaf.scopes.len(), 0, Basis::Guess)));
        }
        let mut lines = self.with_scopes(lines, leaves);
        lines.sort_by(|a, b| (&a.table, &a.service, &a.operation).cmp(&(&b.table, &b.service, &b.operation)));
        lines.dedup_by(|a, b| (&a.table, &a.service, &a.operation) == (&b.table, &b.service, &b.operation));
        Bill { lines, ..Bill::default() }
    }

    /// Notes, what calls are made for, and seconds.
    pub(super) fn finish(&self, bill: &mut Bill, leaves: &[Leaf]) {
        for own in bill.lines.iter_mut().filter(|l| l.per.is_empty()) {
            let of_table = leaves.iter().filter(|leaf| leaf.table == own.table);
            let group = of_table.flat_map(|leaf| leaf.groups.iter().chain(&leaf.others).map(move |group| (group, leaf)));
            let mut same = group.filter(|(group, _)| *group.service == *own.service && *group.operation == *own.operation);
            own.per = same.next().map(|(group, leaf)| per(group, leaf)).unwrap_or_default();
        }
        leaves.iter().for_each(|leaf| add_rights(bill, leaf));
        self.time(bill, leaves);
        if bill.lines.iter().any(|line| line.basis == Basis::Guess) && !self.cloud().is_replay() {
            bill.notes.push(match bill.lines.iter().any(|line| line.basis == Basis::Asked) {
                true => {
                    "?: depends on answers that were not asked for; one row each is assumed. It is known after the first run".to_owned()
                }
                false => format!("?: nothing is known; {ROWS} rows a list are assumed. It is known after the first run, or with --ask"),
            });
        }
        if leaves.iter().any(|leaf| leaf.assumed) && bill.lines.iter().any(|line| line.basis == Basis::Guess) {
            bill.notes
                .push("accounts and regions are not listed yet: those that are configured or enabled by default are assumed".to_owned());
        }
        if leaves.iter().any(|leaf| leaf.limited) && !bill.is_exact() {
            bill.notes.push("LIMIT ends the calls early: the numbers are those of a whole list, at most".to_owned());
        }
        if leaves.iter().any(|leaf| leaf.groups.iter().any(|group| group.polled)) {
            bill.notes.push("a report that is not ready is asked for again until it is: that is not counted".to_owned());
        }
        if !bill.is_exact() {
            bill.notes.push("attempts after a failure or a throttle come on top".to_owned());
        }
    }

    /// Seconds: the slowest gate, after what has to be known before.
    fn time(&self, bill: &mut Bill, leaves: &[Leaf]) {
        let connection = leaves.iter().flat_map(|leaf| leaf.connections.iter()).next().cloned();
        let shape = self.shape();
        let records = self.shared.settings.statistics.as_deref().map(|s| s.of_shape(&shape)).unwrap_or_default();
        let latency = records.iter().find_map(|record| record.latency).unwrap_or(LATENCY) / 1000.0;
        let mut gates: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for own in &mut bill.lines {
            let pace = connection.as_ref().map(|connection| self.cloud().pace(connection, &own.service, &own.operation));
            let scopes = own.scopes.max(1) as f64;
            let each = own.calls as f64 / scopes;
            let by_flight = each * latency / pace.map_or(32.0, |pace| pace.in_flight as f64);
            let by_rate = pace.and_then(|pace| pace.per_second.map(|rate| (each - pace.burst).max(0.0) / rate)).unwrap_or(0.0);
            own.seconds = if own.calls == 0 { 0.0 } else { by_flight.max(by_rate).max(latency) };
        }
        for own in &bill.lines {
            let gate = gates.entry(&own.service).or_default();
            gate.0 += own.seconds - if own.calls == 0 { 0.0 } else { latency };
            gate.1 += 1;
        }
        let depth = leaves.iter().map(|leaf| depth(&leaf.groups)).max().unwrap_or(0);
        let found = bill.lines.iter().filter(|line| line.table.is_empty() && line.calls > 0).count().min(3);
        let slowest = gates.values().map(|(seconds, _)| *seconds).fold(0.0, f64::max);
        let ceiling = bill.calls() as f64 * latency / CEILING;
        let waits = if bill.calls() == 0 { 0.0 } else { (depth + found) as f64 * latency };
        bill.seconds = waits + slowest.max(ceiling);
    }
}

/// A question about many scopes is answered where what it is about may be read: it takes the rights of the lists that it stands for.
fn add_rights(bill: &mut Bill, leaf: &Leaf) {
    let groups = || leaf.groups.iter().chain(&leaf.others);
    let lists = groups().filter(|group| group.per == Per::Walk && !group.keyed && !group.shared);
    let rights: Vec<_> = lists.flat_map(|group| permissions(&group.service, &group.operation)).collect();
    let asks = |own: &BillLine| groups().any(|g| g.shared && *g.service == *own.service && *g.operation == *own.operation);
    for own in bill.lines.iter_mut().filter(|own| own.table == leaf.table && asks(own)) {
        own.permissions.extend(rights.iter().cloned());
        own.permissions.sort();
        own.permissions.dedup();
    }
}

/// Does the call only make what another asks for? After an earlier run it is there.
fn is_made(cell: &Cell, leaves: &[Leaf]) -> bool {
    let groups = || leaves.iter().flat_map(|leaf| leaf.groups.iter().chain(&leaf.others));
    let mut same = groups().filter(|group| *group.service == *cell.service && *group.operation == *cell.operation).peekable();
    same.peek().is_some() && same.all(|group| group.fallback && group.polled)
}

/// Calls one after the other, at least.
fn depth(groups: &[CallGroup]) -> usize {
    let mut depths: Vec<usize> = Vec::new();
    for group in groups {
        let parent = match group.per {
            Per::Walk => 0,
            Per::Row(parent) | Per::Element(parent) | Per::Batch(parent, _) => depths[parent],
        };
        depths.push(parent + 1);
    }
    depths.into_iter().max().unwrap_or(0)
}

/// What a call is made for, for people.
fn per(group: &CallGroup, leaf: &Leaf) -> String {
    let name = |at: usize| leaf.groups.get(at).or_else(|| leaf.others.get(at)).map(CallGroup::name).unwrap_or_default();
    let mut text = match group.per {
        Per::Walk if !leaf.bound_by.is_empty() && group.keyed => format!("1 per {} of the join", leaf.bound_by.join(", ")),
        Per::Walk if group.times > 1 => format!("1 per value, {} values", group.times),
        Per::Walk if group.lists && is_paged(&group.service, &group.operation) => "1 per page".to_owned(),
        Per::Walk => String::new(),
        Per::Row(parent) => format!("1 per row of {}", name(parent)),
        Per::Element(parent) => format!("1 per element in {}", name(parent)),
        Per::Batch(parent, size) => format!("1 per {size} rows of {}", name(parent)),
    };
    if group.fallback {
        text.push_str(" where another call fails");
    }
    text
}

/// Cells of several runs; equal ones are the same calls.
fn union(records: &[&Record], leaves: &[Leaf]) -> Vec<BillLine> {
    let mut all: BTreeMap<(&str, &str), Vec<(&Cell, Basis)>> = BTreeMap::new();
    for record in records {
        for cell in record.cells.iter().filter(|cell| !cell.table.is_empty() && !is_made(cell, leaves)) {
            let same = all.entry((&cell.service, &cell.operation)).or_default();
            let basis = Basis::Others(record.at);
            if !same.iter().any(|(other, _)| (other.calls, other.mark) == (cell.calls, cell.mark)) {
                same.push((cell, basis));
            }
        }
    }
    let mut lines: Vec<BillLine> = Vec::new();
    for ((service, operation), cells) in all {
        for (cell, basis) in cells {
            match lines.iter_mut().find(|l| l.table == cell.table && l.service == service && l.operation == operation) {
                Some(known) => known.calls += cell.calls,
                None => lines.push(of_cell(cell, basis)),
            }
        }
    }
    lines.sort_by(|a, b| (&a.table, &a.service, &a.operation).cmp(&(&b.table, &b.service, &b.operation)));
    lines
}
