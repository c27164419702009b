//! What subscriptions to many users cost in memory: a client library's against our own connection.
//!
//! `cargo run -p realtime-gateway --example interest_memory -- nats://127.0.0.1:4222 library 15000`,
//! and the same with `own`. Linux only: it reads `/proc/self/status`.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use chat_domain::{AppId, UserId};
use chat_proto::subject;
use realtime_gateway::{
    nats::InterestConnection,
    ports::{Inbox, Interest as _},
    registry::UserKey,
};
use service_kit::NatsArgs;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().context("which server?")?;
    let mode = args.next().context("library or own?")?;
    let n: usize = args.next().context("how many users?")?.parse()?;

    let app = AppId::new("consult")?;
    let users = (0..n).map(|n| UserId::new(&format!("0199a7de-0000-7000-8000-{n:012}")));
    let users: Vec<UserId> = users.collect::<Result<_, _>>()?;
    let before = rss_kb()?;
    match mode.as_str() {
        "library" => {
            let client = async_nats::connect(&url).await?;
            let mut subscribers = Vec::with_capacity(n);
            for user in &users {
                subscribers.push(client.subscribe(subject::user(&app, user)).await?);
            }
            client.flush().await?;
            report(before, n)?;
            drop(subscribers);
        }
        "own" => {
            let access = NatsArgs {
                nats_url: vec![url.into()],
                ..NatsArgs::default()
            };
            let connection = Arc::new(InterestConnection::new(access.access()?, mode));
            let running = Arc::clone(&connection);
            tokio::spawn(async move { running.run(&Nobody, |_state| {}).await });
            for user in users.iter().cloned() {
                let app = app.clone();
                connection.subscribe(UserKey { app, user });
            }
            while connection.confirmed().await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            report(before, n)?;
        }
        _ => bail!("library or own?"),
    }
    Ok(())
}

struct Nobody;

impl Inbox for Nobody {
    fn deliver(&self, _user: &UserKey, _payload: Bytes) {}

    fn revoked(&self) {}

    fn used(&self, _payload: Bytes) {}

    fn resumed(&self) {}
}

fn report(before_kb: usize, n: usize) -> anyhow::Result<()> {
    let grown_kb = rss_kb()?.saturating_sub(before_kb);
    println!(
        "{n} subscriptions: {grown_kb} KiB, {} bytes each",
        grown_kb * 1024 / n
    );
    Ok(())
}

fn rss_kb() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kb.parse()?)
}
