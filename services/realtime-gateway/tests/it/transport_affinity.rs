//! Clients whose every request reaches another server.

use std::{sync::atomic::Ordering, time::Duration};

use realtime_gateway::{
    peers::Peers,
    transport::{Config, OutboxLimits, Reason},
};
use socketio_protocol::ws::OpCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::transport::{Heard, deployment::Deployment, get, post, upgrade};

const PATIENCE: Duration = Duration::from_secs(10);
const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

fn websocket(query: &str) -> String {
    query.replace("transport=polling", "transport=websocket")
}

#[tokio::test]
async fn events_come_back_in_order_when_every_request_lands_elsewhere() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;
    let events = (0..30)
        .map(|i| format!("42[\"n\",{i}]"))
        .collect::<Vec<_>>();

    let mut answers = Vec::new();
    for event in &events {
        let posted = deployment.next().post(&query, event).await;
        assert_eq!(posted, (200, "ok".to_owned()));
        let (_, body) = deployment.next().get(&query).await;
        answers.extend(body.split('\x1e').map(str::to_owned));
    }

    assert_eq!(answers, events);
    assert_eq!(
        deployment.worlds[0].echo.handled.lock().1,
        30,
        "the first server has the session"
    );
}

#[tokio::test]
async fn a_get_that_is_held_elsewhere_is_answered() {
    let deployment = Deployment::new().await;
    let [_, b, c] = &deployment.worlds[..] else {
        unreachable!()
    };
    let query = deployment.polling().await;

    let held = b.get(&query);
    tokio::pin!(held);
    tokio::select! {
        biased;
        _ = &mut held => panic!("there is nothing to answer with"),
        answer = c.get("EIO=4&transport=polling") => assert_eq!(answer.0, 200),
    }
    c.post(&query, "42[\"x\"]").await;

    assert_eq!(held.await, (200, "42[\"x\"]".to_owned()));
}

#[tokio::test]
async fn a_get_that_is_given_up_elsewhere_ends_the_session() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;

    let mut stream = TcpStream::connect(deployment.worlds[1].address)
        .await
        .unwrap();
    stream.write_all(get(&query, "").as_bytes()).await.unwrap();
    drop(stream);

    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
    assert_eq!(
        deployment.worlds[2].get(&query).await,
        (400, UNKNOWN.to_owned())
    );
}

#[tokio::test]
async fn a_second_get_elsewhere_ends_the_session() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;
    let [_, b, c] = &deployment.worlds[..] else {
        unreachable!()
    };

    let (first, second) = tokio::join!(b.get(&query), c.get(&query));

    let mut answers = [first, second];
    answers.sort();
    assert_eq!(answers[0], (200, "1".to_owned()));
    assert_eq!(answers[1].0, 400);
    assert_eq!(deployment.worlds[0].gone().await, Reason::ProtocolError);
}

#[tokio::test]
async fn a_session_whose_server_is_gone_is_unknown() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;
    deployment.network.remove("a");

    for world in &deployment.worlds[1..] {
        assert_eq!(world.get(&query).await, (400, UNKNOWN.to_owned()));
        assert_eq!(
            world.post(&query, "42[\"x\"]").await,
            (400, UNKNOWN.to_owned())
        );
        let (status, _, body) = world.http(&upgrade(&websocket(&query), "")).await;
        assert_eq!((status, &*body), (400, UNKNOWN));
    }
}

#[tokio::test]
async fn a_get_that_is_held_for_a_server_that_dies_is_answered() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;

    let held = deployment.worlds[1].get(&query);
    tokio::pin!(held);
    tokio::select! {
        biased;
        _ = &mut held => panic!("there is nothing to answer with"),
        answer = deployment.worlds[2].post(&query, "3") => assert_eq!(answer.0, 200),
    }
    deployment.network.remove("a");

    assert_eq!(held.await, (400, UNKNOWN.to_owned()));
}

#[tokio::test]
async fn a_session_that_its_server_has_forgotten_is_unknown_elsewhere() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;
    deployment.next().post(&query, "1").await;
    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);

    assert_eq!(
        deployment.worlds[1].get(&query).await,
        (400, UNKNOWN.to_owned())
    );
    assert_eq!(
        deployment.worlds[2].post(&query, "2").await,
        (400, UNKNOWN.to_owned())
    );
}

