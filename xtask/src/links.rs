//! What stands between services and the world: nothing, or a proxy of each service's own in front of
//! each server, and a clock of its own.

use std::path::PathBuf;

/// A proxy on loopback, for one service, in front of one server.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Who goes through it, by name.
    pub(crate) service: String,
    /// What is behind it.
    pub(crate) server: &'static str,
    /// Where it listens.
    pub(crate) port: u16,
    /// Where the server listens, on loopback.
    pub(crate) target: u16,
    /// The port in the URLs that it stands for: where several servers are one, another one's.
    pub(crate) known: u16,
}

/// What a service takes for the time of day: what `library`, preloaded, reads in a file of `folder`.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    pub(crate) library: PathBuf,
    pub(crate) folder: PathBuf,
}

/// Every proxy of a run. Whoever has none goes to the server itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    pub(crate) all: Vec<Link>,
    pub(crate) clocks: Option<Clocks>,
}

impl Links {
    /// Returns `url` of a server as `service` is to know it.
    pub(crate) fn url(&self, service: &str, url: &str) -> String {
        let port = port(url);
        let of_both = |link: &&Link| link.service == service && Some(link.known) == port;
        let link = self.all.iter().find(of_both);
        link.map_or_else(|| url.to_owned(), |link| moved(url, link.port))
    }

    /// Returns the environment that gives `service` a clock of its own, if it has one.
    pub(crate) fn clock(&self, service: &str) -> Vec<(&'static str, PathBuf)> {
        self.clocks.as_ref().map_or_else(Vec::new, |clocks| {
            vec![
                ("LD_PRELOAD", clocks.library.clone()),
                ("CHAOS_CLOCK", clocks.folder.join(service)),
            ]
        })
    }
}

/// Returns `url` with another loopback port in place of the one that it names.
pub(crate) fn moved(url: &str, to: u16) -> String {
    match port(url) {
        Some(port) => url.replacen(&address(port), &address(to), 1),
        None => url.to_owned(),
    }
}

/// Returns the loopback port that a URL names.
pub(crate) fn port(url: &str) -> Option<u16> {
    let (_, rest) = url.split_once(&address(""))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn address(port: impl std::fmt::Display) -> String {
    format!("127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_service_that_a_proxy_is_for_goes_through_it() {
        let links = Links {
            all: vec![Link {
                service: "s1".to_owned(),
                server: "postgres",
                port: 7,
                target: 5432,
                known: 5432,
            }],
            clocks: None,
        };
        let url = "postgres://chat:secret@127.0.0.1:5432/chat";

        assert_eq!(
            links.url("s1", url),
            "postgres://chat:secret@127.0.0.1:7/chat"
        );
        assert_eq!(links.url("s2", url), url);
        assert_eq!(
            links.url("s1", "nats://127.0.0.1:54321"),
            "nats://127.0.0.1:54321"
        );
    }
}
