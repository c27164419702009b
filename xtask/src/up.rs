//! `cargo xtask up` and `cargo xtask servers`: a running system, until Ctrl-C.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::Result;

use crate::{
    cli::Args,
    demo, endpoints,
    fetch::Source,
    places::Places,
    ports::Ports,
    process::{self, Running},
    run_dir::{Keep, RunDir},
    servers::{Durability, Programs, Servers},
    services::{self, Profile},
    system::{Options, System},
    tail::Tail,
};

/// Starts the whole system, says what runs where, and waits.
///
/// # Errors
///
/// When anything can't be fetched, built or started.
pub(crate) fn up(mut args: Args, places: &Places) -> Result<()> {
    let options = Options {
        gateways: args.option("--gateways")?.unwrap_or(2),
        stores: args.option("--stores")?.unwrap_or(1),
        port: Some(args.option("--port")?.unwrap_or(3000)),
        keep: keep(&mut args),
        durability: durability(&mut args),
        profile: if args.flag("--release") {
            Profile::Release
        } else {
            Profile::Dev
        },
        source: source(&mut args),
        traces: false,
    };
    let no_build = args.flag("--no-build");
    let file = args.path("--endpoints")?;
    args.finish()?;

    if let Some(port) = options.port {
        crate::ports::public(port)?; // Better now than after the build.
    }
    forget(file.as_deref())?;
    let build = (!no_build)
        .then(|| services::build(places, options.profile))
        .transpose()?;
    let mut system = System::start(&options, places, build)?;
    let mut tails = system
        .services()
        .map(|service| Tail::follow(&service.running.name, &service.running.log))
        .collect::<Result<Vec<_>>>()?;
    // There `cargo xtask loadtest` looks.
    let here = system.run.path.join("endpoints.json");
    system.write_endpoints(&here)?;
    if let Some(file) = &file {
        system.write_endpoints(file)?;
    }
    describe(&system);
    watch(&mut system.processes(), &mut tails);
    forget(Some(&here))?;
    println!("ending");
    Ok(())
}

/// Starts the servers alone and waits.
///
/// # Errors
///
/// When they can't be fetched or started.
pub(crate) fn servers(mut args: Args, places: &Places) -> Result<()> {
    let keep = keep(&mut args);
    let durability = durability(&mut args);
    let source = source(&mut args);
    let file = args.path("--endpoints")?;
    args.finish()?;

    forget(file.as_deref())?;
    let run = RunDir::open(places, keep)?;
    let programs = Programs::get(places, source)?;
    let mut servers = Servers::start(&programs, places, &run, &mut Ports::new(), durability)?;
    println!("DATABASE_URL={}", servers.postgres.url);
    println!("NATS_URL={}", servers.nats.url);
    println!("REDIS_URL={}", servers.redis.url);
    if let Some(file) = &file {
        endpoints::write(file, endpoints::of_servers(&servers))?;
    }
    println!("ready; Ctrl-C ends them");
    watch(&mut servers.iter_mut().collect::<Vec<_>>(), &mut []);
    Ok(())
}

fn keep(args: &mut Args) -> Keep {
    if args.flag("--ephemeral") {
        Keep::ThisRun
    } else {
        Keep::Forever
    }
}

fn source(args: &mut Args) -> Source {
    if args.flag("--system") {
        Source::System
    } else {
        Source::Private
    }
}

fn durability(args: &mut Args) -> Durability {
    if args.flag("--no-fsync") {
        Durability::None
    } else {
        Durability::Full
    }
}

/// Removes an old endpoints file, so that whoever waits for the new one does not read it.
fn forget(file: Option<&Path>) -> Result<()> {
    match file.map(fs::remove_file) {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn describe(system: &System) {
    let port = system.addresses.first().map_or(0, SocketAddr::port);
    println!("\ncare-chat is up at http://localhost:{port}");
    println!("Try it in two tabs: http://localhost:{port}/demo");
    println!(
        "What it speaks: http://localhost:{port}/api/v1/api-docs (REST), …/async-docs (sockets)\n"
    );
    for service in system.services() {
        println!(
            "  {:<9} {:<24} admin {}",
            service.running.name,
            service.url(),
            service.admin_url(),
        );
    }
    println!("  {:<9} {}", "postgres", system.servers.postgres.url);
    println!("  {:<9} {}", "nats", system.servers.nats.url);
    println!("  {:<9} {}", "redis", system.servers.redis.url);
    println!("  {:<9} {}", "coturn", system.servers.coturn.server.url);
    println!("  {:<9} {}", "logs", system.run.path.join("log").display());

    println!(
        "\nTwo people of the app `{}`, with tokens for a day:",
        demo::APP
    );
    for (person, token) in &system.demo.people {
        println!(
            "\n  {} ({}, {})\n  {token}",
            person.name, person.role, person.id
        );
    }
    let conversation = &system.demo.conversation;
    println!("\nTheir conversation is {conversation}. See it, with either token:\n");
    println!("  TOKEN=...");
    println!(
        "  curl -H \"Authorization: Bearer $TOKEN\" \
         http://localhost:{port}/api/v1/chat/conversations/{conversation}/messages"
    );
    println!("People of the other apps, whose clients connect to the root namespace:");
    for guest in &system.demo.others {
        println!(
            "\n  {} of {} ({})\n  {}",
            guest.id, guest.app, guest.role, guest.token
        );
    }
    println!(
        "\nMore tokens: cargo xtask token --user ID --role patient. Ctrl-C ends everything.\n"
    );
}

/// Says when one of `processes` dies and what the services warn of, until xtask is asked to end.
fn watch(processes: &mut [&mut Running], tails: &mut [Tail]) {
    let mut dead = Vec::new();
    while !process::interrupted() {
        for tail in tails.iter_mut() {
            tail.show();
        }
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
