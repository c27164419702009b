//! The demo page: a small client to try the system with and to copy from. It signs nobody in: whoever
//! opens it gets the tokens of its people, so it is for development alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::transport::{Keep, Pages};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// Defines the files of the page, each served under its name in the folder `demo`.
macro_rules! files {
    ($($name:literal: $content_type:ident,)*) => {
        [$((
            concat!("/demo/", $name),
            $content_type,
            include_bytes!(concat!("../demo/", $name)).as_slice(),
        ),)*]
    };
}

const FILES: [(&str, &str, &[u8]); 18] = files! {
    "call.css": CSS,
    "call.js": SCRIPT,
    "call-view.js": SCRIPT,
    "chat.css": CSS,
    "chat.js": SCRIPT,
    "chat-view.js": SCRIPT,
    "connection.js": SCRIPT,
    "demo.css": CSS,
    "icon.svg": SVG,
    "main.js": SCRIPT,
    "media.js": SCRIPT,
    "outbox.js": SCRIPT,
    "peer.js": SCRIPT,
    "presence.js": SCRIPT,
    "tones.js": SCRIPT,
    "typing.js": SCRIPT,
    "words.js": SCRIPT,
    "vendor/socket.io.esm.min.js": SCRIPT,
};

/// Why there is no demo page.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The file is not there, or not for us.
    #[error("cannot read {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file is something else.
    #[error("{0} does not list the people of the demo")]
    Malformed(PathBuf, #[source] serde_json::Error),
}

/// Who there is to try things as. Never printed: it holds tokens.
#[derive(Serialize, Deserialize)]
struct Cast {
    conversation: String,
    people: Vec<Person>,
}

#[derive(Serialize, Deserialize)]
struct Person {
    id: String,
    role: String,
    name: String,
    token: String,
}

/// Returns the page, at `/demo`, for the people and the conversation in `file`.
///
/// # Errors
///
/// Says what is wrong with the file; the operator mends it, or does without the page.
pub fn pages(file: &Path) -> Result<Pages, DemoError> {
    let text = fs::read(file).map_err(|error| DemoError::Unreadable(file.to_owned(), error))?;
    let malformed = |error| DemoError::Malformed(file.to_owned(), error);
    let cast: Cast = serde_json::from_slice(&text).map_err(malformed)?;
    let cast = serde_json::to_vec(&cast).map_err(malformed)?;

    let mut pages = Pages::default();
    pages.add("/demo/people.json", JSON, Keep::Never, cast);
    let page = include_bytes!("../demo/index.html").as_slice();
    for path in ["/demo", "/demo/"] {
        pages.add(path, HTML, Keep::Asking, page);
    }
    for (path, content_type, body) in FILES {
        pages.add(path, content_type, Keep::Asking, body);
    }
    Ok(pages)
}
