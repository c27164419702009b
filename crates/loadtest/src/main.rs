//! Load generator and benchmarks. `cargo xtask bench` starts a system and runs this against it;
//! `cargo xtask loadtest` runs it against one that is there.
//!
//! Every figure of the benchmarks is printed beside a yardstick that was measured in the same run, since machines
//! differ. It opens sockets only to the addresses in the endpoints file.

mod abuse;
mod calls;
mod device;
mod idle;
mod latency;
mod load;
mod machine;
mod peak;
mod recovery;
mod report;
mod rolling;
mod yardstick;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use load_kit::{client, endpoints, users};

use crate::{endpoints::Endpoints, report::Report};

#[derive(Debug, Parser)]
#[command(name = "loadtest", version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures a running system and prints a table of figures.
    Bench(BenchArgs),
    /// Puts a load on a deployment, and tells what was lost, doubled, out of order or late.
    Run(load::LoadArgs),
    /// Accepts connections and does nothing with them: what a socket costs at the least.
    #[command(hide = true)]
    HoldSockets,
}

#[derive(Debug, clap::Args)]
struct BenchArgs {
    /// The file that `cargo xtask up --endpoints` wrote.
    #[arg(long)]
    endpoints: PathBuf,
    /// Idle authenticated sockets to hold on the first gateway. The limit on open files must allow
    /// as many here and there.
    #[arg(long, default_value_t = 15_000)]
    sockets: usize,
    /// Conversations that carry the messages, each between two sockets on two gateways.
    #[arg(long, default_value_t = 200)]
    conversations: usize,
    /// Messages a second while latency is measured.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Measures this alone.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// What measures the append function alone: the built example `append_yardstick`.
    #[arg(long)]
    append_yardstick: PathBuf,
    /// Where to write the figures as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// From socket to socket at a fixed rate.
    Latency,
    /// The same while others abuse the service.
    Abuse,
    /// The most that goes through.
    Peak,
    /// Memory of idle sockets.
    Idle,
    /// Clients that come back.
    Recovery,
    /// Setting up and ending calls.
    Calls,
    /// Every replica restarted under load.
    Rolling,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    // There is one at most: nothing was connected before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let is_right = match Args::parse().command {
        Command::Bench(args) => bench(&args).await.map(|()| true),
        Command::Run(args) => load::run(&args).await,
        Command::HoldSockets => yardstick::hold_sockets().await.map(|()| true),
    };
    Ok(if is_right? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn bench(args: &BenchArgs) -> anyhow::Result<()> {
    let endpoints = Endpoints::load(&args.endpoints)?;
    let mut report = Report::new();

    report.progress("making conversations");
    let pairs = users::pairs(&endpoints, args.conversations).await?;

    let wants = |part| args.only.is_none_or(|only| only == part);
    if wants(Part::Latency) {
        report.progress("latency at a fixed rate");
        // The run's own folder, where its Postgres writes.
        let disk = args.endpoints.parent().unwrap_or(Path::new("."));
        let (rate, seconds) = (args.rate, args.seconds);
        latency::measure(&mut report, &endpoints, &pairs, rate, seconds, disk).await?;
    }
    if wants(Part::Abuse) {
        abuse::measure(&mut report, &endpoints, &pairs, args.rate, args.seconds).await?;
    }
    if wants(Part::Peak) {
        report.progress("the append function alone");
        let alone = yardstick::append_function(&args.append_yardstick, &endpoints, args.seconds)?;
        report.progress("peak rate, end to end");
        peak::measure(&mut report, &endpoints, &pairs, args.seconds, &alone).await?;
    }
    if wants(Part::Idle) {
        report.progress("idle sockets");
        idle::measure(&mut report, &endpoints, args.sockets).await?;
    }
    if wants(Part::Recovery) {
        recovery::measure(&mut report, &endpoints, &pairs).await?;
    }
    if wants(Part::Calls) {
        calls::measure(&mut report, &endpoints, &pairs).await?;
    }
    if wants(Part::Rolling) {
        // Last: the processes that the file names are others afterwards.
        rolling::measure(&mut report, &endpoints, &pairs).await?;
    }

    report.finish(args.json.as_deref())
}
