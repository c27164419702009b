//! What only a gateway reads: the ids that it signed, and the broker.

use bytes::BytesMut;
use chat_domain::{AppId, Timestamp, UserId};
use realtime_gateway::{nats::Parser, session::RecoveryKey, transport::Network};

use crate::{corpus, feed};

#[test]
fn nobody_makes_a_session_up() {
    let key = RecoveryKey::new(&[7; 32], std::time::Duration::from_hours(24));
    let owner = (
        &AppId::new("consult").unwrap(),
        &UserId::new("ann").unwrap(),
    );
    let now = Timestamp(1_790_000_000_000);
    feed(&corpus("crates/fuzz-check/corpus/cursors"), |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let (pid, offset) = text.split_once('\n').unwrap_or((text, ""));
        assert!(key.open(owner, pid, Some(offset), now).is_err());
        assert!(key.open(owner, pid, None, now).is_err());
    });
}

#[test]
fn the_broker_is_understood_in_pieces_or_not_at_all() {
    fn read(input: &[u8], piece: usize) -> (Vec<String>, bool) {
        let mut parser = Parser::new(1_000);
        let mut buffer = BytesMut::new();
        let mut heard = Vec::new();
        for piece in input.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                match parser.next(&mut buffer) {
                    Ok(Some(operation)) => heard.push(format!("{operation:?}")),
                    Ok(None) => break,
                    Err(_) => return (heard, true),
                }
            }
        }
        (heard, false)
    }

    feed(&corpus("crates/fuzz-check/corpus/nats"), |input| {
        let (whole, failed) = read(input, usize::MAX);
        let (pieces, failed_too) = read(input, 1);
        assert_eq!(failed, failed_too);
        // What is refused may be found out earlier or later, but means nothing else.
        let common = whole.len().min(pieces.len());
        assert_eq!(whole[..common], pieces[..common]);
    });
}

#[test]
fn networks_are_read_or_refused() {
    feed(&corpus("crates/fuzz-check/corpus/networks"), |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let _ = text.parse::<Network>();
        }
    });
}
