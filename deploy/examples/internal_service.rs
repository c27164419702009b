//! An internal service beside care-chat: it tells of two people and their booking, and prints whom
//! it would notify. It needs nothing but NATS. `README.md` has the commands.
//!
//! It is an example of the interface and no part of care-chat: names here are its own.
#![expect(clippy::print_stdout, reason = "printing is what it does")]

use std::env;

use anyhow::Context as _;
use async_nats::{
    HeaderMap,
    jetstream::{self, Context, consumer::pull},
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

const APP: &str = "consult";
/// Change these, and other people have another appointment.
const CONSULTANT: &str = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a01";
const PATIENT: &str = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a02";
const BOOKING: &str = "0e1b6a52-7c1f-4b57-9a55-3f1d2c9b1a03";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = env::var("NATS_URL").context("NATS_URL is not set")?;
    let context = jetstream::new(async_nats::connect(url).await?);

    // The version is what decides when the same entry comes again, in whatever order.
    let consultant =
        json!({"id": CONSULTANT, "role": "consultant", "name": "Dr. Ada", "version": 1});
    let patient = json!({"id": PATIENT, "role": "patient", "name": "Pat", "version": 1});
    let booking = json!({
        "id": BOOKING, "consultantId": CONSULTANT, "patientId": PATIENT,
        "startsAt": "2026-01-14T14:30:00Z", "version": 1,
    });
    tell(&context, "user", &consultant).await?;
    tell(&context, "user", &patient).await?;
    tell(&context, "booking", &booking).await?;
    println!("told of booking {BOOKING}");

    notify(&context).await
}

/// Writes an entry; it is in the stream when this returns, whether care-chat is there or not.
async fn tell(context: &Context, kind: &str, entry: &Value) -> anyhow::Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/json");
    // Repeating it within ten minutes does nothing.
    let id = format!("{kind}:{}:{}", entry["id"], entry["version"]);
    headers.insert("Nats-Msg-Id", id);
    let subject = format!("chat.v1.in.{APP}.{kind}");
    let payload = entry.to_string().into();
    let published = context.publish_with_headers(subject, headers, payload);
    published.await?.await?;
    Ok(())
}

/// Prints push events for ever. What is not acknowledged comes again, to this process or another
/// one of the same service.
async fn notify(context: &Context) -> anyhow::Result<()> {
    let config = pull::Config {
        durable_name: Some("example-notifications".to_owned()),
        filter_subject: format!("chat.v1.out.{APP}.push.>"),
        ..pull::Config::default()
    };
    let stream = context.get_stream("CHAT_OUT").await?;
    let consumer = stream
        .get_or_create_consumer("example-notifications", config)
        .await?;
    let mut events = consumer.messages().await?;
    while let Some(message) = events.try_next().await? {
        // A service that is not told twice keeps `id` for a while.
        let event: Value = serde_json::from_slice(&message.payload)?;
        println!(
            "{} to {}: {}",
            event["event"], event["data"]["userId"], event["data"]
        );
        message
            .ack()
            .await
            .map_err(|error| anyhow::anyhow!(error))?;
    }
    Ok(())
}
