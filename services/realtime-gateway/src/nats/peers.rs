//! Carries what gateways say to each other, over a connection of its own: bodies of clients' requests
//! do not stand in the way of requests to the stores. Knows nothing of streams.

use async_nats::{Client, StatusCode};
use chat_proto::subject::{self, ToGateway};
use futures_util::StreamExt as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::peers::{Peers, TICK};

/// Carries messages from and to `peers` over `client`, until dropped.
///
/// # Errors
///
/// Returns only if the client was closed.
pub async fn carry(
    client: &Client,
    peers: &std::sync::Arc<Peers>,
) -> Result<std::convert::Infallible, async_nats::Error> {
    let mut incoming = client.subscribe(subject::gateway_all(peers.name())).await?;
    peers.link();

    let hear = async {
        while let Some(message) = incoming.next().await {
            match subject::parse_gateway(peers.name(), &message.subject) {
                Some(ToGateway::Segment) => peers.hear(message.payload),
                Some(ToGateway::Undelivered { peer, stream })
                    if message.status == Some(StatusCode::NO_RESPONDERS) =>
                {
                    peers.undelivered(peer, stream);
                }
                Some(ToGateway::Undelivered { .. } | ToGateway::Beat) | None => {}
            }
        }
        Err("the subscription ended".into())
    };
    let say = async {
        loop {
            let message = peers.next().await;
            let to = match message.stream {
                0 => subject::gateway_beat(&message.to),
                _ => subject::gateway_segment(&message.to),
            };
            // Here the broker says when nobody listens there.
            let reply = subject::gateway_undelivered(peers.name(), &message.to, message.stream);
            client
                .publish_with_reply(to, reply, message.payload)
                .await?;
        }
    };
    let tick = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            peers.tick();
        }
    };
    tokio::select! {
        error = hear => error,
        error = say => error,
        error = tick => error,
    }
}