#[tokio::test]
async fn an_id_that_was_tampered_with_leads_nowhere() {
    let deployment = Deployment::new().await;
    let query = deployment.worlds[0].polling_handshake().await;
    // Another server, and another session of the same one.
    let forged = [
        query.replace("sid=a.", "sid=b."),
        query.replace("sid=a.", "sid=x."),
        query.replace("sid=a.", "sid=a.A"),
    ];

    for forged in forged {
        for world in &deployment.worlds {
            assert_eq!(world.get(&forged).await, (400, UNKNOWN.to_owned()));
        }
    }
    assert_eq!(deployment.network.largest.load(Ordering::Relaxed), 0);
    assert_eq!(deployment.worlds[0].server.n_connections(), 1);
}

#[tokio::test]
async fn the_largest_body_passes_and_comes_back() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;
    let mut event = format!("42[\"{}\"]", "x".repeat(999_994));
    event.truncate(999_998);
    event.push_str("\"]");
    assert_eq!(event.len(), 1_000_000);

    assert_eq!(deployment.worlds[1].post(&query, &event).await.0, 200);
    let (status, body) = deployment.worlds[2].get(&query).await;

    assert_eq!(status, 200);
    assert!(body == event, "{} bytes", body.len());
    assert!(deployment.network.largest.load(Ordering::Relaxed) < 40_000);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_elsewhere_too() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;

    let (status, _) = deployment.worlds[1]
        .post(&query, &"4".repeat(1_000_001))
        .await;

    assert_eq!(status, 413);
    assert_eq!(deployment.worlds[0].server.n_connections(), 0);
}

#[tokio::test]
async fn the_loss_of_an_answer_ends_the_session() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;
    deployment.next().post(&query, "42[\"x\"]").await;

    *deployment.network.loses.lock() =
        Some(|segment| segment.from == "a" && !segment.data.is_empty());
    let answer = deployment.worlds[1].get(&query).await;
    *deployment.network.loses.lock() = None;

    assert_eq!(answer, (400, UNKNOWN.to_owned()));
    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
    assert_eq!(
        deployment.worlds[2].get(&query).await,
        (400, UNKNOWN.to_owned())
    );
}

#[tokio::test]
async fn what_the_network_repeats_counts_once() {
    let deployment = Deployment::new().await;
    deployment.network.repeats.store(true, Ordering::Relaxed);
    let query = deployment.polling().await;

    for i in 0..20 {
        let event = format!("42[\"n\",{i}]");
        assert_eq!(deployment.next().post(&query, &event).await.0, 200);
        assert_eq!(deployment.next().get(&query).await, (200, event));
    }

    assert_eq!(deployment.worlds[0].echo.handled.lock().1, 20);
}

#[tokio::test]
async fn a_stream_that_is_over_is_not_opened_again() {
    let said = async {
        let (here, there) = (Peers::new("here", 10), Peers::new("there", 10));
        here.link();
        let mut stream = here.open("there").unwrap();
        stream.write_all(b"once").await.unwrap();
        let opening = here.next().await.payload;
        there.hear(opening.clone());
        drop(there.accept().await);
        here.hear(there.next().await.payload);

        there.hear(opening);
        let mut next = here.open("there").unwrap();
        next.write_all(b"next").await.unwrap();
        there.hear(here.next().await.payload);

        let mut accepted = [0; 4];
        let mut stream = there.accept().await;
        stream.read_exact(&mut accepted).await.unwrap();
        accepted
    };

    assert_eq!(timeout(PATIENCE, said).await.unwrap(), *b"next");
}

#[tokio::test]
async fn an_answer_that_nobody_confirms_ends_the_session() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;
    deployment.next().post(&query, "42[\"x\"]").await;

    *deployment.network.loses.lock() = Some(|segment| segment.from == "b" && segment.ends);
    let answer = deployment.worlds[1].get(&query).await;

    assert_eq!(answer, (200, "42[\"x\"]".to_owned()));
    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn a_foreign_origin_is_refused_before_anything_is_passed_on() {
    let deployment = Deployment::new().await;
    let query = deployment.worlds[0].polling_handshake().await;
    let origin = "Origin: https://evil.test\r\n";

    for request in [
        get(&query, origin),
        post(&query, origin, "40"),
        upgrade(&websocket(&query), origin),
    ] {
        assert_eq!(deployment.worlds[1].http(&request).await.0, 403);
    }

    assert_eq!(deployment.network.largest.load(Ordering::Relaxed), 0);
    let allowed = get(&query, "Origin: https://app.test\r\n");
    deployment.worlds[2].post(&query, "40").await;
    let (status, head, _) = deployment.worlds[1].http(&allowed).await;
    assert_eq!(status, 200);
    assert!(head.contains("access-control-allow-origin: https://app.test\r\n"));
    assert_eq!(head.matches("cache-control").count(), 1);
}

