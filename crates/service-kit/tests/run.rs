//! Whole lives of a process, from its start to its exit code.
//!
//! Each test starts this test binary again, with [`ROLE`] set: that child runs a service.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
};

use anyhow::Context as _;
use serde_json::Value;
use service_kit::{LogFormat, OtlpEndpoint, Service, TelemetryArgs, TlsArgs};

/// Says which service a child process is.
const ROLE: &str = "SERVICE_KIT_TEST_ROLE";

/// Says where the certificate of its ports is, and its key, if they have one.
const TLS: [&str; 2] = ["SERVICE_KIT_TEST_CERTIFICATE", "SERVICE_KIT_TEST_KEY"];

/// Says on which address its admin port is.
const ADMIN: &str = "SERVICE_KIT_TEST_ADMIN";

#[test]
fn child_process_of_the_other_tests() {
    if let Ok(role) = std::env::var(ROLE) {
        let admin = std::env::var(ADMIN).unwrap().parse().unwrap();
        let code = run_as(&role, admin);
        std::process::exit(i32::from(code != ExitCode::SUCCESS));
    }
}

fn run_as(role: &str, admin: SocketAddr) -> ExitCode {
    let telemetry = TelemetryArgs {
        log_format: LogFormat::Json,
        log_filter: "info".to_owned(),
        otlp_endpoint: OtlpEndpoint::default(),
        trace_sample: 0.0,
    };
    let [tls_cert_file, tls_key_file] = TLS.map(|name| std::env::var_os(name).map(PathBuf::from));
    let tls = TlsArgs {
        tls_cert_file,
        tls_key_file,
    };
    service_kit::run("chat-store", &telemetry, admin, &tls, async |service| {
        match role {
            "worker" => works_until_stdin_ends(&service),
            "stuck" => service.lifecycle.spawn("stuck", std::future::pending()),
            "broken" => service
                .lifecycle
                .spawn("broken", async { panic!("with a secret") }),
            "slow start" => std::future::pending().await,
            _ => return Err(std::io::Error::other("no route")).context("connecting to Postgres"),
        }
        Ok(())
    })
}

/// Spawns a task whose drain the test can hold up.
fn works_until_stdin_ends(service: &Service) {
    let soft = service.lifecycle.soft();
    service.lifecycle.spawn("worker", async move {
        soft.cancelled().await;
        let stdin = || std::io::read_to_string(std::io::stdin());
        let read = tokio::task::spawn_blocking(stdin).await.unwrap();
        assert_eq!(read.unwrap(), "");
    });
}

struct Process {
    child: Child,
    log: BufReader<ChildStdout>,
    stdin: Option<ChildStdin>,
}

impl Process {
    fn start(role: &str, admin: SocketAddr) -> Self {
        Self::start_with(role, admin, &TlsArgs::default())
    }

