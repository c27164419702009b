//! The shared state on Redis: calls, presence, and what waits to be told. Nothing here is on the way
//! of a message.
//!
//! Commands of all callers share one connection, which comes back by itself; each reader of a log
//! has another, because it blocks. Everything that decides is a function inside Redis
//! (`functions/`); nothing here reads in order to write.

mod calls;
mod error;
mod gateways;
mod library;
mod log;
mod out;
mod presence;
mod record;

use std::{fmt, sync::Arc, time::Duration};

use redis::{
    Client, IntoConnectionInfo, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::Semaphore;

use crate::ports_calls::CallHistory;

/// How long a command may take before its outcome counts as unknown.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest pause between two attempts to connect.
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The state on Redis. A clone shares the connection.
#[derive(Clone)]
pub struct RedisState {
    client: Client,
    commands: ConnectionManager,
    /// What all keys begin with; the braces put them on one slot of a cluster.
    root: Arc<str>,
    /// Where calls come back from after a loss of data.
    history: Arc<dyn CallHistory>,
    /// One request at a time brings them back.
    restoring: Arc<Semaphore>,
}

impl RedisState {
    /// Prepares the connection without waiting for it: as long as Redis is not there, every request
    /// is [`ChatError::Unavailable`](chat_domain::ChatError::Unavailable). Those who share a
    /// `namespace` share the state.
    ///
    /// # Errors
    ///
    /// Returns the driver's error for an address that is none.
    pub fn new(
        address: impl IntoConnectionInfo,
        namespace: &str,
        history: Arc<dyn CallHistory>,
    ) -> RedisResult<Self> {
        let info = address.into_connection_info()?;
        let settings = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(settings))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_number_of_retries(1)
            .set_max_delay(MAX_BACKOFF);
        Ok(Self {
            commands: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            client,
            root: format!("{{calls{namespace}}}").into(),
            history,
            restoring: Arc::new(Semaphore::new(1)),
        })
    }

    fn key(&self, kind: &str) -> String {
        format!("{}:{kind}", self.root)
    }
}

impl fmt::Debug for RedisState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisState")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}