#[tokio::test]
async fn an_upgrade_elsewhere_keeps_order_and_loses_nothing() {
    let mut deployment = Deployment::new().await;
    let query = deployment.polling().await;
    let b = &deployment.worlds[1];
    let mut ws = b.websocket_handshake(&websocket(&query)).await;

    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    let held = b.get(&query).await;
    assert_eq!(held, (200, "6".to_owned()));
    deployment.worlds[2].post(&query, "42[\"first\"]").await;
    ws.send("5").await;
    for i in 0..100 {
        ws.send(&format!("42[\"n\",{i}]")).await;
    }

    assert_eq!(ws.text().await, "42[\"first\"]");
    for i in 0..100 {
        assert_eq!(ws.text().await, format!("42[\"n\",{i}]"));
    }
    ws.frame(OpCode::Close, &[3, 232]).await;
    assert_eq!(ws.close_code().await, Some(1000));
    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
}

/// Opens a session at the first server and upgrades it at the second.
async fn tunnel(deployment: &Deployment) -> crate::transport::Ws {
    let query = deployment.polling().await;
    let world = &deployment.worlds[1];
    let mut ws = world.websocket_handshake(&websocket(&query)).await;
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws.send("42[\"through\"]").await;
    assert_eq!(ws.text().await, "42[\"through\"]");
    ws
}

#[tokio::test]
async fn a_websocket_that_is_cut_elsewhere_ends_the_session() {
    let mut deployment = Deployment::new().await;
    let ws = tunnel(&deployment).await;

    drop(ws);

    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn the_server_of_a_session_can_close_a_websocket_elsewhere() {
    let mut deployment = Deployment::new().await;
    let mut ws = tunnel(&deployment).await;

    ws.send("42[\"kick\"]").await;

    assert_eq!(ws.close_code().await, Some(1008));
    assert_eq!(deployment.worlds[0].gone().await, Reason::Kicked);
}

#[tokio::test]
async fn a_websocket_whose_session_dies_with_its_server_is_cut() {
    let deployment = Deployment::new().await;
    let mut ws = tunnel(&deployment).await;

    deployment.network.remove("a");

    // Nothing is said, so the beats have to tell.
    assert_eq!(ws.hear().await, Heard::Eof);
}

#[tokio::test]
async fn a_websocket_of_which_something_is_lost_is_cut() {
    let mut deployment = Deployment::new().await;
    let mut ws = tunnel(&deployment).await;

    *deployment.network.loses.lock() = Some(|segment| segment.data.ends_with(b"\"lost\"]"));
    ws.send("42[\"lost\"]").await;

    assert_eq!(ws.hear().await, Heard::Eof);
    assert_eq!(deployment.worlds[0].gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn a_websocket_elsewhere_goes_when_either_server_is_drained() {
    for (i, reason, code) in [
        (0, Reason::Draining, Some(1012)),
        (1, Reason::TransportClosed, None),
    ] {
        let mut deployment = Deployment::new().await;
        let mut ws = tunnel(&deployment).await;
        let drained = &deployment.worlds[i];

        drained.server.drain(1_000, Duration::from_secs(10)).await;

        assert_eq!(ws.close_code().await, code);
        assert_eq!(deployment.worlds[0].gone().await, reason);
    }
}

#[tokio::test]
async fn a_slow_reader_elsewhere_is_disconnected() {
    let outbox = OutboxLimits {
        soft: 64_000_000,
        hard: 128_000_000,
    };
    let config = || Config {
        outbox,
        stall_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let mut deployment = Deployment::with(config).await;
    let mut ws = tunnel(&deployment).await;
    let event = format!("42[\"big\",\"{}\"]", "x".repeat(500_000));

    // Until all that is between them is full.
    for _ in 0..40 {
        let frame = socketio_protocol::ws::client::frame(OpCode::Text, event.as_bytes(), [0; 4]);
        if ws.stream.write_all(&frame).await.is_err() {
            break;
        }
    }

    assert_eq!(deployment.worlds[0].gone().await, Reason::SlowConsumer);
}

#[tokio::test]
async fn a_second_websocket_is_turned_away_wherever_it_lands() {
    let deployment = Deployment::new().await;
    let query = deployment.polling().await;
    let mut first = deployment.worlds[1]
        .websocket_handshake(&websocket(&query))
        .await;
    first.send("2probe").await;
    assert_eq!(first.text().await, "3probe");

    let mut second = deployment.worlds[2]
        .websocket_handshake(&websocket(&query))
        .await;

    assert_eq!(second.close_code().await, Some(1008));
    first.send("5").await;
    first.send("42[\"still here\"]").await;
    assert_eq!(first.text().await, "42[\"still here\"]");
}
