//! The demo organisation: a recording that ships in the binary.

use crate::exit::{Exit, Failed};
use assay_cloud::Bundle;

/// Made by `examples/make_demo.py`.
static BUNDLE: &[u8] = include_bytes!("../../examples/demo.bundle");

/// Reads the recording.
pub(crate) fn bundle() -> Result<Bundle, Failed> {
    if BUNDLE.is_empty() {
        return Err(Failed::new(Exit::Content, "this build of assay has no demo in it")
            .hint("make it with `python examples/make_demo.py`, then build again"));
    }
    Ok(Bundle::from_bytes(BUNDLE)?)
}
