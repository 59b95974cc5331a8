//! The SQL of the controls in `controls/` over small tables, PostgreSQL's answers (`tests/sql/controls/*.test`) against ours.

use super::oracle::{context, lines, run};
use crate::Arg;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of the controls with SQL of their own, by id.
fn controls(folder: &Path, out: &mut BTreeMap<String, String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            controls(&path, out);
        } else if !stem.starts_with('_') {
            let text = std::fs::read_to_string(&path).unwrap();
            out.extend(text.contains("\nsql: |\n").then_some((stem, text)));
        }
    }
}

/// A control's SQL, and its parameters with their defaults, of which `given` replaces some.
fn control(text: &str, given: &[&str]) -> (String, Vec<Arg>) {
    let after = |key: &str| text.split_once(&format!("\n{key}\n")).map_or("", |(_, rest)| rest);
    let block = |key: &str| after(key).lines().take_while(|line| line.starts_with("  ") || line.is_empty()).collect::<Vec<_>>();
    let params = block("params:").into_iter().filter_map(|line| line.trim().split_once(": { default: "));
    let args = params.map(|(name, rest)| {
        let default: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let value = given.iter().find_map(|word| word.strip_prefix(&format!("{name}="))).unwrap_or(&default);
        Arg { name: name.to_owned(), value: value.parse::<i64>().unwrap().into() }
    });
    (format!("{}\norder by 1, 2, 3", block("sql: |").join("\n").trim()), args.collect())
}

async fn table(ctx: &SessionContext, name: &str, sql: &str) {
    let (schema, batches) = run(ctx, sql, &[]).await.unwrap_or_else(|error| panic!("table {name}: {error}"));
    let batches = batches.iter().map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()).unwrap()).collect();
    ctx.deregister_table(name).unwrap();
    ctx.register_table(name, Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())).unwrap();
}

/// Runs the blocks of a file; gives what differs.
async fn differences(path: &Path, controls: &BTreeMap<String, String>) -> (usize, Vec<String>) {
    let ctx = context();
    let text = std::fs::read_to_string(path).unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for block in text.trim_end().split("\n\n") {
        let (head, rest) = block.split_once('\n').unwrap();
        let words: Vec<&str> = head.split(' ').collect();
        if words[0] == "table" {
            table(&ctx, words[1], rest).await;
            continue;
        }
        assert_eq!(words[0], "control", "{}", path.display());
        count += 1;
        let (sql, args) = control(&controls[words[1]], &words[2..]);
        let got = match run(&ctx, &sql, &args).await {
            Ok((schema, batches)) => lines(&schema, &batches),
            Err(error) => vec![format!("ERROR: {error}")],
        };
        let expected: Vec<&str> = rest.strip_prefix("----\n").unwrap().lines().collect();
        if got != expected {
            wrong.push(format!(
                "{head}\n  PostgreSQL: {}\n  ours:       {}",
                expected.join("\n              "),
                got.join("\n              ")
            ));
        }
    }
    (count, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controls_answer_as_on_postgresql() {
    let mut by_id = BTreeMap::new();
    controls(&root().join("controls"), &mut by_id);
    let (mut total, mut wrong) = (0, Vec::new());
    for id in by_id.keys() {
        let path = root().join(format!("tests/sql/controls/{id}.test"));
        assert!(path.exists(), "no answers are recorded for {id}: add {}", path.display());
        let (count, differs) = differences(&path, &by_id).await;
        total += count;
        wrong.extend(differs);
    }
    assert!(wrong.is_empty(), "{} of {total} answers\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(total >= by_id.len());
}
