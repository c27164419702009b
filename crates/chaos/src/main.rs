//! Runs the fault suite, for `cargo xtask chaos`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use chaos::{
    checker,
    clocks::Clocks,
    control::Control,
    faults::site::{self, Pids},
    history::Record,
    patience::GaveUp,
    proxy::Link,
    report::{self, Total},
    round::{self, Rig},
};
use clap::Parser;
use load_kit::Endpoints;
use sqlx::postgres::PgPoolOptions;
use tokio::signal::unix::{SignalKind, signal};

/// The exit status where nothing can be said; `xtask/src/chaos.rs` has it, too.
const GAVE_UP: u8 = 3;

/// The links that the suite itself goes through.
const OWN: &str = "suite";

#[derive(Debug, Parser)]
#[command(
    name = "chaos",
    version,
    about = "The fault suite; `cargo xtask chaos` runs it"
)]
struct Args {
    /// Repeats the choices of an earlier run. Default: the time.
    #[arg(long)]
    seed: Option<u64>,
    /// Rounds until there were so many faults. Default: one round, each kind once.
    #[arg(long)]
    faults: Option<u64>,
    /// Rounds until there was a violation, `--faults`, or Ctrl-C.
    #[arg(long)]
    long: bool,
    /// Keeps the histories without violations, too.
    #[arg(long)]
    keep: bool,
    /// Only judges this history again.
    #[arg(long)]
    check: Option<PathBuf>,
    /// Where histories go.
    #[arg(long, default_value = "target/chaos")]
    evidence: PathBuf,
    /// A proxy: `SERVICE/SERVER=PORT:TARGET`.
    #[arg(long = "link", value_parser = parse_link)]
    links: Vec<Way>,
    /// Where each service's clock is.
    #[arg(long, default_value = "target/chaos/clocks")]
    clocks: PathBuf,
}

#[derive(Debug, Clone)]
struct Way {
    service: String,
    server: String,
    port: u16,
    target: u16,
}

fn parse_link(text: &str) -> Result<Way, String> {
    let parse = || {
        let (names, ports) = text.split_once('=')?;
        let (service, server) = names.split_once('/')?;
        let (port, target) = ports.split_once(':')?;
        Some(Way {
            service: service.to_owned(),
            server: server.to_owned(),
            port: port.parse().ok()?,
            target: target.parse().ok()?,
        })
    };
    parse().ok_or_else(|| format!("{text:?} is no link"))
}

#[tokio::main]
async fn main() -> ExitCode {
    match suite(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::say(&format!("{error:#}"));
            if error.is::<GaveUp>() {
                ExitCode::from(GAVE_UP)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn judge(history: &Path) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(history)?;
    let records: Vec<Record> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let violations = checker::check(&records);
    let mut total = Total::default();
    let is_ok = violations.is_empty();
    total.judge(violations);
    total.tell();
    Ok(is_ok)
}

async fn suite(args: Args) -> anyhow::Result<bool> {
    if let Some(history) = &args.check {
        return judge(history);
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    std::fs::create_dir_all(&args.evidence)?;
    let mut links = Vec::new();
    for Way {
        service,
        server,
        port,
        target,
    } in &args.links
    {
        links.push(Link::open(service, server, *port, *target).await?);
    }
    let (control, file) = Control::ready().await?;
    let endpoints = Endpoints::load(&file)?;
    // Its own way to Postgres, which is never broken and leads to the one that there is.
    let own = args.links.iter().find(|way| way.service == OWN);
    let database = own.and_then(|way| site::at_port(&endpoints.postgres.url, way.port));
    let pids = Pids::of(&endpoints);
    let rig = Rig {
        control: control.clone(),
        database: PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&database.context("the suite has no way to Postgres")?)?,
        pids: pids.clone(),
        links: Arc::new(links),
        clocks: Clocks(args.clocks.clone()),
        http: reqwest::Client::builder().build()?,
        logs: file.parent().context("no folder")?.join("log"),
        endpoints,
    };

    let mut total = Total::default();
    let mut ends = signal(SignalKind::terminate())?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let outcome = tokio::select! {
        outcome = rounds(&args, &rig, &mut total) => outcome,
        _ = ends.recv() => Err(anyhow::anyhow!("ended from outside")),
        _ = interrupts.recv() => Err(anyhow::anyhow!("ended from outside")),
    };
    pids.resume_all();
    for link in rig.links.iter() {
        link.heal();
    }
    total.tell();
    let is_ok = outcome.is_ok() && total.is_ok();
    control.over(is_ok).await;
    outcome.map(|()| is_ok)
}

async fn rounds(args: &Args, rig: &Rig, total: &mut Total) -> anyhow::Result<()> {
    let mut seed = match args.seed {
        Some(seed) => seed,
        None => time::OffsetDateTime::now_utc()
            .unix_timestamp()
            .unsigned_abs(),
    };
    let least = Duration::from_secs(if args.long { 60 } else { 30 });
    let wanted = args.faults.unwrap_or(if args.long { u64::MAX } else { 1 });
    while total.n_faults() < wanted {
        report::say(&format!("seed {seed}"));
        let history = args.evidence.join(format!("{seed}.jsonl"));
        let verdict = round::run(rig, seed, &history, least).await?;
        let is_clean = verdict.violations.is_empty();
        total.add(seed, verdict);
        if !is_clean {
            report::say(&format!("the history is in {}", history.display()));
            return Ok(());
        }
        if !args.keep {
            std::fs::remove_file(&history)?;
        }
        seed += 1;
    }
    Ok(())
}
