//! The form of the apps file, and its checks.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chat_domain::{AppId, Dialect, Retention, call::CallRules};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::{
    App, AppsError, CallPolicy, ClaimNames, HistoryOrder, Identity, Limits, Policy, TimeWindow,
    TokenRules, jwks,
    keys::{Key, KeySource, Origin},
};
use crate::Secret;

/// The shortest HMAC secret, in bytes: RFC 7518, section 3.2, asks for the size of the hash.
const MIN_SECRET_BYTES: usize = 32;

/// How often keys are read again unless the file says so.
const DEFAULT_REFRESH_S: u64 = 300;

/// The longest that a call may ring, or a device in one be gone.
const MAX_CALL_TIME: Duration = Duration::from_mins(10);

/// The longest that messages may be kept unless it is for ever: a century.
const MAX_RETENTION_DAYS: u32 = 36_500;

/// Consult protocol, section 2.
const DEFAULT_ORIGINS: [&str; 3] = [
    "http://localhost:3000",
    "http://localhost:5173",
    "https://jiggy-care.onrender.com",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    apps: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppEntry {
    dialect: DialectName,
    identity: Option<IdentityName>,
    origins: Option<Vec<String>>,
    #[serde(default)]
    policy: PolicyEntry,
    issuer: Option<String>,
    audience: Option<String>,
    #[serde(default)]
    claims: ClaimsEntry,
    #[serde(default)]
    keys: Vec<KeyEntry>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DialectName {
    Consult,
    Care,
    Clinic,
    Booking,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdentityName {
    Token,
    Declared,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Consult => Self::Consult,
            DialectName::Care => Self::Care,
            DialectName::Clinic => Self::Clinic,
            DialectName::Booking => Self::Booking,
        }
    }
}

/// The largest attachment unless the app says otherwise, in bytes.
const MAX_ATTACHMENT: u64 = 10 * 1024 * 1024;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyEntry {
    max_content_chars: Option<usize>,
    max_attachment_bytes: Option<u64>,
    history_order: Option<HistoryOrder>,
    time_window: Option<TimeWindow>,
    retention_days: Option<u32>,
    recovery: Option<bool>,
    #[serde(default)]
    calls: CallsEntry,
    #[serde(default)]
    limits: Limits,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsEntry {
    ring_seconds: Option<u64>,
    grace_seconds: Option<u64>,
    outcome_messages: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimsEntry {
    user_id: Option<Vec<String>>,
    role: Option<Vec<String>>,
    email: Option<Vec<String>>,
    name: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    algorithm: AlgorithmName,
    kid: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    refresh_seconds: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
enum AlgorithmName {
    HS256,
    RS256,
    ES256,
    EdDSA,
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::HS256 => Self::HS256,
            AlgorithmName::RS256 => Self::RS256,
            AlgorithmName::ES256 => Self::ES256,
            AlgorithmName::EdDSA => Self::EdDSA,
        }
    }
}

/// Reads and checks the whole file.
pub(super) fn parse(text: &str, path: &Path) -> Result<Vec<App>, AppsError> {
    let mut reader = Reader {
        path,
        secrets: HashMap::new(),
        declared: HashMap::new(),
    };
    // The error's own text quotes the line, which may hold a secret.
    let file: File = toml::from_str(text).map_err(|error| {
        let end = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(end).filter(|byte| *byte == b'\n').count() + 1;
        reader.invalid(format!("line {line}"), error.message())
    })?;
    if file.apps.is_empty() {
        return Err(reader.invalid("apps", "no app is listed; add a table [apps.<name>]"));
    }
    file.apps
        .into_iter()
        .map(|(name, entry)| reader.app(&name, entry))
        .collect()
}

struct Reader<'a> {
    path: &'a Path,
    /// Each secret, and the app that has it.
    secrets: HashMap<Vec<u8>, String>,
    /// The app of each dialect whose clients need no token.
    declared: HashMap<Dialect, String>,
}

impl Reader<'_> {
    fn invalid(&self, place: impl Into<String>, problem: impl Into<String>) -> AppsError {
        AppsError::Invalid {
            path: self.path.to_owned(),
            place: place.into(),
            problem: problem.into(),
        }
    }

    fn app(&mut self, name: &str, entry: toml::Value) -> Result<App, AppsError> {
        let place = format!("app {name:?}");
        // It is a part of NATS subjects.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let id = AppId::new(name)
            .ok()
            .filter(|_| name.bytes().all(is_plain))
            .ok_or_else(|| {
                let problem = "the name must have 1 to 128 letters, digits, hyphens or underscores";
                self.invalid(&place, problem)
            })?;
        let entry: AppEntry = entry
            .try_into()
            .map_err(|error: toml::de::Error| self.invalid(&place, error.message()))?;
        if entry.keys.is_empty() {
            let advice = format!("no key is listed; add [[apps.{name}.keys]] with its algorithm");
            return Err(self.invalid(&place, advice));
        }
        let mut keys = Vec::with_capacity(entry.keys.len());
        for (index, key) in entry.keys.into_iter().enumerate() {
            let place = format!("{place}, key {}", index + 1);
            keys.push(Arc::new(self.key(name, &place, key)?));
        }
        let dialect = entry.dialect.into();
        Ok(App {
            id,
            dialect,
            identity: self.identity(name, &place, dialect, entry.identity)?,
            origins: self.origins(&place, entry.origins)?,
            policy: self.policy(&place, dialect, &entry.policy)?,
            tokens: TokenRules {
                keys,
                issuer: entry.issuer,
                audience: entry.audience,
                claims: claim_names(dialect, entry.claims),
            },
        })
    }

    fn identity(
        &mut self,
        app: &str,
        place: &str,
        dialect: Dialect,
        name: Option<IdentityName>,
    ) -> Result<Identity, AppsError> {
        match name {
            None | Some(IdentityName::Token) => return Ok(Identity::Token),
            Some(IdentityName::Declared) => {}
        }
        match dialect {
            Dialect::Consult | Dialect::Clinic => {}
            Dialect::Care | Dialect::Booking => {
                let problem = "identity: only clients of the dialects consult and clinic can declare \
                               who they are";
                return Err(self.invalid(place, problem));
            }
        }
        match self.declared.insert(dialect, app.to_owned()) {
            Some(other) => Err(self.invalid(
                place,
                format!("identity: app {other:?} is declared, too, and nobody could tell their clients apart"),
            )),
            None => Ok(Identity::Declared),
        }
    }

    fn policy(
        &self,
        place: &str,
        dialect: Dialect,
        entry: &PolicyEntry,
    ) -> Result<Policy, AppsError> {
        let max_content_chars = match dialect {
            Dialect::Care => 1000,
            Dialect::Consult | Dialect::Clinic | Dialect::Booking => 4000,
        };
        let history_order = match dialect {
            Dialect::Consult => HistoryOrder::NewestFirst,
            Dialect::Care | Dialect::Clinic | Dialect::Booking => HistoryOrder::OldestFirst,
        };
        Ok(Policy {
            max_content_chars: entry.max_content_chars.unwrap_or(max_content_chars),
            max_attachment_bytes: entry.max_attachment_bytes.unwrap_or(MAX_ATTACHMENT),
            history_order: entry.history_order.unwrap_or(history_order),
            time_window: entry.time_window,
            retention: self.retention(place, dialect, entry.retention_days)?,
            recovery: entry.recovery.unwrap_or(dialect != Dialect::Clinic),
            calls: self.calls(place, &entry.calls)?,
            limits: self.limits(place, entry.limits)?,
        })
    }

    fn retention(
        &self,
        place: &str,
        dialect: Dialect,
        days: Option<u32>,
    ) -> Result<Option<Retention>, AppsError> {
        let default = match dialect {
            Dialect::Clinic => 90,
            Dialect::Consult | Dialect::Care | Dialect::Booking => 0,
        };
        match days.unwrap_or(default) {
            0 => Ok(None),
            days @ 1..=MAX_RETENTION_DAYS => Ok(Some(Retention::of_days(days))),
            _ => Err(self.invalid(
                place,
                format!("policy.retention_days must be 0 (for ever) to {MAX_RETENTION_DAYS}"),
            )),
        }
    }

    fn limits(&self, place: &str, limits: Limits) -> Result<Limits, AppsError> {
        if limits.sockets_per_user == Some(0) {
            let problem = "policy.limits.sockets_per_user must be 1 or more";
            return Err(self.invalid(place, problem));
        }
        Ok(limits)
    }

    fn calls(&self, place: &str, entry: &CallsEntry) -> Result<CallPolicy, AppsError> {
        let CallPolicy {
            rules,
            outcome_messages,
        } = CallPolicy::default();
        let seconds = |name, seconds: Option<u64>, default| match seconds.map(Duration::from_secs) {
            None => Ok(default),
            Some(time) if (Duration::from_secs(1)..=MAX_CALL_TIME).contains(&time) => Ok(time),
            Some(_) => Err(self.invalid(
                place,
                format!(
                    "policy.calls.{name} must be 1 to {} seconds",
                    MAX_CALL_TIME.as_secs()
                ),
            )),
        };
        Ok(CallPolicy {
            rules: CallRules {
                ring: seconds("ring_seconds", entry.ring_seconds, rules.ring)?,
                grace: seconds("grace_seconds", entry.grace_seconds, rules.grace)?,
            },
            outcome_messages: entry.outcome_messages.unwrap_or(outcome_messages),
        })
    }

    fn origins(&self, place: &str, origins: Option<Vec<String>>) -> Result<Vec<String>, AppsError> {
        let Some(origins) = origins else {
            return Ok(DEFAULT_ORIGINS.map(str::to_owned).into());
        };
        let is_origin = |text: &str| {
            reqwest::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
        };
        match origins.iter().find(|origin| !is_origin(origin)) {
            Some(bad) => Err(self.invalid(
                place,
                format!("origins: {bad:?} is no origin; write scheme://host[:port], in lower case, with no path"),
            )),
            None => Ok(origins),
        }
    }

    fn key(&mut self, app: &str, place: &str, entry: KeyEntry) -> Result<KeySource, AppsError> {
        let algorithm = Algorithm::from(entry.algorithm);
        let is_hmac = entry.algorithm == AlgorithmName::HS256;
        let refresh =
            Duration::from_secs(entry.refresh_seconds.unwrap_or(DEFAULT_REFRESH_S).max(1));
        let fixed = |key| KeySource::new(algorithm, Origin::Fixed, refresh, vec![key]);
        match (
            entry.secret.map(Secret::from),
            entry.secret_file,
            entry.public_key_file,
            entry.jwks_file,
            entry.jwks_url,
        ) {
            (Some(secret), None, None, None, None) if is_hmac => {
                let secret = secret.expose().as_bytes().to_owned();
                self.secret(app, place, secret)
                    .map(|secret| fixed(Key::new(entry.kid, secret)))
            }
            (None, Some(file), None, None, None) if is_hmac => {
                let (_, secret) = self.read(&file)?;
                let secret = secret.trim_ascii_end().to_owned();
                self.secret(app, place, secret)
                    .map(|secret| fixed(Key::new(entry.kid, secret)))
            }
            (None, None, Some(file), None, None) if !is_hmac => {
                let (path, pem) = self.read(&file)?;
                let key = public_key(&pem, entry.algorithm).ok_or_else(|| {
                    let path = path.display();
                    self.invalid(
                        place,
                        format!(
                            "public_key_file: {path} holds no PEM public key for {algorithm:?}"
                        ),
                    )
                })?;
                Ok(fixed(Key::new(entry.kid, key)))
            }
            (None, None, None, Some(file), None) if !is_hmac => {
                let (path, json) = self.read(&file)?;
                let keys = jwks::parse(&json, algorithm).map_err(|error| {
                    self.invalid(place, format!("jwks_file: {}: {error}", path.display()))
                })?;
                Ok(KeySource::new(algorithm, Origin::File(path), refresh, keys))
            }
            (None, None, None, None, Some(url)) if !is_hmac => {
                let url = reqwest::Url::parse(&url)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
                    .ok_or_else(|| self.invalid(place, "jwks_url: not an http or https URL"))?;
                Ok(KeySource::new(
                    algorithm,
                    Origin::Url(url),
                    refresh,
                    Vec::new(),
                ))
            }
            _ if is_hmac => {
                Err(self.invalid(place, "HS256 takes exactly one of secret and secret_file"))
            }
            _ => Err(self.invalid(
                place,
                format!(
                    "{algorithm:?} takes exactly one of public_key_file, jwks_file and jwks_url"
                ),
            )),
        }
    }

    fn secret(
        &mut self,
        app: &str,
        place: &str,
        secret: Vec<u8>,
    ) -> Result<DecodingKey, AppsError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(self.invalid(
                place,
                format!("the secret is shorter than {MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"),
            ));
        }
        let key = DecodingKey::from_secret(&secret);
        match self.secrets.insert(secret, app.to_owned()) {
            Some(other) if other != app => Err(self.invalid(
                place,
                format!("app {other:?} has the same secret, so that nobody could tell their tokens apart; give each app its own"),
            )),
            _ => Ok(key),
        }
    }

    /// Reads a file named in the apps file, relative to it.
    fn read(&self, file: &Path) -> Result<(PathBuf, Vec<u8>), AppsError> {
        let path = self.path.parent().unwrap_or(Path::new("")).join(file);
        match std::fs::read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(source) => Err(AppsError::Read { path, source }),
        }
    }
}

fn public_key(pem: &[u8], algorithm: AlgorithmName) -> Option<DecodingKey> {
    match algorithm {
        AlgorithmName::HS256 => None,
        AlgorithmName::RS256 => DecodingKey::from_rsa_pem(pem).ok(),
        AlgorithmName::ES256 => DecodingKey::from_ec_pem(pem).ok(),
        AlgorithmName::EdDSA => DecodingKey::from_ed_pem(pem).ok(),
    }
}

fn claim_names(dialect: Dialect, entry: ClaimsEntry) -> ClaimNames {
    let or = |names: Option<Vec<String>>, defaults: &[&str]| {
        names.unwrap_or_else(|| defaults.iter().map(|name| (*name).to_owned()).collect())
    };
    let user_id: &[&str] = match dialect {
        Dialect::Clinic => &["email"],
        Dialect::Consult | Dialect::Care | Dialect::Booking => &["sub", "id", "userId", "user.id"],
    };
    ClaimNames {
        user_id: or(entry.user_id, user_id),
        role: or(entry.role, &["role"]),
        email: or(entry.email, &["email"]),
        name: or(entry.name, &["name", "fullName"]),
    }
}
