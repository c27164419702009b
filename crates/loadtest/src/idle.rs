//! What an idle authenticated socket costs a gateway in memory.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};

use crate::{
    client::Client, endpoints::Endpoints, machine, report::Report, users::User, yardstick,
};

/// Handshakes under way at once.
const CONCURRENCY: usize = 64;
/// The budget, in bytes of user space per socket.
const BUDGET: u64 = 4_096;

/// Holds `count` sockets of as many users on the first gateway and reads its memory.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    count: usize,
) -> anyhow::Result<()> {
    let gateway = endpoints
        .gateways
        .first()
        .context("no gateway is running")?;
    let secret = endpoints.secret("consult")?;
    let connect = |_| async move {
        let user = User::new(secret, "patient")?;
        Client::connect(&gateway.url, &user.token).await
    };

    // What the first sockets make the process allocate once is not the sockets' cost.
    let warm: Vec<Client> = stream::iter(0..100)
        .map(connect)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let before = machine::resident_bytes(gateway.pid)?;
    let mut clients: Vec<Client> = stream::iter(0..count)
        .map(connect)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    // Everybody has been pinged once: no socket is cheaper for not having been used.
    try_join_all(clients.iter_mut().map(Client::answer_one_ping)).await?;
    let after = machine::resident_bytes(gateway.pid)?;
    drop((warm, clients));

    let sockets = u64::try_from(count)?.max(1);
    let bytes = after.saturating_sub(before) / sockets;
    let floor = yardstick::bytes_per_held_socket(count).await?;
    report.add(
        &format!("memory per idle authenticated socket, {count} sockets"),
        format!("{bytes} B of user space"),
        format!("{floor} B for a bare tokio task that waits for its socket; budget {BUDGET} B"),
    );
    Ok(())
}
