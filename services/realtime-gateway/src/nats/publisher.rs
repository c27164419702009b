//! Signals to other gateways' sockets. They are lost when nobody listens, by intent.

use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metric, ports::Publisher};

/// How many signals may wait for the connection.
const QUEUE: usize = 4_096;

/// How long the server is given to acknowledge the last of them.
const FLUSH: Duration = Duration::from_secs(1);

/// Publishes from a bounded queue: who signals never waits.
#[derive(Debug)]
pub struct NatsPublisher {
    queue: mpsc::Sender<(String, Bytes)>,
}

/// Signals that were not sent yet.
#[derive(Debug)]
pub struct Signals {
    waiting: mpsc::Receiver<(String, Bytes)>,
}

impl NatsPublisher {
    /// Makes a publisher and the queue behind it.
    #[must_use]
    pub fn new() -> (Self, Signals) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue }, Signals { waiting })
    }
}

impl Signals {
    /// Sends them until `over`, and then those that wait.
    pub async fn send(mut self, client: Client, over: CancellationToken) {
        loop {
            let signal = tokio::select! {
                signal = self.waiting.recv() => signal,
                () = over.cancelled(), if !self.waiting.is_closed() => {
                    self.waiting.close();
                    continue;
                }
            };
            let Some((subject, payload)) = signal else {
                break;
            };
            if let Err(error) = client.publish(subject, payload).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "signal not sent");
            }
        }
        // Lost when nobody listens, and also when nobody is there to take them.
        let _ = tokio::time::timeout(FLUSH, client.flush()).await;
    }
}

impl Publisher for NatsPublisher {
    fn publish(&self, subject: String, payload: Bytes) {
        if self.queue.try_send((subject, payload)).is_err() {
            metrics::counter!(Metric::SignalsDropped.name()).increment(1);
        }
    }
}
