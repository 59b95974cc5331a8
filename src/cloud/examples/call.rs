//! Runs read operations named on standard input and prints what they answer, one JSON line each.
//!
//!     echo '{"service":"iam","operation":"ListUsers","input":{},"paginate":true}' | cargo run -p assay-cloud --example call
//!
//! A line is `{service, operation, input?, paginate?}`; its answer is `{"ok": …}` (a list of pages with `paginate`) or `{"error": …}`,
//! with the number of requests in `attempts`. Credentials, region and endpoints come from the environment, as for every AWS tool.

use assay_cloud::aws::client::{Attempts, Client};
use assay_cloud::aws::model;
use assay_cloud::{CloudError, ErrorKind, ReadOp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Write};

#[derive(Deserialize)]
struct Line {
    service: String,
    operation: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    paginate: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let mut clients = HashMap::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let mut total = 0;
        let result = run(&line, &config, &mut clients, &mut total).await;
        let printed = match result {
            Ok(v) => json!({"ok": v, "attempts": total}),
            Err(e) => json!({
                "error": {
                    "kind": format!("{:?}", e.kind), "code": e.code, "message": e.message, "status": e.status, "request_id": e.request_id,
                },
                "attempts": total,
            }),
        };
        writeln!(out, "{printed}")?;
        out.flush()?;
    }
    Ok(())
}

async fn run(
    line: &str,
    config: &aws_types::SdkConfig,
    clients: &mut HashMap<String, Client>,
    total: &mut u32,
) -> Result<Value, CloudError> {
    let line: Line = serde_json::from_str(line).map_err(|e| CloudError::new(ErrorKind::Invalid, "InvalidLine", e.to_string()))?;
    let op = ReadOp::aws(&line.service, &line.operation)?;
    if !clients.contains_key(op.service()) {
        clients.insert(op.service().to_owned(), Client::new(op.service(), config)?);
    }
    let client = clients[op.service()].clone();
    let mut attempts = Attempts::default();
    let mut input = line.input;
    let Some(paginator) = model::paginator(op.service(), op.operation()).filter(|_| line.paginate) else {
        let answer = client.call(op.operation(), input, &mut attempts).await;
        *total = attempts.total;
        return answer;
    };
    let mut pages = Vec::new();
    loop {
        let answer = client.call(op.operation(), input.clone(), &mut attempts).await;
        *total += attempts.total;
        let page = answer?;
        let truncated = paginator.more_results.as_deref().is_none_or(|m| at(&page, m) == Value::Bool(true));
        let tokens: Vec<Value> = paginator.output_tokens.iter().map(|t| at(&page, t)).collect();
        pages.push(page);
        if !truncated || tokens.iter().all(Value::is_null) {
            return Ok(Value::Array(pages));
        }
        let mut next = input.as_object().cloned().unwrap_or_else(Map::new);
        next.extend(paginator.input_tokens.iter().cloned().zip(tokens).filter(|(_, v)| !v.is_null()));
        if input == Value::Object(next.clone()) {
            return Err(CloudError::new(ErrorKind::BadAnswer, "RepeatedToken", "the service repeats a page"));
        }
        input = Value::Object(next);
    }
}

/// A dotted path; an empty string is no token.
fn at(page: &Value, path: &str) -> Value {
    let found = path.split('.').try_fold(page, |v, name| v.get(name));
    found.filter(|v| v.as_str() != Some("")).cloned().unwrap_or_default()
}
