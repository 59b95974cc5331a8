//! `assay explain`: the calls of statements, controls and benchmarks before any of them is made.

use crate::args::{ExplainArgs, Global};
use crate::bill;
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::failures;
use crate::output::Look;
use crate::session::Session;
use crate::targets::{self, Target};
use assay_engine::Asked;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

/// Prints the bill of all targets together.
pub(crate) async fn exec(global: &Global, console: Console, args: &ExplainArgs) -> Result<Exit, Failed> {
    let found = targets::resolve(global, console, &args.target)?;
    let session = Session::showing(global, console, args.show_secrets, None).await?;
    let (targets, notes) = targets::plannable(&session, found).await?;
    let asked: Vec<Asked<'_>> = targets.iter().map(Target::asked).collect();
    let bill = if args.ask { session.engine.bill_by_asking(&asked).await? } else { session.engine.bill(&asked).await? };
    let look = Look { format: args.output, header: true, separator: b',', color: console.color_stdout };
    let mut out = BufWriter::new(io::stdout());
    bill::print(&bill, &notes, look, &mut out)?;
    out.flush().map_err(|e| Failed::stdout(&e))?;
    for line in failures::lines(&bill.failures, &BTreeMap::new()) {
        console.error(&line);
    }
    match args.max_calls {
        Some(most) if bill.calls() > most => {
            console.error(&format!("it takes {} calls ({}), more than {most}", bill.calls(), bill.basis().text()));
            Ok(Exit::Incomplete)
        }
        _ if !bill.failures.is_empty() => Ok(Exit::Incomplete),
        _ => Ok(Exit::Ok),
    }
}
