//! Entry point: reads the settings and hands over.

use std::{io::Write as _, process::ExitCode};

use chat_store::{
    config::{Cli, Command, MigrateConfig, VerifyConfig},
    wiring,
};

fn main() -> ExitCode {
    match Cli::read().command {
        Command::Serve(config) if config.lifecycle.probe => {
            service_kit::probe(config.admin_listen, &config.tls)
        }
        Command::Serve(config) => {
            let (telemetry, tls, admin) = (
                config.telemetry.clone(),
                config.tls.clone(),
                config.admin_listen,
            );
            service_kit::run("chat-store", &telemetry, admin, &tls, |service| {
                wiring::start(*config, service)
            })
        }
        Command::Migrate(config) => migrate(&config),
        Command::VerifyAudit(config) => verify_audit(&config),
    }
}

fn migrate(config: &MigrateConfig) -> ExitCode {
    match block_on(wiring::migrate(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("migrate", &error),
    }
}

fn verify_audit(config: &VerifyConfig) -> ExitCode {
    let chains = match block_on(wiring::verify_audit(config)) {
        Ok(chains) => chains,
        Err(error) => return failed("verify-audit", &error),
    };
    for chain in &chains {
        drop(write!(std::io::stdout(), "{chain}"));
    }
    if chains.iter().all(|chain| chain.findings.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn failed(command: &str, error: &anyhow::Error) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(
        std::io::stderr(),
        "chat-store {command}: {error:#}"
    ));
    ExitCode::FAILURE
}
