//! Reads the logs, so that every entry reaches its sink at least once.
//!
//! The replicas share one consumer group. What a reader took and did not confirm, because it died
//! or its sink failed, is taken over by any of them after two seconds. Entries go once confirmed.

use std::{collections::HashMap, time::Duration};

use chat_domain::{
    AppId, BoxError, ChatError, ErrorKind, Presence, PresenceChange, Timestamp, UserId,
    call::Transition,
};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, FromRedisValue as _, Value,
    aio::MultiplexedConnection,
    streams::{
        StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamReadOptions, StreamReadReply,
    },
};
use tokio_util::sync::CancellationToken;

use super::{RedisState, error::RedisError, out, record};
use crate::{ports::Sink, ports_calls::Logged, ports_out::OutEvent, ports_presence::Attended};

const GROUP: &str = "chat-store";
/// Entries handed over at once.
const BATCH: usize = 64;
/// How long a read waits for something to happen; between reads others' leftovers are looked for.
const WAIT: Duration = Duration::from_secs(1);
/// Past this, what was taken and not confirmed is taken over.
const IDLE: Duration = Duration::from_secs(2);
/// The pause after a failure.
const BACKOFF: Duration = Duration::from_millis(200);

/// A log, and how its entries read.
struct Log<T> {
    name: &'static str,
    decode: fn(&Fields<'_>) -> Result<T, BoxError>,
}

const CALLS: Log<Logged> = Log {
    name: "log",
    decode: |fields| {
        Ok(Logged {
            app: AppId::new(&fields.get("app")?)?,
            transition: Transition {
                call: record::read(&fields.get("call")?)?,
                change: record::read_change(&fields.get("change")?, &fields.get("detail")?)?,
                at: Timestamp(fields.get("at")?.parse()?),
            },
        })
    },
};

const PRESENCE: Log<Attended> = Log {
    name: "presence",
    decode: |fields| {
        Ok(Attended {
            app: AppId::new(&fields.get("app")?)?,
            user: UserId::new(&fields.get("user")?)?,
            change: PresenceChange {
                was: Presence::parse(&fields.get("was")?)?,
                now: Presence::parse(&fields.get("now")?)?,
                at: Timestamp(fields.get("at")?.parse()?),
            },
        })
    },
};

const OUT: Log<OutEvent> = Log {
    name: "out",
    decode: out::decode,
};

/// The fields of an entry.
pub(super) struct Fields<'a>(&'a HashMap<String, Value>);

impl Fields<'_> {
    pub(super) fn get(&self, name: &'static str) -> Result<String, BoxError> {
        let value = self.0.get(name).ok_or(name)?;
        Ok(String::from_redis_value_ref(value)?)
    }
}

impl RedisState {
    /// Hands changes of calls to `sink` as the reader `consumer`; no two processes may share that
    /// name. After `stop` it takes nothing new, and returns when the sink is done with what it has.
    pub async fn read_calls(
        &self,
        consumer: &str,
        sink: &dyn Sink<Logged>,
        stop: &CancellationToken,
    ) {
        self.read(&CALLS, consumer, sink, stop).await;
    }

    /// Hands changes of users' presence to `sink`, as [`Self::read_calls`] does with those of calls.
    pub async fn read_presence(
        &self,
        consumer: &str,
        sink: &dyn Sink<Attended>,
        stop: &CancellationToken,
    ) {
        self.read(&PRESENCE, consumer, sink, stop).await;
    }

    /// Hands events for other services to `sink`, as [`Self::read_calls`] does with changes of calls.
    pub async fn read_out(
        &self,
        consumer: &str,
        sink: &dyn Sink<OutEvent>,
        stop: &CancellationToken,
    ) {
        self.read(&OUT, consumer, sink, stop).await;
    }

