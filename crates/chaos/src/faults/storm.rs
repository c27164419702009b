//! Everybody loses the connection at once, a thousand idle sockets among them, and comes back.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use load_kit::{Client, User};
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, Site};
use crate::{people::HASTY, rng::Rng};

/// Sockets that do nothing, one for each of as many users.
const IDLE: u64 = 1_000;
/// How many of them connect at the same time before the fault; in it, all do.
const ARRIVING: usize = 32;
/// How long connecting may take; the stock client waits for 20 s.
const CONNECT: Duration = Duration::from_secs(20);

/// The load balancer ends, and every connection through it with it.
pub(super) async fn storm(site: Site, mut rng: Rng) -> anyhow::Result<Vec<String>> {
    let all: Vec<Guest> = stream::iter(0..IDLE)
        .map(|number| Guest::arrive(&site, rng.fork(&number.to_string())))
        .buffer_unordered(ARRIVING)
        .try_collect()
        .await?;
    let n_idle = all.len();

    let returns = stream::iter(all)
        .map(|mut guest| async move {
            while guest.socket.next().await.is_ok() {}
            guest.come_back().await
        })
        .buffer_unordered(n_idle)
        .try_collect::<Vec<Guest>>();
    let pause = rng.millis(0, 500);
    // Everybody listens until it happens, so that all of them come back at the same time.
    let (restarted, returned) = tokio::join!(site.replace("haproxy", pause), returns);
    restarted?;
    let n_back = returned?.len();
    Ok(vec!["haproxy".to_owned(), format!("{n_back} idle sockets")])
}

/// Who has an idle socket.
struct Guest {
    url: String,
    token: String,
    socket: Client,
    rng: Rng,
}

impl Guest {
    async fn arrive(site: &Site, mut rng: Rng) -> anyhow::Result<Self> {
        let token = User::new(site.endpoints.secret(HASTY)?, "patient")?.token;
        let url = site.endpoints.public.clone();
        let socket = connect(&url, &token, Duration::ZERO, &mut rng).await?;
        Ok(Self {
            url,
            token,
            socket,
            rng,
        })
    }

    /// Connects again as the stock client does.
    async fn come_back(mut self) -> anyhow::Result<Self> {
        let delay = self.rng.millis(500, 1_500);
        self.socket = connect(&self.url, &self.token, delay, &mut self.rng).await?;
        Ok(self)
    }
}

/// Connects after `delay`, and where that fails after 2 s ± 50 % and then about every 5 s.
async fn connect(
    url: &str,
    token: &str,
    mut delay: Duration,
    rng: &mut Rng,
) -> anyhow::Result<Client> {
    let deadline = Instant::now() + PATIENCE;
    let mut base = 2_000;
    loop {
        sleep(delay).await;
        let attempt = timeout(CONNECT, Client::connect(url, token)).await;
        match attempt.context("connect timeout").flatten() {
            Ok(socket) => return Ok(socket),
            Err(error) if deadline < Instant::now() => {
                return Err(error.context("an idle client does not come back"));
            }
            Err(_) => delay = rng.millis(base / 2, base * 3 / 2),
        }
        base = 5_000;
    }
}
