//! Reads the log of calls, so that every change reaches the sink at least once.
//!
//! The replicas share one consumer group. What a reader took and did not confirm, because it died
//! or its sink failed, is taken over by any of them after two seconds. Entries go once confirmed.

use std::{collections::HashMap, time::Duration};

use chat_domain::{AppId, BoxError, ChatError, ErrorKind, Timestamp, call::Transition};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, FromRedisValue as _, Value,
    aio::MultiplexedConnection,
    streams::{
        StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamReadOptions, StreamReadReply,
    },
};
use tokio_util::sync::CancellationToken;

use super::{RedisCalls, error::RedisError, record};
use crate::ports_calls::{CallSink, Logged};

const GROUP: &str = "chat-store";
/// Changes handed over at once.
const BATCH: usize = 64;
/// How long a read waits for something to happen; between reads others' leftovers are looked for.
const WAIT: Duration = Duration::from_secs(1);
/// Past this, what was taken and not confirmed is taken over.
const IDLE: Duration = Duration::from_secs(2);
/// The pause after a failure.
const BACKOFF: Duration = Duration::from_millis(200);

impl RedisCalls {
    /// Hands the log to `sink` as the reader `consumer`; no two processes may share that name. After
    /// `stop` it takes nothing new, and returns when the sink is done with what it has.
    pub async fn read_log(&self, consumer: &str, sink: &dyn CallSink, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let Err(error) = self.read_until_failure(consumer, sink, stop).await else {
                continue;
            };
            note(&error.into());
            let pause = tokio::time::sleep(BACKOFF);
            stop.run_until_cancelled(pause).await;
        }
    }

    async fn read_until_failure(
        &self,
        consumer: &str,
        sink: &dyn CallSink,
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
            log: self.key("log"),
            consumer,
            sink,
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

struct Reader<'a> {
    connection: MultiplexedConnection,
    log: String,
    consumer: &'a str,
    sink: &'a dyn CallSink,
}

impl Reader<'_> {
    async fn create_group(&mut self) -> Result<(), RedisError> {
        let made: Result<(), _> = self
            .connection
            .xgroup_create_mkstream(&self.log, GROUP, "0")
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
            .xautoclaim_options(&self.log, GROUP, self.consumer, idle, "0-0", options)
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
            .xread_options(&[&self.log], &[">"], &options)
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
            match decode(&entry.map) {
                Ok(logged) => batch.push(logged),
                // A release that is older than the writer; keeping it would block the rest.
                Err(source) => tracing::error!(
                    error = &*source as &dyn std::error::Error,
                    entry = entry.id,
                    "dropping an entry of the log of calls that makes no sense"
                ),
            }
        }
        if let Err(error) = self.sink.take(&batch).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                n_changes = batch.len(),
                "changes of calls were not taken; they come again"
            );
            return Ok(());
        }
        let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
        let mut confirm = redis::pipe();
        confirm
            .atomic()
            .xack(&self.log, GROUP, &ids)
            .ignore()
            .xdel(&self.log, &ids)
            .ignore();
        let () = confirm.query_async(&mut self.connection).await?;
        Ok(())
    }
}

/// Logs why the log cannot be read.
fn note(error: &ChatError) {
    let source = error as &dyn std::error::Error;
    if error.kind() == ErrorKind::Unavailable {
        // Whoever asks for a call hears of it, too.
        tracing::debug!(error = source, "the log of calls is out of reach");
    } else {
        tracing::error!(error = source, "reading the log of calls failed");
    }
}

fn decode(fields: &HashMap<String, Value>) -> Result<Logged, BoxError> {
    let field = |name: &'static str| -> Result<String, BoxError> {
        let value = fields.get(name).ok_or(name)?;
        Ok(String::from_redis_value_ref(value)?)
    };
    Ok(Logged {
        app: AppId::new(&field("app")?)?,
        transition: Transition {
            call: record::read(&field("call")?)?,
            change: record::read_change(&field("change")?, &field("detail")?)?,
            at: Timestamp(field("at")?.parse()?),
        },
    })
}
