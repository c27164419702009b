//! The apps of a development system: one for each dialect, one that is short of patience and one
//! that is strict, each with a secret of its own.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{json, run_dir::RunDir, secret};

/// What an app is, beside its secret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    dialect: &'static str,
    /// Lines of its `policy`.
    policy: &'static str,
}

impl Kind {
    /// The app of a dialect, under the same name.
    const fn of(dialect: &'static str) -> Self {
        Self {
            name: dialect,
            dialect,
            policy: "",
        }
    }
}

/// The apps.
pub(crate) const APPS: [Kind; 6] = [
    Kind::of("consult"),
    Kind::of("care"),
    Kind::of("clinic"),
    Kind::of("booking"),
    // For tests of what ends by itself.
    Kind {
        name: "hasty",
        dialect: "consult",
        policy: "retention_days = 1\ncalls = { ring_seconds = 3, grace_seconds = 2 }\n",
    },
    // With production's limits, where the gateways have those of a development.
    Kind {
        name: "strict",
        dialect: "consult",
        policy: "[apps.strict.policy.limits]\n\
                 messages = { per_second = 10, burst = 30 }\n\
                 typing = { per_second = 5, burst = 15 }\n\
                 events = { per_second = 20, burst = 60 }\n\
                 user_messages = { per_second = 20, burst = 60 }\n\
                 user_calls = { per_minute = 10 }\n",
    },
];

/// One app and the secret that its tokens are signed with.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) kind: Kind,
    pub(crate) secret: String,
}

/// The apps of a run.
#[derive(Debug)]
pub(crate) struct Apps(Vec<App>);

impl Apps {
    /// Reads the secrets of a run, making those that are not there yet.
    ///
    /// # Errors
    ///
    /// When the run folder can't be read or written.
    pub(crate) fn of_run(run: &RunDir) -> Result<Self> {
        APPS.iter()
            .map(|kind| {
                let file = format!("app-{}.secret", kind.name);
                Ok(App {
                    kind: *kind,
                    secret: secret::kept(&run.path.join(file))?,
                })
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Finds an app by name.
    ///
    /// # Errors
    ///
    /// When there is none of that name.
    pub(crate) fn get(&self, name: &str) -> Result<&App> {
        self.0
            .iter()
            .find(|app| app.kind.name == name)
            .with_context(|| format!("no app {name:?}; there is {}", names()))
    }

    /// Writes the file that both services read and returns its path.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub(crate) fn write(&self, run: &RunDir) -> Result<PathBuf> {
        let path = run.path.join("apps.toml");
        secret::write_private(&path, &self.to_toml())?;
        Ok(path)
    }

    /// The `apps` member of the endpoints file.
    pub(crate) fn to_json(&self) -> String {
        json::object(self.0.iter().map(|app| {
            let about = json::object([
                ("dialect", json::string(app.kind.dialect)),
                ("secret", json::string(&app.secret)),
            ]);
            (app.kind.name, about)
        }))
    }

    fn to_toml(&self) -> String {
        let mut text = String::new();
        for App { kind, secret } in &self.0 {
            let Kind {
                name,
                dialect,
                policy,
            } = kind;
            // Writing to a string never fails.
            let _ = write!(
                text,
                "[apps.{name}]\ndialect = \"{dialect}\"\n\n\
                 [[apps.{name}.keys]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n\n",
            );
            if !policy.is_empty() {
                let _ = write!(text, "[apps.{name}.policy]\n{policy}\n");
            }
        }
        text
    }
}

/// The names of all apps, for people.
pub(crate) fn names() -> String {
    APPS.map(|kind| kind.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_tell_the_same_secrets() {
        let [consult, .., hasty, _] = APPS;
        let apps = [consult, hasty].map(|kind| App {
            kind,
            secret: format!("{}-s3", kind.name),
        });
        let apps = Apps(apps.into());

        assert_eq!(
            apps.to_json(),
            r#"{"consult":{"dialect":"consult","secret":"consult-s3"},"hasty":{"dialect":"consult","secret":"hasty-s3"}}"#
        );
        assert_eq!(
            apps.to_toml(),
            "[apps.consult]\ndialect = \"consult\"\n\n\
             [[apps.consult.keys]]\nalgorithm = \"HS256\"\nsecret = \"consult-s3\"\n\n\
             [apps.hasty]\ndialect = \"consult\"\n\n\
             [[apps.hasty.keys]]\nalgorithm = \"HS256\"\nsecret = \"hasty-s3\"\n\n\
             [apps.hasty.policy]\nretention_days = 1\ncalls = { ring_seconds = 3, grace_seconds = 2 }\n\n",
        );
    }
}
