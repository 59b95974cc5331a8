//! Prints what the blocks of a mod say as JSON, and how long it took on stderr: `mod_json FOLDER`. Tests compare it with another implementation's.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of tests")]

use assay_compliance::{Child, Library, ModFolder, QueryRef};
use serde_json::{Map, Value, json};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: mod_json FOLDER")?;
    let began = Instant::now();
    let mut library = Library::embedded();
    library.load_content(&[], &[ModFolder { folder: folder.into(), source: None }], &[])?;
    eprintln!("{:.3}", began.elapsed().as_secs_f64());
    let name = |id: &str| id.rsplit('.').next().unwrap_or(id).to_owned();
    let of_mod = |id: &str| id.contains('.');
    let (mut queries, mut controls, mut benchmarks) = (Map::new(), Map::new(), Map::new());
    for q in library.mod_queries() {
        let params: Vec<&Option<Value>> = q.params.iter().map(|p| &p.default).collect();
        queries.insert(name(&q.id), json!({ "sql": &*q.sql, "tags": q.tags, "documentation": q.documentation, "params": params }));
    }
    for c in library.controls()?.iter().filter(|c| of_mod(&c.id)) {
        let (sql, query) = match &c.query {
            QueryRef::Sql(sql) => (Some(&**sql), None),
            QueryRef::Named(id) => (None, id.split_once('.').map(|(_, rest)| rest)),
        };
        let args: Vec<&Option<Value>> = c.params.iter().map(|p| &p.default).collect();
        let about = json!({
            "title": c.title, "description": c.description, "documentation": c.documentation, "severity": c.severity.as_str(), "tags": c.tags,
            "sql": sql, "query": query, "args": args,
        });
        controls.insert(name(&c.id), about);
    }
    for g in library.groups()?.iter().filter(|g| of_mod(&g.id)) {
        let children: Vec<&str> = g
            .children
            .iter()
            .filter_map(|c| match c {
                Child::Name(id, _) => id.split_once('.').map(|(_, rest)| rest),
                Child::Group(_) | Child::Leaf(_) => None,
            })
            .collect();
        let about = json!({
            "title": g.title, "description": g.description, "documentation": g.documentation, "tags": g.tags, "children": children,
        });
        benchmarks.insert(name(&g.id), about);
    }
    println!("{}", json!({ "query": queries, "control": controls, "benchmark": benchmarks }));
    Ok(())
}
