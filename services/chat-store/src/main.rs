//! Entry point: reads the settings and hands over.

use std::{io::Write as _, process::ExitCode};

use chat_store::{
    config::{Cli, Command, MigrateConfig},
    wiring,
};

fn main() -> ExitCode {
    match Cli::read().command {
        Command::Serve(config) if config.lifecycle.probe => service_kit::probe(config.admin_listen),
        Command::Serve(config) => {
            let (telemetry, admin) = (config.telemetry.clone(), config.admin_listen);
            service_kit::run("chat-store", &telemetry, admin, |service| {
                wiring::start(*config, service)
            })
        }
        Command::Migrate(config) => migrate(&config),
    }
}

fn migrate(config: &MigrateConfig) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(wiring::migrate(config)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            drop(writeln!(std::io::stderr(), "chat-store migrate: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
