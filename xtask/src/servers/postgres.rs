//! Postgres, as another user when xtask is root's.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Durability, PATIENCE, Server, data_dir};
use crate::{
    find::Program,
    links,
    ports::Ports,
    process::{self, Running},
    run_dir::RunDir,
    secret, tied,
    user::User,
};

/// The superuser and the database of the services.
const NAME: &str = "chat";

/// What fits into the address of a Unix socket, with the socket's own name taken off.
const LONGEST_SOCKET_DIR: usize = 80;

/// Starts Postgres and waits until it accepts connections; makes its data at the first start.
///
/// # Errors
///
/// When it does not start; shows the end of its log.
pub(crate) fn start(
    program: &Program,
    run: &RunDir,
    ports: &mut Ports,
    durability: Durability,
) -> Result<Server> {
    let user = User::in_place_of_root()?;
    let home = data_dir(run, "postgres")?;
    if let Some(user) = user {
        user.own(&home)?;
    }
    let data = home.join("data");
    let password = secret::kept(&run.path.join("postgres.password"))?;
    if !data.join("PG_VERSION").exists() {
        create(program, &home, &data, &password, user)?;
    }
    check_version(program, &data)?;

    let port = ports.take()?;
    let mut command = server(program, &home, &data, port, user);
    if durability == Durability::None {
        command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        command.args(["-c", "synchronous_commit=off"]);
    }
    // SIGINT is Postgres' fast shutdown: roll back and end; SIGTERM would wait for clients.
    let mut running = Running::start("postgres", command, &run.log("postgres"), Signal::INT)?;
    let state = data.join("postmaster.pid");
    let pid = running.pid().to_string();
    running.wait_until(PATIENCE, || is_ready(&state, &pid))?;
    Ok(Server {
        url: format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{NAME}"),
        monitor_url: None,
        running,
    })
}

/// How to serve `data` on a port of loopback.
fn server(program: &Program, home: &Path, data: &Path, port: u16, user: Option<User>) -> Command {
    let mut command = quiet(program, user);
    command.arg("-D").arg(data);
    let socket_dir = if home.as_os_str().len() > LONGEST_SOCKET_DIR {
        String::new()
    } else {
        home.display().to_string()
    };
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={socket_dir}"),
        // Several services and a test suite, each with a pool.
        "max_connections=300".to_owned(),
        "jit=off".to_owned(),
        "log_min_messages=warning".to_owned(),
    ] {
        command.args(["-c", &setting]);
    }
    command
}

/// A copy of a running Postgres that will follow it, and may take its place.
#[derive(Debug)]
pub(crate) struct Standby {
    /// Makes the copy, and ends.
    pub(crate) copying: Running,
    /// How it is started when the copy is there.
    command: Command,
    port: u16,
    log: PathBuf,
}

impl Standby {
    /// Begins to copy a running server into the folder of `port`.
    ///
    /// # Errors
    ///
    /// When the program that copies can't be started.
    pub(crate) fn copy(program: &Program, run: &RunDir, of: &Server, port: u16) -> Result<Self> {
        let user = User::in_place_of_root()?;
        let home = data_dir(run, "postgres")?;
        let data = home.join(format!("data-{port}"));
        let _ = fs::remove_dir_all(&data); // Of one before, or not there.
        let mut command = quiet(&program.neighbour("pg_basebackup"), user);
        command.arg("--pgdata").arg(&data);
        command.args(["--dbname", &of.url, "--write-recovery-conf"]);
        // A power cut would do the copy no harm that matters.
        command.args(["--checkpoint", "fast", "--no-sync"]);
        let log = run.log("postgres-copy");
        Ok(Self {
            copying: Running::start("copy", command, &log, Signal::INT)?,
            command: server(program, &home, &data, port, user),
            port,
            log: run.log(&format!("postgres-{port}")),
        })
    }

    /// Starts the copy as the standby of that server, without waiting for it.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub(crate) fn start(self, of: &Server) -> Result<Server> {
        Ok(Server {
            url: links::moved(&of.url, self.port),
            monitor_url: None,
            running: Running::start("postgres", self.command, &self.log, Signal::INT)?,
        })
    }
}

/// The logins of the services: their names, and the roles to which migrations grant what they may.
const LOGINS: [(&str, &str); 2] = [("store", "chat_service"), ("custodian", "chat_custodian")];

