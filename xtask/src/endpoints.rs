//! The endpoints file: what runs where, as JSON, for tests and tools.

use std::path::Path;

use anyhow::Result;

use crate::{
    json, secret,
    servers::{Server, Servers, coturn::Relay},
};

/// Writes `members` as one object, whole or not at all: whoever waits for the file can read it.
///
/// # Errors
///
/// When the file can't be written.
pub(crate) fn write(file: &Path, members: Vec<(&str, String)>) -> Result<()> {
    secret::write_private(file, &format!("{}\n", json::object(members)))
}

/// The members that describe the servers.
pub(crate) fn of_servers(servers: &Servers) -> Vec<(&'static str, String)> {
    vec![
        ("postgres", of_server(&servers.postgres)),
        ("nats", of_server(&servers.nats)),
        (
            "nats_peers",
            json::array(servers.cluster.peers.iter().map(of_server)),
        ),
        ("redis", of_server(&servers.redis)),
        ("turn", of_relay(&servers.coturn)),
    ]
}

fn of_server(server: &Server) -> String {
    json::object(about(server))
}

fn of_relay(relay: &Relay) -> String {
    let secret = ("secret", json::string(&relay.secret));
    json::object(about(&relay.server).into_iter().chain([secret]))
}

fn about(server: &Server) -> Vec<(&'static str, String)> {
    let monitor = server.monitor_url.as_deref().map(json::string);
    [
        ("url", json::string(&server.url)),
        ("pid", server.running.pid().to_string()),
    ]
    .into_iter()
    .chain(monitor.map(|url| ("monitor_url", url)))
    .collect()
}
