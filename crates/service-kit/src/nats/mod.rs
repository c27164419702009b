//! The edge to NATS: one connection that never gives up, and requests with a deadline.
//!
//! Subjects are spelled in `chat_proto::subject` alone, and serving requests is the store's.

mod access;

use std::time::Duration;

use async_nats::{Client, Event, Request, client::RequestErrorKind};
use chat_domain::ChatError;
use chat_proto::v1;

use crate::{DependencyHealth, TlsError};

pub use access::NatsAccess;

/// The longest pause between two attempts to connect.
const MAX_BACK_OFF: Duration = Duration::from_secs(4);

/// The oldest server that is known to work.
const OLDEST_SERVER: (i64, i64, i64) = (2, 9, 0);

/// A connection that cannot even be tried. The service does not start.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// An address is malformed.
    #[error("an entry of NATS_URL is no NATS address; write nats://host:port")]
    Url(#[source] std::io::Error),
    /// There is no address.
    #[error("NATS_URL is empty; write nats://host:port")]
    NoUrl,
    /// TLS is asked for, and nothing says who is to be believed.
    #[error("NATS_URL has tls://, which needs NATS_CA_FILE")]
    NoAuthority,
    /// A file for TLS cannot be used.
    #[error("cannot speak TLS to NATS")]
    Tls(#[from] TlsError),
    /// The seed is none.
    #[error("NATS_NKEY_SEED is no seed of a user's nkey; those begin with SU")]
    Seed,
    /// The client could not be made.
    #[error("cannot set up the NATS connection")]
    Connect(#[from] async_nats::ConnectError),
}

/// Connects to NATS under the name of the service, for as long as the process lives. Answers come to
/// subjects below `inbox`, which are this kind of service's alone.
///
/// It returns at once, also when no server answers: the connection is made in the background, with
/// jittered back-off and without limit. Its state is mirrored into `health`.
///
/// # Errors
///
/// Returns a [`NatsError`] for settings that can never work; `start` hands it on.
pub async fn connect(
    access: &NatsAccess,
    inbox: &str,
    name: &str,
    health: DependencyHealth,
) -> Result<Client, NatsError> {
    health.down("connecting");
    let (connected, mut connections) = tokio::sync::mpsc::channel(1);
    let client = access
        .options()
        .name(name)
        .custom_inbox_prefix(inbox)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(back_off)
        .event_callback(move |event| {
            let (health, connected) = (health.clone(), connected.clone());
            async move {
                mirror(&event, &health);
                if event == Event::Connected {
                    // A check that is still queued does as well.
                    let _ = connected.try_send(());
                }
            }
        })
        .connect(&access.servers[..])
        .await?;

    let checked = client.clone();
    tokio::spawn(async move {
        while connections.recv().await.is_some() {
            check_version(&checked);
        }
    });
    Ok(client)
}

/// Sends a request and returns its decoded answer.
///
/// # Errors
///
/// Returns the failure that was answered, or [`ChatError::Unavailable`] when nobody answered within
/// `timeout`. The outcome is unknown then: the caller retries with the same idempotency key.
pub async fn request<M>(
    client: &Client,
    subject: impl Into<String>,
    request: &impl prost::Message,
    timeout: Duration,
) -> Result<M, ChatError>
where
    M: prost::Message + Default,
{
    let request = Request::new()
        .payload(request.encode_to_vec().into())
        .timeout(Some(timeout));
    // Sending waits as well while the connection is down and its queue full.
    let answer = tokio::time::timeout(timeout, client.send_request(subject.into(), request)).await;
    let message = match answer {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => {
            return Err(match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => ChatError::TooLarge("request"),
                RequestErrorKind::InvalidSubject => ChatError::Internal(error.into()),
                RequestErrorKind::TimedOut
                | RequestErrorKind::NoResponders
                | RequestErrorKind::Other => unavailable(error),
            });
        }
        Err(elapsed) => return Err(unavailable(elapsed)),
    };
    v1::Reply::open(message.payload)
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> ChatError {
    ChatError::Unavailable {
        dependency: "store",
        source: source.into(),
    }
}

/// Logs an event of the connection and mirrors it into the health. What goes on failing in the same
/// way is a warning only once.
fn mirror(event: &Event, health: &DependencyHealth) {
    match event {
        Event::Connected => {
            health.up();
            tracing::info!("connected to nats");
        }
        Event::Disconnected | Event::Closed => {
            health.down(event.to_string());
            tracing::warn!(nats.event = %event, "lost the connection to nats");
        }
        Event::ClientError(_) if health.is_up() => {
            tracing::warn!(nats.event = %event, "nats connection error");
        }
        Event::ClientError(_) => {
            if health.set_down(event.to_string()) {
                tracing::warn!(nats.event = %event, "no connection to nats; trying until there is");
            } else {
                tracing::debug!(nats.event = %event, "no connection to nats yet");
            }
        }
        Event::ServerError(_) => {
            tracing::warn!(nats.event = %event, "nats refused something");
        }
        Event::SlowConsumer(_) => {
            tracing::warn!(nats.event = %event, "nats events were dropped");
        }
        Event::LameDuckMode | Event::Draining => {
            tracing::info!(nats.event = %event, "nats connection is about to move");
        }
    }
}

fn check_version(client: &Client) {
    let server = client.server_info();
    let (major, minor, patch) = OLDEST_SERVER;
    if !client.is_server_compatible(major, minor, patch) {
        tracing::error!(
            nats.version = server.version,
            "nats-server is older than 2.9 and not supported; upgrade it"
        );
    }
}

/// Doubles from 10 ms to [`MAX_BACK_OFF`], each pause between half and all of that.
fn back_off(attempt: usize) -> Duration {
    let exponent = u32::try_from(attempt.min(16)).unwrap_or(16);
    let full = Duration::from_millis(5 << exponent).min(MAX_BACK_OFF);
    let half = full / 2;
    // The low bits of a version 4 UUID are random.
    let share = u32::from(uuid::Uuid::new_v4().as_bytes()[15]);
    half + half * share / 255
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use chat_domain::ErrorKind;
    use chat_proto::v1;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::{NatsArgs, Secret, Service};

    const DEADLINE: Duration = Duration::from_secs(10);

    /// Serves one client as a NATS server would: `answered` has a responder, `ignored` one that says
    /// nothing, and any other subject none.
    async fn serve(listener: TcpListener) -> std::io::Result<()> {
        let (stream, _) = listener.accept().await?;
        let (read, mut write) = stream.into_split();
        let info = "INFO {\"server_id\":\"s\",\"server_name\":\"s\",\"version\":\"2.9.10\",\"go\":\"\",\
                    \"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\
                    \"proto\":1,\"client_id\":1}\r\n";
        write.write_all(info.as_bytes()).await?;
        let mut inbox_sid = String::new();
        let mut lines = BufReader::new(read).split(b'\n');
        while let Some(line) = lines.next_segment().await? {
            let line = String::from_utf8_lossy(&line);
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["PING"] => write.write_all(b"PONG\r\n").await?,
                ["SUB", _, sid] => inbox_sid = (*sid).to_owned(),
                ["PUB", "ignored", ..] => {}
                ["PUB", subject, reply, _] => {
                    let answer = if *subject == "answered" {
                        let body = chat_proto::reply(Ok(v1::HeadsReply::default()));
                        let head = format!("MSG {reply} {inbox_sid} {}\r\n", body.len());
                        [head.as_bytes(), &body, b"\r\n"].concat()
                    } else {
                        let head = "NATS/1.0 503\r\n\r\n";
                        format!(
                            "HMSG {reply} {inbox_sid} {n} {n}\r\n{head}\r\n",
                            n = head.len()
                        )
                        .into()
                    };
                    write.write_all(&answer).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn access(url: String) -> Result<NatsAccess, NatsError> {
        let args = NatsArgs {
            nats_url: vec![Secret::from(url)],
            ..NatsArgs::default()
        };
        args.access()
    }

    async fn connected(address: SocketAddr, health: DependencyHealth) -> Client {
        let access = access(format!("nats://{address}")).unwrap();
        connect(&access, "_INBOX", "test", health).await.unwrap()
    }

    /// Waits until the health is as said.
    async fn is_up_in_the_end(health: &DependencyHealth, is_up: bool) {
        let wait = async {
            while health.is_up() != is_up {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        assert!(waited.is_ok(), "the health never became up = {is_up}");
    }

    #[tokio::test]
    async fn a_server_that_comes_late_is_found_and_its_loss_noticed() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let health = Service::detached().health.dependency("nats");

        let client = connected(address, health.clone()).await;
        assert!(!health.is_up());

        let server = tokio::spawn(serve(TcpListener::bind(address).await.unwrap()));
        is_up_in_the_end(&health, true).await;
        server.abort();
        is_up_in_the_end(&health, false).await;
        drop(client);
    }

    #[tokio::test]
    async fn requests_are_answered_or_unavailable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));
        let health = Service::detached().health.dependency("nats");
        let client = connected(address, health).await;
        let ask = async |subject: &str, timeout| {
            let question = v1::HeadsRequest::default();
            request::<v1::HeadsReply>(&client, subject, &question, timeout).await
        };

        assert!(ask("answered", DEADLINE).await.is_ok());
        for (subject, timeout) in [("nobody", DEADLINE), ("ignored", Duration::from_millis(1))] {
            let error = ask(subject, timeout).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for url in ["http://u:hunter2@host", "tls://u:hunter2@host", " "] {
            let error = access(url.to_owned()).unwrap_err();

            assert!(error.to_string().contains("NATS_URL"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_no_seed_is_refused_without_showing_it() {
        let args = NatsArgs {
            nats_url: vec![Secret::from("nats://host".to_owned())],
            nats_nkey_seed: Some(Secret::from("hunter2".to_owned())),
            ..NatsArgs::default()
        };

        let error = args.access().unwrap_err();

        assert!(error.to_string().contains("NATS_NKEY_SEED"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        for attempt in [1, 5, 10, 1000] {
            let pause = back_off(attempt);
            assert!(pause <= MAX_BACK_OFF, "{pause:?}");
        }
        assert!(back_off(1000) >= MAX_BACK_OFF / 2);
    }
}
