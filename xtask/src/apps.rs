//! The apps of a development system: one for each dialect, with secrets of its own.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{json, run_dir::RunDir, secret};

/// The apps, each named after its dialect. A dialect joins when both services know it.
pub(crate) const APPS: [&str; 1] = ["consult"];

/// One app and the secret that its tokens are signed with.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) name: &'static str,
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
            .map(|name| {
                let secret = secret::kept(&run.path.join(format!("app-{name}.secret")))?;
                Ok(App { name, secret })
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
            .find(|app| app.name == name)
            .with_context(|| format!("no app {name:?}; there is {}", APPS.join(", ")))
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
                ("dialect", json::string(app.name)),
                ("secret", json::string(&app.secret)),
            ]);
            (app.name, about)
        }))
    }

    fn to_toml(&self) -> String {
        let mut text = String::new();
        for App { name, secret } in &self.0 {
            // Writing to a string never fails.
            let _ = write!(
                text,
                "[apps.{name}]\ndialect = \"{name}\"\n\n\
                 [[apps.{name}.keys]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n\n",
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_tell_the_same_secret() {
        let apps = Apps(vec![App {
            name: "consult",
            secret: "s3".to_owned(),
        }]);

        assert_eq!(
            apps.to_json(),
            r#"{"consult":{"dialect":"consult","secret":"s3"}}"#
        );
        assert_eq!(
            apps.to_toml(),
            "[apps.consult]\ndialect = \"consult\"\n\n\
             [[apps.consult.keys]]\nalgorithm = \"HS256\"\nsecret = \"s3\"\n\n",
        );
    }
}
