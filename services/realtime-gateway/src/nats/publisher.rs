//! Signals to other gateways' sockets. They are lost when nobody listens, by intent.

use async_nats::Client;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{metrics::Metric, ports::Publisher};

/// How many signals may wait for the connection.
const QUEUE: usize = 4_096;

/// Publishes from a bounded queue: who signals never waits.
#[derive(Debug)]
pub struct NatsPublisher {
    queue: mpsc::Sender<(String, Bytes)>,
}

impl NatsPublisher {
    /// Makes the publisher and the work behind it, which ends with the publisher.
    pub fn new(client: Client) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut waiting) = mpsc::channel::<(String, Bytes)>(QUEUE);
        let work = async move {
            while let Some((subject, payload)) = waiting.recv().await {
                if let Err(error) = client.publish(subject, payload).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "signal not sent");
                }
            }
        };
        (Self { queue }, work)
    }
}

impl Publisher for NatsPublisher {
    fn publish(&self, subject: String, payload: Bytes) {
        if self.queue.try_send((subject, payload)).is_err() {
            metrics::counter!(Metric::SignalsDropped.name()).increment(1);
        }
    }
}
