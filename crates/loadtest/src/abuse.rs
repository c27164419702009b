//! What abusive clients cost the others: the same messages at the same rate, without them and with.
//! They are users of an app with production's limits.

use std::time::Duration;

use load_kit::users::User;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};

use crate::{
    client::Client,
    endpoints::Endpoints,
    latency::{self, quantile},
    report::Report,
    users::Pair,
};

/// How many abuse at the same time.
const ABUSERS: usize = 50;
/// How much each does in a second: above every limit.
const PER_SECOND: u32 = 500;
/// What is sent at once.
const BURST: u32 = 100;
/// The pause of one that was sent away.
const PAUSE: Duration = Duration::from_secs(1);

/// Measures the latency of all `pairs` twice.
pub(crate) async fn measure(
    report: &mut Report,
    endpoints: &Endpoints,
    pairs: &[Pair],
    rate: u32,
    seconds: u64,
) -> anyhow::Result<()> {
    report.progress("latency without abusive clients");
    let without = latency::run(endpoints, pairs, rate, seconds).await?;
    report.progress("latency with abusive clients");
    let secret = endpoints.secret("strict")?;
    let mut abusers = JoinSet::new();
    for n in 0..ABUSERS {
        let [near, _] = latency::sides(&endpoints.gateways, n)?;
        let token = match n % 5 {
            0 => "nonsense".to_owned(),
            _ => User::new(secret, "patient")?.token,
        };
        abusers.spawn(abuse(n, near.to_owned(), token));
    }
    let with = latency::run(endpoints, pairs, rate, seconds).await?;
    abusers.abort_all();

    let p99 = |run: &latency::Run| quantile(&run.latency, 0.99);
    report.add(
        &format!("p99 of others while {ABUSERS} clients ask for {PER_SECOND} things a second each"),
        format!(
            "{:.1} ms, {:+.0} %",
            p99(&with),
            (p99(&with) / p99(&without) - 1.0) * 100.0
        ),
        format!(
            "{:.1} ms without; budget +20 %; {} of {} arrived",
            p99(&without),
            with.latency.len(),
            with.n_sent
        ),
    );
    Ok(())
}

/// Does what nobody should, again and again, each in one of five ways.
async fn abuse(n: usize, gateway: String, token: String) {
    loop {
        // That it ends is what it is about.
        let _ = attempt(n, &gateway, &token).await;
        sleep(PAUSE).await;
    }
}

async fn attempt(n: usize, gateway: &str, token: &str) -> anyhow::Result<()> {
    let mut client = Client::connect(gateway, token).await?;
    let large = format!("\"{}\"", "x".repeat(100_000));
    let (event, payload) = match n % 5 {
        1 => ("typing_start", r#"{"conversationId":"x"}"#),
        2 => ("no_such_event", "{}"),
        3 => ("send_message", large.as_str()),
        _ => ("join_conversation", "[[[[[[[[]]]]]]]]"),
    };
    // What is large is enough at a tenth of the rate.
    let burst = if n % 5 == 3 { BURST / 10 } else { BURST };
    let mut ticks = interval(Duration::from_secs(1) * BURST / PER_SECOND);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                for _ in 0..burst {
                    client.emit(event, payload).await?;
                }
            }
            packet = client.next() => {
                packet?;
            }
        }
    }
}
