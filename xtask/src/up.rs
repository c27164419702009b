//! `cargo xtask up` and `cargo xtask servers`: a running system, until Ctrl-C.

use anyhow::Result;

use crate::{
    cli::Args,
    endpoints,
    places::Places,
    ports::Ports,
    process::{self, Running},
    run_dir::{Keep, RunDir},
    servers::{Durability, Programs, Servers},
};

/// Starts the servers alone and waits.
///
/// # Errors
///
/// When they can't be fetched or started.
pub(crate) fn servers(mut args: Args, places: &Places) -> Result<()> {
    let keep = keep(&mut args);
    let durability = if args.flag("--no-fsync") {
        Durability::None
    } else {
        Durability::Full
    };
    let install = args.flag("--system");
    let file = args.path("--endpoints")?;
    args.finish()?;

    let run = RunDir::open(places, keep)?;
    let programs = Programs::get(places, install)?;
    let mut servers = Servers::start(&programs, &run, &mut Ports::new(), durability)?;
    println!("DATABASE_URL={}", servers.postgres.url);
    println!("NATS_URL={}", servers.nats.url);
    println!("REDIS_URL={}", servers.redis.url);
    if let Some(file) = &file {
        endpoints::write(file, endpoints::of_servers(&servers))?;
    }
    println!("ready; Ctrl-C ends them");
    watch(&mut servers.iter_mut().collect::<Vec<_>>());
    Ok(())
}

fn keep(args: &mut Args) -> Keep {
    if args.flag("--ephemeral") {
        Keep::ThisRun
    } else {
        Keep::Forever
    }
}

/// Says when one of `processes` dies, until xtask is asked to end.
fn watch(processes: &mut [&mut Running]) {
    let mut dead = Vec::new();
    while !process::interrupted() {
        for running in processes.iter_mut() {
            if let Some(status) = running.ended()
                && !dead.contains(&running.pid())
            {
                dead.push(running.pid());
                eprintln!("{} ended ({status}){}", running.name, running.last_words());
            }
        }
        std::thread::sleep(process::POLL);
    }
}
