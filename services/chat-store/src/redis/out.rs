//! [`Outgoing`] on a stream: what is queued outlives every store.

use chat_domain::{AppId, BoxError, Timestamp};

use super::{RedisState, error::RedisError, log::Fields};
use crate::{
    ports::Answer,
    ports_out::{OutEvent, Outgoing},
};

/// Events that wait at most; the oldest go first.
const MAX_WAITING: usize = 100_000;

impl RedisState {
    async fn put(&self, events: &[OutEvent]) -> Result<(), RedisError> {
        if events.is_empty() {
            return Ok(());
        }
        let key = self.key("out");
        let mut pipe = redis::pipe();
        for event in events {
            pipe.cmd("XADD")
                .arg(&key)
                .arg("MAXLEN")
                .arg("~")
                .arg(MAX_WAITING)
                .arg("*")
                .arg(&[("app", event.app.as_str()), ("name", &event.name)])
                .arg(&[("id", &event.id), ("json", &event.json)])
                .arg("at")
                .arg(event.at.0)
                .ignore();
        }
        let () = pipe.query_async(&mut self.commands.clone()).await?;
        Ok(())
    }
}

impl Outgoing for RedisState {
    fn put<'a>(&'a self, events: &'a [OutEvent]) -> Answer<'a, ()> {
        Box::pin(async move { Ok(self.put(events).await?) })
    }
}

pub(super) fn decode(fields: &Fields<'_>) -> Result<OutEvent, BoxError> {
    Ok(OutEvent {
        app: AppId::new(&fields.get("app")?)?,
        name: fields.get("name")?,
        id: fields.get("id")?,
        at: Timestamp(fields.get("at")?.parse()?),
        json: fields.get("json")?,
    })
}
