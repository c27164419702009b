//! A WebSocket over a real socket: order, limits, upgrades, and how connections end.

use std::time::Duration;

use realtime_gateway::transport::{Config, OutboxLimits, Reason};
use socketio_protocol::{
    connection,
    ws::{OpCode, client},
};
use test_kit::eventually;
use tokio::io::AsyncWriteExt as _;

use crate::transport::{Heard, World, upgrade};

#[tokio::test]
async fn events_of_one_segment_are_handled_in_order() {
    let world = World::new().await;
    let mut ws = world.websocket().await;
    let mut segment = Vec::new();
    for i in 0..100 {
        let event = format!("42[\"n\",{i}]");
        segment.extend(socketio_protocol::ws::client::frame(
            OpCode::Text,
            event.as_bytes(),
            [i, 1, 2, 3],
        ));
    }

    ws.raw(&segment).await;

    for i in 0..100 {
        assert_eq!(ws.text().await, format!("42[\"n\",{i}]"));
    }
}

#[tokio::test]
async fn what_arrives_while_the_application_is_busy_comes_as_one_batch() {
    let world = World::new().await;
    let mut ws = world.websocket().await;
    ws.send("42[\"wait\"]").await;
    for _ in 0..20 {
        ws.send("42[\"n\"]").await;
    }
    // The pong tells that all of it was read.
    ws.frame(OpCode::Ping, b"read?").await;
    assert_eq!(ws.hear().await, Heard::Pong(b"read?".to_vec()));

    world.echo.release.notify_one();
    for _ in 0..20 {
        ws.text().await;
    }

    let (n_batches, n_events) = *world.echo.handled.lock();
    assert_eq!(n_events, 21);
    assert!(n_batches <= 3, "{n_batches} batches");
}

#[tokio::test]
async fn a_flood_of_events_waits_for_the_application_and_loses_nothing() {
    let world = World::new().await;
    let mut ws = world.websocket().await;
    ws.send("42[\"wait\"]").await;
    let mut frames = Vec::new();
    for i in 0..5_000 {
        let event = format!("42[\"n\",{i}]");
        frames.extend(socketio_protocol::ws::client::frame(
            OpCode::Text,
            event.as_bytes(),
            [0; 4],
        ));
    }

    ws.raw(&frames).await;
    world.echo.release.notify_one();

    for i in 0..5_000 {
        assert_eq!(ws.text().await, format!("42[\"n\",{i}]"));
    }
}

#[tokio::test]
async fn a_ping_of_the_websocket_is_answered_with_its_payload() {
    let world = World::new().await;
    let mut ws = world.websocket().await;

    ws.frame(OpCode::Ping, b"hello").await;

    assert_eq!(ws.hear().await, Heard::Pong(b"hello".to_vec()));
}

#[tokio::test]
async fn frames_that_break_the_rules_close_with_their_code() {
    let frames: [(&[u8], u16); 7] = [
        (b"\x81\x05hello", 1002),                    // not masked
        (b"\xc1\x80\x00\x00\x00\x00", 1002),         // a reserved bit
        (b"\x83\x80\x00\x00\x00\x00", 1002),         // a reserved opcode
        (b"\x09\x80\x00\x00\x00\x00", 1002),         // a fragmented ping
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00", 1002), // a ping of 126 bytes
        (b"\x81\x82\x00\x00\x00\x00\xff\xff", 1007), // no UTF-8
        (
            b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
            1009,
        ), // 2^63 bytes
    ];
    for (frame, code) in frames {
        let mut world = World::new().await;
        let mut ws = world.websocket().await;

        ws.raw(frame).await;

        assert_eq!(ws.close_code().await, Some(code), "{frame:x?}");
        assert_eq!(world.gone().await, Reason::ProtocolError);
    }
}

#[tokio::test]
async fn packets_that_break_the_rules_close() {
    for packet in [
        "4abc",
        "42{}",
        "42abc[\"x\"]",
        "47",
        "42[\"connect\"]",
        "42/chat,[\"x\"]",
        "40",
    ] {
        let mut world = World::new().await;
        let mut ws = world.websocket().await;

        ws.send(packet).await;

        assert_eq!(ws.close_code().await, Some(1002), "{packet}");
        assert_eq!(world.gone().await, Reason::ProtocolError);
        assert_eq!(world.server.n_connections(), 0);
    }
}

#[tokio::test]
async fn a_flood_of_pings_is_closed() {
    let mut world = World::new().await;
    let mut ws = world.websocket().await;

    for _ in 0..200 {
        ws.frame(OpCode::Ping, b"").await;
    }

    assert_eq!(ws.close_code().await, Some(1008));
    assert_eq!(world.gone().await, Reason::Flood);
}

#[tokio::test]
async fn a_refusal_carries_its_data() {
    let world = World::new().await;
    let mut ws = world.websocket().await;

    ws.send("40/forbidden,").await;
    assert_eq!(
        ws.text().await,
        r#"44/forbidden,{"message":"No","data":{"code":"no"}}"#
    );
    ws.send("40/nowhere,").await;
    assert_eq!(
        ws.text().await,
        r#"44/nowhere,{"message":"Invalid namespace"}"#
    );
    ws.send("42[\"still\"]").await;
    assert_eq!(ws.text().await, "42[\"still\"]");
}

