//! Programs that end when xtask does, even when it is killed.
//!
//! On Linux the kernel can signal a process whose parent has died, but the process itself has to ask
//! for that. So xtask starts itself, as `xtask tied`, which asks and becomes the program. Elsewhere a
//! program outlives an xtask that had no chance to end it.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{cli::Args, user::User};

/// Returns a command for `program` that dies with xtask, in a process group of its own, as `user`.
pub(crate) fn command(program: impl AsRef<OsStr>, user: Option<User>) -> Command {
    let mut command;
    if cfg!(target_os = "linux") {
        // The link names the running file even after cargo has put another one in its place.
        command = Command::new("/proc/self/exe");
        command.arg("tied").arg(std::process::id().to_string());
        command.arg(user.map_or_else(|| "-".to_owned(), User::to_argument));
        command.arg(program);
    } else {
        command = Command::new(program);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
    }
    command.process_group(0).stdin(Stdio::null());
    command
}

/// Becomes the program of a [`command`], given as `PARENT USER PROGRAM ARGUMENTS..`.
///
/// # Errors
///
/// Returns only when the program could not be started.
#[cfg(target_os = "linux")]
pub(crate) fn become_program(arguments: Args) -> Result<()> {
    use rustix::{
        process::{self, Pid, Signal},
        thread,
    };

    let arguments = arguments.all();
    let [parent, user, program, rest @ ..] = arguments.as_slice() else {
        bail!("`tied` is for xtask itself");
    };
    // Credentials first: changing them clears the signal.
    if let Some(user) = User::from_argument(user) {
        let (uid, gid) = (
            process::Uid::from_raw(user.uid),
            process::Gid::from_raw(user.gid),
        );
        thread::set_thread_groups(&[gid])?;
        thread::set_thread_res_gid(gid, gid, gid)?;
        thread::set_thread_res_uid(uid, uid, uid)?;
    }
    // The one signal that ends everything, Postgres with clients included.
    process::set_parent_process_death_signal(Some(Signal::INT))?;
    let alive = process::getppid()
        .map(Pid::as_raw_nonzero)
        .map(|pid| pid.to_string());
    if alive.as_ref() != Some(parent) {
        bail!("xtask is gone");
    }
    let error = Command::new(program).args(rest).exec();
    Err(error).with_context(|| format!("cannot start {program}"))
}

/// See the Linux version; elsewhere nothing is started this way.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_program(_arguments: Args) -> Result<()> {
    bail!("`tied` is for xtask itself");
}
