//! The same files in a bucket that speaks S3: moto's server, which `CHAT_PYTHON` has.
//!
//! Not seen here: that a bucket refuses a URL that it did not sign; moto takes any.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use chat_store::files::BucketSettings;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    album::Album,
    attachments::{
        a_file_reaches_the_two, what_is_something_else_is_not_sent, what_nobody_sends_is_removed,
        what_was_sent_stays,
    },
    http_site::Site,
};

/// Serves a bucket until its input ends, and says at which port.
const SERVER: &str = "
import logging, sys, boto3
from moto.server import ThreadedMotoServer
logging.getLogger('werkzeug').setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
client = boto3.client('s3', endpoint_url=f'http://127.0.0.1:{port}', region_name='us-east-1',
                      aws_access_key_id='key', aws_secret_access_key='secret')
client.create_bucket(Bucket='files')
print(port, flush=True)
sys.stdin.read()
";

/// A server that ends with this value.
struct Server {
    port: u16,
    process: Child,
}

impl Server {
    fn start(python: &str) -> Self {
        let mut command = Command::new(python);
        command.args(["-c", SERVER]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Self { port, process }
    }

    async fn album(&self) -> Album {
        let settings = BucketSettings {
            bucket: "files".to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            key_id: "key".to_owned(),
            secret: "secret".parse().unwrap(),
        };
        Album::consult_at(Site::with_bucket(settings).await).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It is over then, whatever it says.
        let _ = self.process.wait();
    }
}

/// Uploads to a URL that the bucket signed.
pub(crate) async fn put(url: &str, bytes: &[u8]) -> StatusCode {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    stream
        .write_all(&[head.as_bytes(), bytes].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let status = answer.get(9..12).unwrap();
    StatusCode::from_bytes(status).unwrap()
}

#[tokio::test]
async fn a_bucket_does_what_a_folder_does() {
    let Ok(python) = env::var("CHAT_PYTHON") else {
        eprintln!("skipped: CHAT_PYTHON names no Python with moto; `cargo xtask test` sets it");
        return;
    };
    let server = Server::start(&python);

    a_file_reaches_the_two(server.album().await).await;
    what_is_something_else_is_not_sent(server.album().await).await;
    what_was_sent_stays(server.album().await).await;
    what_nobody_sends_is_removed(&server.album().await).await;
}