#[tokio::test]
async fn a_refusal_can_close_once_it_is_written() {
    let mut world = World::new().await;
    let mut ws = world.websocket().await;

    ws.send("40/closed,").await;

    assert_eq!(
        ws.text().await,
        r#"44/closed,{"message":"No","data":{"code":"no"}}"#
    );
    assert_eq!(
        ws.hear().await,
        Heard::Close(socketio_protocol::ws::CloseCode::new(1008))
    );
    assert_eq!(world.gone().await, Reason::Kicked);
}

#[tokio::test]
async fn namespaces_end_one_by_one_and_each_end_has_its_reason() {
    let mut world = World::new().await;
    let mut ws = world.websocket().await;
    ws.send("40/chat,").await;
    assert!(ws.text().await.starts_with("40/chat,{"));

    ws.send("41/chat,").await;
    assert_eq!(world.gone().await, Reason::ClientDisconnect);
    ws.send("42[\"leave\"]").await;
    assert_eq!(ws.text().await, "41");
    assert_eq!(world.gone().await, Reason::ServerDisconnect);
    ws.send("40").await;
    assert!(ws.text().await.starts_with("40{"), "it may come back");
    drop(ws);
    assert_eq!(world.gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_handled() {
    let mut world = World::new().await;
    let mut ws = world.websocket().await;

    ws.send("42[\"wait\"]").await;
    ws.send("42[\"last\"]").await;
    ws.frame(OpCode::Ping, b"read?").await;
    ws.hear().await;
    drop(ws);
    world.echo.release.notify_one();

    assert_eq!(world.gone().await, Reason::TransportClosed);
    assert_eq!(world.echo.handled.lock().1, 2);
}

#[tokio::test]
async fn a_panic_of_the_application_ends_its_connection_alone() {
    let mut world = World::new().await;
    let (mut ws, mut other) = (world.websocket().await, world.websocket().await);

    ws.send("42[\"panic\"]").await;

    assert_eq!(ws.close_code().await, Some(1011));
    assert_eq!(world.gone().await, Reason::InternalError);
    other.send("42[\"alive\"]").await;
    assert_eq!(other.text().await, "42[\"alive\"]");
}

#[tokio::test]
async fn a_close_frame_is_answered() {
    let mut world = World::new().await;
    let mut ws = world.websocket().await;

    ws.frame(OpCode::Close, &1000_u16.to_be_bytes()).await;

    assert_eq!(ws.close_code().await, Some(1000));
    assert_eq!(world.gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let protocol = connection::Config {
        ping_interval: Duration::from_millis(20),
        ping_timeout: Duration::from_millis(20),
        ..connection::Config::default()
    };
    let mut world = World::with(Config {
        protocol,
        ..Config::default()
    })
    .await;
    let mut ws = world.websocket().await;

    assert_eq!(ws.close_code().await, Some(1000));
    assert_eq!(world.gone().await, Reason::PingTimeout);
}

#[tokio::test]
async fn a_client_over_the_byte_limit_is_closed() {
    let outbox = OutboxLimits {
        soft: 10_000,
        hard: 20_000,
    };
    let mut world = World::with(Config {
        outbox,
        ..Config::default()
    })
    .await;
    let mut ws = world.websocket().await;
    let event = format!("42[\"big\",\"{}\"]", "x".repeat(100_000));

    // More than the limit at once cannot be queued, whatever the kernel takes.
    ws.send(&event).await;

    assert_eq!(ws.close_code().await, None);
    assert_eq!(world.gone().await, Reason::SlowConsumer);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_closed() {
    let outbox = OutboxLimits {
        soft: 64_000_000,
        hard: 128_000_000,
    };
    let config = Config {
        outbox,
        stall_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let mut world = World::with(config).await;
    let mut ws = world.websocket().await;
    let event = format!("42[\"big\",\"{}\"]", "x".repeat(500_000));

    // Until the buffers of both kernels are full.
    for _ in 0..40 {
        let frame = socketio_protocol::ws::client::frame(OpCode::Text, event.as_bytes(), [0; 4]);
        if ws.stream.write_all(&frame).await.is_err() {
            break;
        }
    }

    assert_eq!(world.gone().await, Reason::SlowConsumer);
}

#[tokio::test]
async fn a_drain_sends_everybody_away_and_lets_nobody_in() {
    let mut world = World::new().await;
    let (mut one, mut two) = (world.websocket().await, world.websocket().await);
    let query = world.polling().await;

    let drain = world.server.drain(1_000, Duration::from_mins(1));
    let (polled, ()) = tokio::join!(world.get(&query), drain);

    // The GET may have come too late.
    assert!(
        polled == (200, "1".to_owned()) || polled.0 == 400,
        "{polled:?}"
    );
    assert_eq!(
        (one.close_code().await, two.close_code().await),
        (Some(1012), Some(1012))
    );
    for _ in 0..3 {
        assert_eq!(world.gone().await, Reason::Draining);
    }
    assert_eq!(world.get("EIO=4&transport=polling").await.0, 503);
    assert_eq!(
        world
            .http(&upgrade("EIO=4&transport=websocket", ""))
            .await
            .0,
        503
    );
    assert_eq!(world.server.n_connections(), 0);
}

#[tokio::test]
async fn a_drain_lets_clients_finish_and_takes_the_busy_last() {
    let mut world = World::new().await;
    let mut busy = world.websocket().await;
    let mut slow = world.websocket().await;
    busy.send(r#"42["busy"]"#).await;
    busy.text().await;
    let heard = [r#"420["wait"]"#, r#"421["said",1]"#];
    let frame = |text: &str| client::frame(OpCode::Text, text.as_bytes(), [7; 4]);
    slow.raw(&heard.map(frame).concat()).await;
    eventually("it is heard", async || {
        (world.echo.handled.lock().1 == 3).then_some(())
    })
    .await;

    let (server, query) = (world.server.clone(), world.polling().await);
    let drained = tokio::spawn(async move { server.drain(20, Duration::from_mins(1)).await });
    assert_eq!(world.gone().await, Reason::Draining, "the polling client");
    assert_eq!(busy.close_code().await, Some(1012));
    assert_eq!(world.get(&query).await.0, 400);
    // It still waits for its answers, and gets them.
    assert_eq!(world.server.n_connections(), 1);
    assert_eq!(world.get("EIO=4&transport=polling").await.0, 503);
    world.echo.release.notify_one();

    assert_eq!(slow.text().await, "431[1]");
    assert_eq!(slow.close_code().await, Some(1012));
    drained.await.unwrap();
}

#[tokio::test]
async fn an_upgrade_keeps_order_and_loses_nothing() {
    let world = World::new().await;
    let query = world.polling().await;
    let mut ws = world
        .websocket_handshake(&query.replace("polling", "websocket"))
        .await;

    let waiting = world.get(&query);
    tokio::pin!(waiting);
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    assert_eq!(waiting.await, (200, "6".to_owned()));
    world.post(&query, "42[\"n\",1]").await;
    ws.send("5").await;
    ws.send("42[\"n\",2]").await;

    assert_eq!(ws.text().await, "42[\"n\",1]");
    assert_eq!(ws.text().await, "42[\"n\",2]");
    assert_eq!(world.get(&query).await.0, 400);
}

#[tokio::test]
async fn a_second_websocket_of_a_session_is_closed_and_the_first_one_stays() {
    let world = World::new().await;
    let query = world.polling().await;
    let websocket = query.replace("polling", "websocket");
    let mut first = world.websocket_handshake(&websocket).await;
    first.send("2probe").await;
    first.text().await;
    first.send("5").await;

    let mut second = world.websocket_handshake(&websocket).await;

    assert_eq!(second.close_code().await, Some(1008));
    first.send("42[\"alive\"]").await;
    assert_eq!(first.text().await, "42[\"alive\"]");
}

#[tokio::test]
async fn a_probe_that_goes_wrong_leaves_the_session_on_polling() {
    let world = World::new().await;
    let query = world.polling().await;
    let websocket = query.replace("polling", "websocket");

    for wrong in ["2prob", "5", "42[\"early\"]"] {
        let mut ws = world.websocket_handshake(&websocket).await;
        ws.send(wrong).await;
        assert_eq!(ws.close_code().await, Some(1000), "{wrong}");
    }

    world.post(&query, "42[\"alive\"]").await;
    assert_eq!(world.get(&query).await.1, "42[\"alive\"]");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let world = World::new().await;
    let header = format!("X-Long: {}\r\n", "x".repeat(40_000));

    let (status, _, _) = world
        .http(&upgrade("EIO=4&transport=websocket", &header))
        .await;

    assert_eq!(status, 431);
}

#[tokio::test]
async fn no_extension_is_negotiated_and_a_foreign_origin_is_refused() {
    let world = World::new().await;
    let query = "EIO=4&transport=websocket";

    let foreign = world
        .http(&upgrade(query, "Origin: https://evil.test\r\n"))
        .await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    stream
        .write_all(upgrade(query, extension).as_bytes())
        .await
        .unwrap();
    let mut head = vec![0; 4_096];
    let n = tokio::io::AsyncReadExt::read(&mut stream, &mut head)
        .await
        .unwrap();
    let head = String::from_utf8_lossy(&head[..n]).to_lowercase();

    assert_eq!(foreign.0, 403);
    assert!(head.starts_with("http/1.1 101"));
    assert!(!head.contains("extensions"));
}

#[tokio::test]
async fn connections_over_the_limit_are_turned_away() {
    let world = World::with(Config {
        max_connections: 2,
        ..Config::default()
    })
    .await;
    let _held = (world.websocket().await, world.websocket().await);

    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let mut answer = Vec::new();
    let n = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
        .await
        .unwrap_or(0);

    assert_eq!(n, 0);
}
