//! The apps (tenants) of the deployment, as one TOML file lists them. `deploy/dev/apps.toml` is the
//! documented example.
//!
//! What is deliberately absent: settings of a process (those are flags), and any way to change an app
//! while the process runs. Only keys are fetched anew.

mod file;
mod jwks;
mod keys;
mod refresh;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chat_domain::{AppId, Dialect, Retention, call::CallRules};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::limits::Rate;
pub(crate) use keys::{Key, KeySource};

/// An apps file that cannot be used. Its text says where, what, and what to do; `start` hands it on.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// The file, or one that it names, cannot be read.
    #[error("cannot read {path}; check CHAT_APPS_FILE and the file's permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}, {place}: {problem}")]
    Invalid {
        /// The apps file.
        path: PathBuf,
        /// The app and key, or the line.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// One app (tenant).
#[derive(Debug)]
pub struct App {
    /// Its name in the file.
    pub id: AppId,
    /// How its clients talk.
    pub dialect: Dialect,
    /// How its clients say who they are.
    pub identity: Identity,
    /// Origins whose browsers may connect, as `scheme://host[:port]`.
    pub origins: Vec<String>,
    /// What it may do, and how much.
    pub policy: Policy,
    pub(crate) tokens: TokenRules,
}

/// How the clients of an app say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By a token.
    Token,
    /// By a token or, at a socket alone, by saying so: anybody can be anybody. For old clients in a
    /// closed network.
    Declared,
}

/// The rules of one app that operators can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The longest text of a message, in Unicode scalar values.
    pub max_content_chars: usize,
    /// The largest file that may be attached, in bytes.
    pub max_attachment_bytes: u64,
    /// How a page of history is ordered unless the request says otherwise.
    pub history_order: HistoryOrder,
    /// When people may write around an appointment; `None` is always.
    pub time_window: Option<TimeWindow>,
    /// For how long messages are kept; `None` is for ever.
    pub retention: Option<Retention>,
    /// Whether clients that lost their connection may come back to their session. It costs one more
    /// argument of every event, of which the clients in JavaScript know.
    pub recovery: bool,
    /// How calls go.
    pub calls: CallPolicy,
    /// How much clients may ask for.
    pub limits: Limits,
}

/// How much the clients of an app may ask for. What is `None` is as the service's settings have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages of one socket.
    pub messages: Option<Rate>,
    /// Typing signals of one socket.
    pub typing: Option<Rate>,
    /// Other events of one socket.
    pub events: Option<Rate>,
    /// Messages of one user, on all sockets at all gateways.
    pub user_messages: Option<Rate>,
    /// Calls that one user begins, on all sockets at all gateways.
    pub user_calls: Option<Rate>,
    /// REST requests of one user to one store.
    pub user_requests: Option<Rate>,
    /// Sockets of one user at all gateways.
    pub sockets_per_user: Option<usize>,
}

/// How the calls of an app go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallPolicy {
    /// How long a call rings, and how long a device in one may be gone.
    pub rules: CallRules,
    /// Whether the conversation gets a system message for each call that is over.
    pub outcome_messages: bool,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            rules: CallRules {
                ring: Duration::from_secs(45),
                grace: Duration::from_secs(10),
            },
            outcome_messages: true,
        }
    }
}

/// How a page of history is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryOrder {
    /// As the consult protocol has it.
    NewestFirst,
    /// As people read.
    OldestFirst,
}

/// When people may write: from `before_minutes` before the start of the booking until
/// `after_minutes` after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// Minutes before the start.
    pub before_minutes: u32,
    /// Minutes after the end.
    pub after_minutes: u32,
}

/// How the tokens of an app are verified and read.
#[derive(Debug)]
pub(crate) struct TokenRules {
    keys: Vec<Arc<KeySource>>,
    issuer: Option<String>,
    audience: Option<String>,
    claims: ClaimNames,
}

/// Where in a token the user is described: the first claim that is present counts.
#[derive(Debug, Clone)]
pub(crate) struct ClaimNames {
    pub(crate) user_id: Vec<String>,
    pub(crate) role: Vec<String>,
    pub(crate) email: Vec<String>,
    pub(crate) name: Vec<String>,
}

/// All apps of the deployment.
#[derive(Debug)]
pub struct Apps {
    apps: BTreeMap<AppId, Arc<App>>,
    origins: Vec<String>,
}

impl Apps {
    /// Loads the apps file at `path`, and the key files that it names.
    ///
    /// Keys behind a URL come with [`Self::watch_keys`].
    ///
    /// # Errors
    ///
    /// Returns an [`AppsError`] for the first thing that is wrong; the service does not start.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, AppsError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| AppsError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads the text of an apps file. Files that it names are looked for beside `path`.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, AppsError> {
        file::parse(text, path).map(Self::new)
    }

    fn new(apps: Vec<App>) -> Self {
        let mut origins: Vec<_> = apps.iter().flat_map(|app| app.origins.clone()).collect();
        origins.sort();
        origins.dedup();
        let apps = apps
            .into_iter()
            .map(|app| (app.id.clone(), Arc::new(app)))
            .collect();
        Self { apps, origins }
    }

    /// Returns an app by its name.
    #[must_use]
    pub fn get(&self, id: &AppId) -> Option<&Arc<App>> {
        self.apps.get(id)
    }

    /// Returns all apps, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<App>> {
        self.apps.values()
    }

    /// Returns the allowed origins of all apps: the list to apply before a token tells the app.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Tells whether any app speaks `dialect`.
    #[must_use]
    pub fn speak(&self, dialect: Dialect) -> bool {
        self.iter().any(|app| app.dialect == dialect)
    }
}

impl TokenRules {
    pub(crate) fn keys(&self) -> &[Arc<KeySource>] {
        &self.keys
    }

    pub(crate) fn claims(&self) -> &ClaimNames {
        &self.claims
    }

    /// Tells whether the token names the issuer that is configured.
    pub(crate) fn expects_issuer_of(&self, claims: &Map<String, Value>) -> bool {
        let issuer = claims.get("iss").and_then(Value::as_str);
        issuer.is_some() && issuer == self.issuer.as_deref()
    }

    /// Tells whether issuer and audience are as configured; what is not configured is not checked.
    pub(crate) fn accepts(&self, claims: &Map<String, Value>) -> bool {
        let issuer_fits = self.issuer.is_none() || self.expects_issuer_of(claims);
        let audience_fits = self
            .audience
            .as_deref()
            .is_none_or(|wanted| match claims.get("aud") {
                Some(Value::String(audience)) => audience == wanted,
                Some(Value::Array(audiences)) => {
                    audiences.iter().any(|audience| audience == wanted)
                }
                _ => false,
            });
        issuer_fits && audience_fits
    }
}
