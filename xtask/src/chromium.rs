//! A Chromium for the browser tests, and for whoever wants to look at a page without a screen.
//!
//! Where the machine has none, Debian's headless shell is fetched as the servers are: about 80 MB
//! that nothing but these tests needs, so nothing else fetches it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    cli::Args,
    fetch::{self, Source},
    find::{Program, Tool},
    places::Places,
};

/// The fonts that came with the browser, beside those of the machine, which may have none.
const FONTS: &str = "<?xml version=\"1.0\"?>\n\
    <!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n\
    <fontconfig>\n\
    <dir>/usr/share/fonts</dir>\n\
    <dir prefix=\"relative\">root/usr/share/fonts</dir>\n\
    </fontconfig>\n";

/// Prints the path of the executable.
///
/// # Errors
///
/// As [`get`], and when there are arguments.
pub(crate) fn print(args: Args, places: &Places) -> Result<()> {
    args.finish()?;
    println!("{}", get(places)?.display());
    Ok(())
}

/// Returns an executable that starts as it is, fetching it when the machine has none.
///
/// # Errors
///
/// When there is none and it can't be fetched; says what to do.
pub(crate) fn get(places: &Places) -> Result<PathBuf> {
    let programs = fetch::find_or_fetch(&[Tool::Chromium], places, Source::Private);
    let program = programs
        .map(|programs| programs.into_iter().next())
        .with_context(|| {
            format!(
                "the browser tests need Chromium; install one, or name the executable of any \
                 browser made of it in {}",
                Tool::Chromium.variable()
            )
        })?
        .context("Chromium is missing")?;
    match &program.libraries {
        None => Ok(program.path),
        Some(libraries) => wrap(&program, libraries, places),
    }
}

/// Writes the script that starts an unpacked browser with its own libraries and fonts.
fn wrap(program: &Program, libraries: &str, places: &Places) -> Result<PathBuf> {
    let fonts = places.dev.join("fonts.conf");
    fs::write(&fonts, FONTS)?;
    let script = places.dev.join("chromium");
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={} FONTCONFIG_FILE={} exec {} \"$@\"\n",
        quoted(libraries),
        quoted(&fonts.display().to_string()),
        quoted(&program.path.display().to_string()),
    );
    // In place at once: another run may be starting it.
    let arriving = places.dev.join(format!("chromium.{}", std::process::id()));
    fs::write(&arriving, text)?;
    fs::set_permissions(&arriving, fs::Permissions::from_mode(0o755))?;
    fs::rename(&arriving, &script)?;
    Ok(script)
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_takes_a_quoted_word_as_it_is() {
        assert_eq!(quoted("/a b/$c"), "'/a b/$c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
