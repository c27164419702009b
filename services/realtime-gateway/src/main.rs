//! The process of the realtime gateway.

use std::process::ExitCode;

use clap::Parser as _;
use realtime_gateway::{config::Config, wiring};

fn main() -> ExitCode {
    let config = Config::parse();
    if config.lifecycle.probe {
        return service_kit::probe(config.admin_listen, &config.tls);
    }
    let (telemetry, tls, admin) = (
        config.telemetry.clone(),
        config.tls.clone(),
        config.admin_listen,
    );
    service_kit::run("realtime-gateway", &telemetry, admin, &tls, |service| {
        wiring::start(service, config)
    })
}
