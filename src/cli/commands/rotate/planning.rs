//! `assay rotate plan`: looks, shows, writes the document; changes nothing.

use super::{candidates, exclusions, incomplete, look, showing, store};
use crate::args::{Global, RotatePlanArgs};
use crate::console::Console;
use crate::exit::{Exit, Failed};
use crate::export;
use crate::output::Format;
use crate::runner::EngineRunner;
use crate::session::{Session, writable_place};
use assay_rotation::hands::CloudHands;
use assay_rotation::select::{self, StorageWish, Wish};
use assay_rotation::{Guard, Plan};
use std::collections::BTreeMap;
use std::io::Write;

/// Makes a plan and shows it.
pub(super) async fn exec(global: &Global, console: Console, args: &RotatePlanArgs) -> Result<Exit, Failed> {
    if let Some(path) = &args.out {
        writable_place(path)?;
    }
    let recorded = global.demo || global.replay.is_some();
    if recorded && !args.storage {
        let why = "a recording does not say which keys sign the calls: no access key can be planned from it";
        return Err(Failed::new(Exit::Usage, why).hint("`assay rotate users` and `assay rotate plan --storage` work with it"));
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
        // What this machine has begun says nothing about a recording.
        unfinished: if recorded { BTreeMap::new() } else { store()?.unfinished()? },
    };
    let hands = CloudHands::new(session.cloud.clone());
    let plan = select::plan(found.keys, found.accounts, &wish, &hands, session.cloud.now()).await?;
    session.finish()?;

    let unread = unreadable(&plan);
    if args.output == Format::Json {
        let text = serde_json::to_string_pretty(&plan).map_err(|e| Failed::internal(&e.to_string()))?;
        writeln!(std::io::stdout(), "{text}").map_err(|e| Failed::stdout(&e))?;
    } else {
        showing::plan(console, look(console, args.output), &plan, unread || !found.answer.failures.is_empty())?;
    }
    if let Some(path) = &args.out {
        export::write(path, plan.to_yaml()?.as_bytes())?;
        if !plan.is_empty() {
            let path = path.display();
            console.note(&format!("plan written to {path}; read it, edit it, then: assay rotate apply {path}"));
        }
    }
    Ok(incomplete(console, &found.answer.failures).or(unread.then_some(Exit::Incomplete)).unwrap_or(Exit::Ok))
}

/// Was anything left alone because it could not be read?
fn unreadable(plan: &Plan) -> bool {
    plan.left_alone.iter().any(|left| left.because.guard == Guard::Unreadable)
}
