//! Just enough HTTP to ask our own services on loopback.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, with its body as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Sends a request to `127.0.0.1:port` and reads the whole answer.
///
/// `body` is JSON. The request is HTTP/1.0, so that the answer is never chunked.
///
/// # Errors
///
/// When nothing listens there or what answers is not HTTP.
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .with_context(|| format!("nothing answers on port {port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let authorization = bearer.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let length = body.len();
    stream.write_all(
        format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
        )
        .as_bytes(),
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Result<Answer> {
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    match (status, body) {
        (Some(status), Some(body)) => Ok(Answer { status, body }),
        _ => bail!("the answer is not HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn status_and_body_are_told_apart() {
        let answer = parse("HTTP/1.1 201 Created\r\nA: b\r\n\r\n{\"id\":1}").unwrap();

        assert_eq!((answer.status, answer.body.as_str()), (201, "{\"id\":1}"));
        assert!(parse("SSH-2.0-OpenSSH").is_err());
    }
}
