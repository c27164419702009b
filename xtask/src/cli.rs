//! The command line: flags taken off one by one, what is left over refused.
//!
//! Not a parser with types and derives: that would be most of xtask's compile time.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result, bail};

/// Arguments that nobody has claimed yet.
#[derive(Debug)]
pub(crate) struct Args(Vec<String>);

impl Args {
    /// Takes the arguments of this process, without its name.
    pub(crate) fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Removes and returns the first argument, the name of a command.
    pub(crate) fn command(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Removes the flag `name` and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// Removes `name VALUE` or `name=VALUE` and returns the value.
    ///
    /// # Errors
    ///
    /// When the value is missing or is not a `T`.
    pub(crate) fn option<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(at) = self.0.iter().position(|argument| {
            argument
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        }) else {
            return Ok(None);
        };
        let argument = self.0.remove(at);
        let value = match argument.split_once('=') {
            Some((_, value)) => value.to_owned(),
            None if at < self.0.len() => self.0.remove(at),
            None => bail!("{name} needs a value"),
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(_) => bail!("{name} does not take {value:?}"),
        }
    }

    /// Removes `name PATH` and returns the path made absolute.
    ///
    /// # Errors
    ///
    /// As [`Args::option`], and when there is no current folder.
    pub(crate) fn path(&mut self, name: &str) -> Result<Option<PathBuf>> {
        self.option::<PathBuf>(name)?
            .map(|path| std::path::absolute(&path).context("no current folder"))
            .transpose()
    }

    /// Says whether somebody asks how to use `command`.
    pub(crate) fn wants_help(&self, command: &str) -> bool {
        let asks = |argument: &str| argument == "--help" || argument == "-h";
        asks(command) || self.0.iter().any(|argument| asks(argument))
    }

    /// Returns everything as it is.
    pub(crate) fn all(self) -> Vec<String> {
        self.0
    }

    /// Returns everything that is left, for a command that passes it on.
    pub(crate) fn rest(self) -> Vec<String> {
        let mut rest = self.0;
        rest.retain(|argument| argument != "--");
        rest
    }

    /// Refuses whatever is left.
    ///
    /// # Errors
    ///
    /// Names the first argument that no one took.
    pub(crate) fn finish(self) -> Result<()> {
        match self.0.first() {
            Some(argument) => bail!("unknown argument {argument:?}; see `cargo xtask --help`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn args(line: &str) -> Args {
        Args(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn options_are_taken_in_both_spellings() {
        let mut args = args("up --gateways 3 --port=8080 --release");

        assert_eq!(args.command().as_deref(), Some("up"));
        assert_eq!(args.option::<u16>("--port").unwrap(), Some(8080));
        assert_eq!(args.option::<usize>("--gateways").unwrap(), Some(3));
        assert!(args.flag("--release"));
        args.finish().unwrap();
    }

    #[test]
    fn a_longer_name_is_another_option() {
        let mut args = args("--ports 1");

        assert_eq!(args.option::<u16>("--port").unwrap(), None);
    }

    #[test]
    fn a_missing_or_wrong_value_names_the_option() {
        let missing = args("--port").option::<u16>("--port").unwrap_err();
        let wrong = args("--port many").option::<u16>("--port").unwrap_err();

        assert_eq!(missing.to_string(), "--port needs a value");
        assert_eq!(wrong.to_string(), "--port does not take \"many\"");
    }

    #[test]
    fn what_nobody_took_is_refused() {
        let error = args("--gatways 3").finish().unwrap_err();

        assert!(error.to_string().contains("--gatways"));
    }
}