    fn start_with(role: &str, admin: SocketAddr, tls: &TlsArgs) -> Self {
        let files = [&tls.tls_cert_file, &tls.tls_key_file];
        let files = TLS.into_iter().zip(files);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_process_of_the_other_tests", "--nocapture"])
            .env(ROLE, role)
            .env(ADMIN, admin.to_string())
            .envs(files.filter_map(|(name, file)| Some((name, file.as_ref()?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            log: BufReader::new(child.stdout.take().unwrap()),
            stdin: child.stdin.take(),
            child,
        }
    }

    fn start_anywhere(role: &str) -> Self {
        Self::start(role, ([127, 0, 0, 1], 0).into())
    }

    /// Reads the log up to a message.
    fn logged(&mut self, message: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            let n_bytes = self.log.read_line(&mut line).unwrap();
            assert!(n_bytes > 0, "the log ended without {message:?}");
            // The test harness of the child writes lines of its own.
            if let Ok(entry) = serde_json::from_str::<Value>(&line)
                && entry["message"] == message
            {
                return entry;
            }
        }
    }

    fn admin_address(&mut self) -> String {
        let entry = self.logged("admin port is open");
        entry["admin.address"].as_str().unwrap().to_owned()
    }

    fn signal(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, and returns the exit code, the rest of the log, and standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut log, mut errors) = (String::new(), String::new());
        self.log.read_to_string(&mut log).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), log, errors)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        drop(self.child.kill());
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ready_in_the_end(address: &str) {
    while !get(address, "/readyz").starts_with("HTTP/1.0 200") {
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_drains_and_the_exit_is_clean() {
    let mut process = Process::start_anywhere("worker");
    let address = process.admin_address();
    ready_in_the_end(&address);
    assert!(get(&address, "/healthz").starts_with("HTTP/1.0 200"));
    assert!(get(&address, "/metrics").starts_with("HTTP/1.0 200"));
    let probe = || service_kit::probe(address.parse().unwrap(), &TlsArgs::default());
    assert_eq!(probe(), ExitCode::SUCCESS);

    process.signal();
    process.logged("draining");
    assert_eq!(probe(), ExitCode::FAILURE);
    let answer = get(&address, "/readyz");
    assert!(answer.starts_with("HTTP/1.0 503"), "{answer}");
    assert!(answer.contains("draining"), "{answer}");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.0 200"));
    process.stdin = None;

    let (code, _, errors) = process.end();
    assert_eq!(code, Some(0), "{errors}");
}

/// A certificate of nobody's, and its key.
fn certificate(folder: &Path, name: &str) -> TlsArgs {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let [cert, key] = ["cert", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    TlsArgs {
        tls_cert_file: Some(cert),
        tls_key_file: Some(key),
    }
}

#[test]
fn the_admin_port_speaks_tls_alone_and_its_own_probe_understands_it() {
    let folder = std::env::temp_dir().join(format!("tls-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).unwrap();
    let (own, other) = (certificate(&folder, "own"), certificate(&folder, "other"));
    let anywhere = ([127, 0, 0, 1], 0).into();
    let mut process = Process::start_with("worker", anywhere, &own);
    let address = process.admin_address();
    let probe = |tls| service_kit::probe(address.parse().unwrap(), tls);

    while probe(&own) != ExitCode::SUCCESS {
        std::thread::yield_now();
    }
    // Its files may have been renewed since it read them.
    assert_eq!(probe(&other), ExitCode::SUCCESS);
    assert_eq!(probe(&TlsArgs::default()), ExitCode::FAILURE);

    process.signal();
    process.stdin = None;
    assert_eq!(process.end().0, Some(0));

    let swapped = TlsArgs {
        tls_key_file: other.tls_key_file,
        ..own
    };
    let (code, _, errors) = Process::start_with("worker", anywhere, &swapped).end();
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("own.cert and its key cannot be used"),
        "{errors}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_second_signal_drops_what_hangs() {
    let mut process = Process::start_anywhere("stuck");
    let address = process.admin_address();
    ready_in_the_end(&address);

    process.signal();
    process.logged("draining");
    process.signal();
    process.logged("second signal: dropping what is in flight");

    assert_eq!(process.end().0, Some(1));
}

#[test]
fn a_task_that_panics_ends_the_process_without_its_words() {
    let (code, log, errors) = Process::start_anywhere("broken").end();

    assert_eq!(code, Some(1), "{errors}");
    assert!(log.contains("task broken panicked"), "{log}");
    assert!(!(log + &errors).contains("with a secret"));
}

#[test]
fn a_start_that_hangs_can_be_ended() {
    let mut process = Process::start_anywhere("slow start");
    let address = process.admin_address();
    assert!(get(&address, "/readyz").contains("starting"));

    process.signal();

    assert_eq!(process.end().0, Some(0));
}

#[test]
fn a_start_that_fails_says_why_in_one_line() {
    let (code, _, errors) = Process::start_anywhere("failing").end();

    assert_eq!(code, Some(1));
    assert_eq!(
        errors.trim(),
        "chat-store could not start: connecting to Postgres: no route"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let (code, _, errors) = Process::start("worker", address).end();

    assert_eq!(code, Some(1));
    assert!(errors.contains(&address.to_string()), "{errors}");
    assert!(errors.contains("STORE_ADMIN_LISTEN"), "{errors}");
}
