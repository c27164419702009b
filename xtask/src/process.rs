//! Child processes that never outlive xtask.
//!
//! Every child leads its own process group, so Ctrl-C reaches xtask alone and xtask decides the
//! order in which things end. No child is started again unless somebody asks for it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal};

/// How often a wait looks again.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// How long a program that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(25);

/// How many log lines a failure shows.
const TAIL: usize = 12;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Makes SIGINT, SIGTERM and SIGHUP set [`interrupted`] in place of ending xtask.
///
/// # Errors
///
/// When the handlers can't be installed.
pub(crate) fn watch_signals() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Says whether somebody asked xtask to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A server or service that runs beside xtask; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Running {
    /// What messages call it.
    pub(crate) name: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
    command: Command,
    child: Child,
    ended: Option<ExitStatus>,
    stop_signal: Signal,
}

impl Running {
    /// Starts `command` with its output going to `log`; `stop_signal` is how it is asked to end.
    ///
    /// # Errors
    ///
    /// When the log can't be written or the program can't be started.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        log: &Path,
        stop_signal: Signal,
    ) -> Result<Self> {
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            command,
            child,
            ended: None,
            stop_signal,
        })
    }

    /// Starts it once more as it was started, without waiting for it; its log goes on.
    ///
    /// # Errors
    ///
    /// When it still runs, or can't be started.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        ensure!(self.ended().is_some(), "{} still runs", self.name);
        self.child = self
            .command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        self.ended = None;
        Ok(())
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until `ready` holds.
    ///
    /// # Errors
    ///
    /// When the process ends first, `patience` runs out, or xtask is interrupted; shows the end of
    /// the log.
    pub(crate) fn wait_until(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            if interrupted() {
                bail!("interrupted");
            }
            if let Some(status) = self.ended() {
                bail!("{} ended ({status}){}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                let seconds = patience.as_secs();
                bail!(
                    "{} is not ready after {seconds} s{}",
                    self.name,
                    self.last_words()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// The last lines of the log, introduced by its path.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(TAIL).collect();
        let mut words = format!("; the end of {}:", self.log.display());
        for line in lines.iter().rev() {
            words.push_str("\n    ");
            words.push_str(line);
        }
        words
    }

    /// Asks it to end without waiting, so that several can end at the same time.
    pub(crate) fn ask_to_end(&mut self) {
        if self.ended().is_none() {
            signal(&self.child, self.stop_signal);
            // What a test has stopped does not hear of it before it goes on.
            signal(&self.child, Signal::CONT);
        }
    }

    /// Asks it to end and waits; after a while kills its whole process group.
    pub(crate) fn end(&mut self) {
        self.ask_to_end();
        end_child(&mut self.child, &mut self.ended);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for a child that was asked to end, and kills its group when it does not.
fn end_child(child: &mut Child, ended: &mut Option<ExitStatus>) {
    let deadline = Instant::now() + GRACE;
    while ended.is_none() {
        *ended = child.try_wait().ok().flatten();
        if ended.is_none() && Instant::now() > deadline {
            signal(child, Signal::KILL);
            *ended = child.wait().ok();
            return;
        }
        std::thread::sleep(POLL);
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The only failure is that the group is gone, which is what is wanted.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

/// A command that runs to its end while xtask may do something else; dropped, it is stopped.
#[derive(Debug)]
pub(crate) struct Task {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Task {
    /// Starts `command`.
    ///
    /// # Errors
    ///
    /// When the program can't be started.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, ended: None })
    }

    /// Takes the pipes to and from it; `None` unless the command has both, and the second time.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// When xtask is interrupted meanwhile.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        while !self.has_ended()? {
            if interrupted() {
                bail!("interrupted");
            }
            std::thread::sleep(POLL);
        }
        self.ended.context("ended without a status")
    }

    /// Says whether it has ended.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended.is_some())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.ended.is_none() {
            signal(&self.child, Signal::TERM);
            end_child(&mut self.child, &mut self.ended);
        }
    }
}

/// Runs `command` to its end.
///
/// # Errors
///
/// When it can't be started or xtask is interrupted.
pub(crate) fn run(command: Command) -> Result<ExitStatus> {
    Task::start(command)?.wait()
}

/// Runs `command` quietly and returns what it printed.
///
/// # Errors
///
/// When it can't be started or fails; the error holds what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} failed ({}): {}",
            program.display(),
            output.status,
            complaint.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