/// Makes the logins of the services, and returns the URL of each, in that order.
///
/// # Errors
///
/// When the server refuses one.
pub(crate) fn logins(program: &Program, run: &RunDir, server: &Server) -> Result<[String; 2]> {
    let mut urls = [String::new(), String::new()];
    for ((login, role), url) in LOGINS.into_iter().zip(&mut urls) {
        let password = secret::kept(&run.path.join(format!("{login}.password")))?;
        // They may be there from a run before.
        let make = |name: &str, what: &str| {
            format!(
                "DO $$ BEGIN CREATE ROLE {name} {what}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            )
        };
        let script = [
            make(role, "NOLOGIN"),
            make(login, "LOGIN"),
            format!("ALTER ROLE {login} PASSWORD '{password}'; GRANT {role} TO {login};"),
        ]
        .concat();
        let mut psql = program.neighbour("psql").command();
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]);
        psql.args(["--command", &script]).arg(&server.url);
        process::output(&mut psql).context("the logins of the services could not be made")?;
        let (_, place) = server.url.rsplit_once('@').context("no address")?;
        *url = format!("postgres://{login}:{password}@{place}");
    }
    Ok(urls)
}

/// Makes a cluster whose only role is a superuser with a password, and the database.
///
/// Under another name until it is complete, so that a start cut short leaves nothing half made.
fn create(
    program: &Program,
    home: &Path,
    data: &Path,
    password: &str,
    user: Option<User>,
) -> Result<()> {
    let half_made = home.join("arriving");
    let password_file = home.join("password");
    let _ = fs::remove_dir_all(&half_made); // Left by a run that was cut off, or not there.
    fs::write(&password_file, password)?;
    if let Some(user) = user {
        user.own(&password_file)?;
    }

    let mut command = quiet(&program.neighbour("initdb"), user);
    command.arg("--pgdata").arg(&half_made);
    // In the clear, over loopback: SCRAM takes thousands of hashes, a tenth of a second and more in
    // services built without optimisation, for each of their connections.
    command.args(["--username", NAME, "--auth", "password"]);
    command.args([
        "--locale",
        "C.UTF-8",
        "--encoding",
        "UTF8",
        "--no-instructions",
    ]);
    command.arg("--pwfile").arg(&password_file);
    process::output(&mut command).context("the database could not be created")?;
    fs::remove_file(&password_file)?;

    let mut single = quiet(program, user)
        .args(["--single", "-D"])
        .arg(&half_made)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = single.stdin.take() {
        input.write_all(format!("CREATE DATABASE {NAME}\n").as_bytes())?;
    }
    let status = single.wait()?;
    ensure!(
        status.success(),
        "the database could not be created ({status})"
    );
    fs::rename(&half_made, data)?;
    Ok(())
}

fn quiet(program: &Program, user: Option<User>) -> Command {
    let mut command = tied::command(&program.path, user);
    program.prepare(&mut command);
    command
}

/// Refuses data of another major version with words that help.
fn check_version(program: &Program, data: &Path) -> Result<()> {
    let of_data = fs::read_to_string(data.join("PG_VERSION"))?;
    let of_program = process::output(program.command().arg("--version"))?;
    let major = of_program
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse::<u32>().ok());
    ensure!(
        major.is_none_or(|major| major.to_string() == of_data.trim()),
        "the data in {} was written by Postgres {}, and this is {}. \
         Delete the folder to start afresh, or use --ephemeral",
        data.display(),
        of_data.trim(),
        of_program.trim(),
    );
    Ok(())
}

/// Reads the state that Postgres itself keeps for `pg_ctl`: the process on the first line, and
/// `ready` on the eighth as soon as connections are accepted.
fn is_ready(state: &Path, pid: &str) -> bool {
    let text = fs::read(state).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.next() == Some(pid.as_bytes()) && lines.nth(6) == Some(b"ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgres_is_ready_when_its_own_state_says_so() {
        let state = std::env::temp_dir().join(format!("xtask-ready-{}", std::process::id()));

        fs::write(
            &state,
            "17\n/data\n1\n5432\n/run\n127.0.0.1\n  9 0\nstarting\n",
        )
        .unwrap();
        assert!(!is_ready(&state, "17"));
        fs::write(
            &state,
            "17\n/data\n1\n5432\n/run\n127.0.0.1\n  9 0\nready   \n",
        )
        .unwrap();
        assert!(is_ready(&state, "17"));
        assert!(!is_ready(&state, "18"));

        fs::remove_file(state).unwrap();
    }
}
