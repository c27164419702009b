//! Keeping keys fresh: an issuer that rotates its keys is followed without a restart.

use std::{sync::Arc, time::Duration};

use chat_domain::AppId;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::{
    App, Apps, jwks,
    keys::{Key, KeySource, Origin},
};
use crate::Lifecycle;

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest key set accepted, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// The first pause after a fetch that failed; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a fetch that failed.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How often tokens with an unknown `kid` may cause a fetch.
const WANTED_PAUSE: Duration = Duration::from_mins(1);

impl Apps {
    /// Fetches the keys that are behind URLs, and keeps all keys fresh until **soft** is pulled.
    ///
    /// Returns after the first attempt, at most 5 s later, so that the first token finds its key. A
    /// failure is only a warning: the tokens of that app are invalid until a later attempt succeeds.
    pub async fn watch_keys(&self, lifecycle: &Lifecycle) {
        let mut watches: Vec<_> = self.iter().flat_map(|app| Watch::all(app)).collect();
        join_all(watches.iter_mut().map(Watch::refresh)).await;
        for watch in watches {
            let soft = lifecycle.soft();
            lifecycle.spawn("key refresh", async move {
                tokio::select! {
                    () = watch.run() => {}
                    () = soft.cancelled() => {}
                }
            });
        }
    }
}

/// Keys that could not be had. Those that are there stay.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("cannot read the key file")]
    File(#[from] std::io::Error),
    #[error("cannot fetch the key set")]
    Http(#[from] reqwest::Error),
    #[error("the key set is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the key set is of no use")]
    Jwks(#[from] jwks::JwksError),
}

/// One source of keys that may change, and when to look at it next.
struct Watch {
    app: AppId,
    source: Arc<KeySource>,
    due: Instant,
    /// From when on an unknown `kid` causes a fetch.
    heeds_wanted: Instant,
    pause: Duration,
}

impl Watch {
    fn all(app: &App) -> Vec<Self> {
        let now = Instant::now();
        app.tokens
            .keys()
            .iter()
            .filter(|source| !matches!(source.origin, Origin::Fixed))
            .map(|source| Self {
                app: app.id.clone(),
                source: Arc::clone(source),
                due: now,
                heeds_wanted: now,
                pause: FIRST_PAUSE,
            })
            .collect()
    }

    async fn run(mut self) {
        loop {
            let wanted = async {
                sleep_until(self.heeds_wanted).await;
                self.source.wanted().await;
            };
            tokio::select! {
                () = sleep_until(self.due) => {}
                () = wanted => self.heeds_wanted = Instant::now() + WANTED_PAUSE,
            }
            self.refresh().await;
        }
    }

    async fn refresh(&mut self) {
        let wait = match self.fetch().await {
            Ok(keys) => {
                self.source.replace(keys);
                self.pause = FIRST_PAUSE;
                self.source.refresh
            }
            Err(error) => {
                tracing::warn!(
                    app = %self.app,
                    error = &error as &dyn std::error::Error,
                    "token keys could not be refreshed"
                );
                let pause = self.pause;
                self.pause = (pause * 2).min(MAX_PAUSE);
                pause.min(self.source.refresh)
            }
        };
        self.due = Instant::now() + wait;
    }

    async fn fetch(&self) -> Result<Vec<Key>, RefreshError> {
        let json = match &self.source.origin {
            Origin::Fixed => return Ok(self.source.keys().to_vec()),
            Origin::File(path) => tokio::fs::read(path).await?,
            Origin::Url(url) => download(url.clone()).await?,
        };
        Ok(jwks::parse(&json, self.source.algorithm())?)
    }
}

/// Fetches a document of bounded size. The client is made anew, so that it trusts what the system
/// trusts by then; a redirect is not followed, because it is not what was configured.
async fn download(url: reqwest::Url) -> Result<Vec<u8>, RefreshError> {
    let client = reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if MAX_BYTES < body.len() + chunk.len() {
            return Err(RefreshError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
