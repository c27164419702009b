//! A value that never reaches a log.

use std::{fmt, fs, io, str::FromStr};

use clap::builder::{ValueParser, ValueParserFactory};

/// How a setting begins that names the file with the secret, in place of the secret.
const FILE: &str = "file:";

/// A password, key or token: `Debug` prints `[redacted]`, and there is no `Display`.
///
/// A setting may name a file in its place, `file:/run/secrets/name`: an environment is inherited and
/// shown by many tools, a mounted file is not. White space at both ends of the file is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the value. Each call site is a place to review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(path) = text.strip_prefix(FILE) else {
            return Ok(Self(text.to_owned()));
        };
        match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Err(SecretError::Empty(path.to_owned())),
            Ok(text) => Ok(Self(text.trim().to_owned())),
            Err(source) => Err(SecretError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

/// Without this, settings would be taken as the text that they are: clap prefers `From<String>`.
impl ValueParserFactory for Secret {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(|text: &str| text.parse::<Self>())
    }
}

/// A file that a setting names and that holds no secret. The service does not start.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not there, not readable, or no text.
    #[error("cannot read the secret in {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty; write the secret into it")]
    Empty(String),
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret: Secret = "hunter2".parse().unwrap();

        assert_eq!(format!("{:?}", Some(&secret)), "Some([redacted])");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        #[derive(clap::Parser)]
        struct Settings {
            #[arg(long)]
            secret: Secret,
        }

        let path = std::env::temp_dir().join(format!("secret-{}", uuid::Uuid::new_v4()));
        let flag = format!("--secret=file:{}", path.display());
        let parse = || Settings::try_parse_from(["service", &flag]);
        assert!(parse().is_err(), "no file");

        fs::write(&path, "\n").unwrap();
        assert!(parse().is_err(), "an empty file");

        fs::write(&path, "hunter2\n").unwrap();
        let settings = parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.secret.expose(), "hunter2");
        fs::remove_file(path).unwrap();
    }
}
