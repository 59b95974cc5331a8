//! The `assay` binary: everything is in `assay-cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    assay_cli::run(std::env::args_os())
}
