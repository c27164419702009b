//! `cargo xtask audit verify`: whether the log of accesses is as it was written.
//!
//! The store does it, `chat-store verify-audit`; this builds the store and hands over.

use anyhow::{Result, ensure};

use crate::{
    cli::Args,
    places::Places,
    process,
    services::{self, Profile},
    tied,
};

/// Verifies the log and says whether nothing was found.
///
/// # Errors
///
/// When the store cannot be built or started.
pub(crate) fn command(mut args: Args, places: &Places) -> Result<bool> {
    let what = args.command();
    ensure!(
        what.as_deref() == Some("verify"),
        "the one thing to do with the audit log is `cargo xtask audit verify`",
    );
    let build = services::build(places, Profile::Dev)?.wait()?;
    ensure!(build.success(), "the store could not be built; see above");
    let mut command = tied::command(places.target.join("debug/chat-store"), None);
    command.arg("verify-audit").args(args.rest());
    Ok(process::run(command)?.success())
}
