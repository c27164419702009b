//! The files of Swagger UI and the style of the other page.
//!
//! Swagger UI comes as an archive in a crate; what is needed of it is taken out when somebody first asks.

use std::{
    io::{Cursor, Read as _},
    sync::LazyLock,
};

use axum::body::Bytes;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

pub(super) const SWAGGER_PAGE: &str = include_str!("swagger.html");

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of Swagger UI that its page loads.
static SWAGGER: LazyLock<[(&str, &str, Bytes); 2]> = LazyLock::new(|| {
    [("swagger-ui.css", CSS), ("swagger-ui-bundle.js", SCRIPT)]
        .map(|(name, content_type)| (name, content_type, unpacked(name).unwrap_or_default()))
});

/// Returns a file, and what it is.
pub(super) fn find(name: &str) -> Option<(&'static str, Bytes)> {
    match name {
        "start.js" => return Some((SCRIPT, include_str!("start.js").into())),
        "sockets.css" => return Some((CSS, include_str!("sockets.css").into())),
        _ => {}
    }
    let (_, content_type, bytes) = SWAGGER.iter().find(|(it, ..)| *it == name)?;
    Some((*content_type, bytes.clone()))
}

fn unpacked(name: &str) -> Option<Bytes> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let path = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|path| path.ends_with(&format!("/dist/{name}")))?
        .into_owned();
    let mut bytes = Vec::new();
    archive.by_name(&path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_archive() {
        for (name, _, bytes) in SWAGGER.iter() {
            assert!(!bytes.is_empty(), "{name}");
        }
    }
}
