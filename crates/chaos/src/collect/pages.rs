//! What services say of themselves: who is connected, by their gauges, and what no page of theirs may
//! hold.

use std::path::Path;

use anyhow::Context as _;

use super::{ME, Scene};
use crate::{history::Event, patience::until_none, workload::SDP};

impl Scene {
    /// Compares what gateways and NATS hold with who is connected, once it is so or will never be.
    ///
    /// # Errors
    ///
    /// Returns who does not answer.
    pub async fn connections(&self, sockets: u64, users: u64) -> anyhow::Result<()> {
        let mut now = (0, 0, 0);
        until_none("gateways to hold who is connected", async || {
            now = self.held().await?;
            let (of_gateways, held, interest) = now;
            Ok(
                of_gateways.abs_diff(sockets)
                    + users.saturating_sub(held)
                    + interest.abs_diff(held),
            )
        })
        .await?;
        let (of_gateways, held, interest) = now;
        let when = if sockets == 0 {
            "after all left"
        } else {
            "while all listen"
        };
        self.count(
            &format!("sockets at gateways {when}"),
            sockets,
            sockets,
            of_gateways,
        );
        let most = if users == 0 { 0 } else { u64::MAX };
        self.count(&format!("users at gateways {when}"), users, most, held);
        self.count(
            &format!("interest in users at NATS {when}"),
            held,
            held,
            interest,
        );
        Ok(())
    }

    /// Returns sockets and users at all gateways, and subscriptions for users at NATS.
    async fn held(&self) -> anyhow::Result<(u64, u64, u64)> {
        let (mut sockets, mut users) = (0, 0);
        for gateway in &self.stage.endpoints.gateways {
            let metrics = self.get(&format!("{}/metrics", gateway.admin_url)).await?;
            sockets += gauge(&metrics, "chat_gateway_sockets");
            users += gauge(&metrics, "chat_gateway_users");
        }
        let endpoints = &self.stage.endpoints;
        let mut interest = 0;
        for server in std::iter::once(&endpoints.nats).chain(&endpoints.nats_peers) {
            let url = server.monitor_url.as_ref();
            let url = url.context("NATS tells nothing about itself")?;
            let connections = self.get(&format!("{url}/connz?subs=1&limit=1024")).await?;
            interest += connections.matches(".usr.").count() as u64;
        }
        Ok((sockets, users, interest))
    }

    /// Looks into logs and metrics for what must never be there.
    ///
    /// # Errors
    ///
    /// Returns what can't be read.
    pub async fn leaks(&self, logs: &Path) -> anyhow::Result<()> {
        let mut pages = Vec::new();
        for entry in std::fs::read_dir(logs)? {
            let path = entry?.path();
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            pages.push((path.display().to_string(), text));
        }
        let endpoints = &self.stage.endpoints;
        let gateways = endpoints.gateways.iter().map(|gateway| &gateway.admin_url);
        for url in gateways.chain(endpoints.stores.iter().map(|store| &store.admin_url)) {
            let url = format!("{url}/metrics");
            pages.push((url.clone(), self.get(&url).await?));
        }
        let mut secrets = vec![("sdp", SDP), ("service token", &endpoints.service_token)];
        let talks = self.all_talks();
        secrets.extend(talks.iter().map(|talk| ("content", talk.canary.as_str())));
        for person in &self.people {
            // What signs it: the rest of a token is the same in all.
            let signature = person.user.token.rsplit('.').next().unwrap_or_default();
            secrets.push(("token", signature));
        }
        for (key, result) in leaks(&pages, &secrets) {
            self.stage.recorder.note(ME, Event::Leak { key, result });
        }
        Ok(())
    }
}

/// Returns which kind of secret is on which page.
fn leaks(pages: &[(String, String)], secrets: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (page, text) in pages {
        for (kind, secret) in secrets {
            if text.contains(secret) {
                found.push((page.clone(), (*kind).to_owned()));
            }
        }
    }
    found.dedup();
    found
}

/// Adds up the samples of a gauge.
fn gauge(metrics: &str, name: &str) -> u64 {
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_sample = rest.starts_with([' ', '{']);
        rest.rsplit(' ')
            .next()?
            .parse::<u64>()
            .ok()
            .filter(|_| is_sample)
    });
    samples.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_log_is_found_and_not_repeated() {
        let pages = [
            ("a.log".to_owned(), "all is well".to_owned()),
            ("b.log".to_owned(), "sent canary-1 to nobody".to_owned()),
        ];

        let found = leaks(&pages, &[("content", "canary-1"), ("token", "abc")]);

        assert_eq!(found, [("b.log".to_owned(), "content".to_owned())]);
    }

    #[test]
    fn a_gauge_is_not_one_whose_name_begins_alike() {
        let metrics = "# TYPE x gauge\nx{a=\"1\"} 2\nx 3\nx_total 7\n";

        assert_eq!(gauge(metrics, "x"), 5);
    }
}
