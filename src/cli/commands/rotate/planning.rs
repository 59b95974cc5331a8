//! `assay rotate plan`: looks, shows, writes the document; changes nothing.

use super::{candidates, exclusions, incomplete, look, showing};
use crate::args::{Global, RotatePlanArgs};
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::export;
use crate::output::Format;
use crate::runner::EngineRunner;
use crate::session::{Session, writable_place};
use assay_rotation::hands::CloudHands;
use assay_rotation::select::{self, StorageWish, Wish};
use std::io::Write;

/// Makes a plan and shows it.
pub(super) async fn exec(global: &Global, console: Console, args: &RotatePlanArgs) -> Result<Exit, Failed> {
    if let Some(path) = &args.out {
        writable_place(path)?;
    }
    let session = Session::open(global, console).await?;
    let runner = EngineRunner::new(session.engine.clone());
    let found = candidates::find(&runner, args).await?;
    let storage = match (args.expiration_policy, args.disable_shared_key) {
        (Some(period), _) => StorageWish::ExpirationPolicy(period),
        (None, true) => StorageWish::Disable,
        (None, false) => StorageWish::Rotate,
    };
    let wish = Wish {
        older_than: args.older_than,
        grace: args.grace,
        settle: args.settle,
        sink: args.sink.clone(),
        retire: args.retire,
        storage,
        exclusions: exclusions(&args.exclude),
    };
    let hands = CloudHands::new(session.cloud.clone());
    let plan = select::plan(found.keys, found.accounts, &wish, &hands, session.cloud.now()).await?;
    session.finish()?;

    if args.output == Format::Json {
        let text = serde_json::to_string_pretty(&plan).map_err(|e| Failed::internal(&e.to_string()))?;
        writeln!(std::io::stdout(), "{text}").map_err(|e| Failed::stdout(&e))?;
    } else {
        showing::plan(console, look(console, args.output), &plan)?;
    }
    if let Some(path) = &args.out {
        export::write(path, plan.to_yaml()?.as_bytes())?;
        console.note(&format!("plan written to {}; read it, change it, then: assay rotate apply {}", path.display(), path.display()));
    }
    Ok(incomplete(console, &found.answer.failures).unwrap_or(Exit::Ok))
}