    async fn read<T: Send + Sync>(
        &self,
        log: &Log<T>,
        consumer: &str,
        sink: &dyn Sink<T>,
        stop: &CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let Err(error) = self.read_until_failure(log, consumer, sink, stop).await else {
                continue;
            };
            note(log.name, &error.into());
            let pause = tokio::time::sleep(BACKOFF);
            stop.run_until_cancelled(pause).await;
        }
    }

    async fn read_until_failure<T: Send + Sync>(
        &self,
        log: &Log<T>,
        consumer: &str,
        sink: &dyn Sink<T>,
        stop: &CancellationToken,
    ) -> Result<(), RedisError> {
        self.load_library().await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(super::CONNECT_TIMEOUT))
            .set_response_timeout(Some(WAIT + super::RESPONSE_TIMEOUT));
        let mut reader = Reader {
            connection: self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?,
            key: self.key(log.name),
            log,
            consumer,
            sink,
            is_failing: false,
        };
        reader.create_group().await?;
        while !stop.is_cancelled() {
            let leftovers = reader.claim().await?;
            reader.hand_over(leftovers).await?;
            let fresh = reader.read().await?;
            reader.hand_over(fresh).await?;
        }
        Ok(())
    }
}

struct Reader<'a, T> {
    connection: MultiplexedConnection,
    key: String,
    log: &'a Log<T>,
    consumer: &'a str,
    sink: &'a dyn Sink<T>,
    is_failing: bool,
}

impl<T: Send + Sync> Reader<'_, T> {
    async fn create_group(&mut self) -> Result<(), RedisError> {
        let made: Result<(), _> = self
            .connection
            .xgroup_create_mkstream(&self.key, GROUP, "0")
            .await;
        match made {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes over what somebody, perhaps this reader, did not confirm in time.
    async fn claim(&mut self) -> Result<Vec<StreamId>, RedisError> {
        let options = StreamAutoClaimOptions::default().count(BATCH);
        let idle = u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX);
        let reply: StreamAutoClaimReply = self
            .connection
            .xautoclaim_options(&self.key, GROUP, self.consumer, idle, "0-0", options)
            .await?;
        Ok(reply.claimed)
    }

    async fn read(&mut self) -> Result<Vec<StreamId>, RedisError> {
        let options = StreamReadOptions::default()
            .group(GROUP, self.consumer)
            .count(BATCH)
            .block(usize::try_from(WAIT.as_millis()).unwrap_or(usize::MAX));
        let reply: Option<StreamReadReply> = self
            .connection
            .xread_options(&[&self.key], &[">"], &options)
            .await?;
        let keys = reply.map(|reply| reply.keys).unwrap_or_default();
        Ok(keys.into_iter().flat_map(|key| key.ids).collect())
    }

    async fn hand_over(&mut self, entries: Vec<StreamId>) -> Result<(), RedisError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch = Vec::with_capacity(entries.len());
        for entry in &entries {
            match (self.log.decode)(&Fields(&entry.map)) {
                Ok(logged) => batch.push(logged),
                // A release that is older than the writer; keeping it would block the rest.
                Err(source) => tracing::error!(
                    error = &*source as &dyn std::error::Error,
                    log = self.log.name,
                    entry = entry.id,
                    "dropping an entry that makes no sense"
                ),
            }
        }
        if let Err(error) = self.take(&batch).await {
            if !std::mem::replace(&mut self.is_failing, true) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    log = self.log.name,
                    n_entries = batch.len(),
                    "entries were not taken; they come again until they are"
                );
            }
            return Ok(());
        }
        self.is_failing = false;
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let mut confirm = redis::pipe();
        confirm
            .atomic()
            .xack(&self.key, GROUP, &ids)
            .ignore()
            .xdel(&self.key, &ids)
            .ignore();
        let () = confirm.query_async(&mut self.connection).await?;
        Ok(())
    }

    /// Hands over a batch, or else its entries one by one, and gives up those that can never be
    /// taken: the others must not wait.
    async fn take(&self, batch: &[T]) -> Result<(), ChatError> {
        match self.sink.take(batch).await {
            Err(error) if error.kind() == ErrorKind::Internal => {}
            outcome => return outcome,
        }
        for entry in batch {
            match self.sink.take(std::slice::from_ref(entry)).await {
                Err(error) if error.kind() == ErrorKind::Internal => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    log = self.log.name,
                    "an entry is given up"
                ),
                outcome => outcome?,
            }
        }
        Ok(())
    }
}

/// Says why a log cannot be read.
fn note(log: &'static str, error: &ChatError) {
    let source = error as &dyn std::error::Error;
    if error.kind() == ErrorKind::Unavailable {
        // Whoever asks for a call hears of it, too.
        tracing::debug!(error = source, log, "a log is out of reach");
    } else {
        tracing::error!(error = source, log, "reading a log failed");
    }
}
