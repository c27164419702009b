//! Long-polling over real sockets: requests, refusals, order, limits.

use realtime_gateway::transport::Reason;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::transport::{World, get, post};

#[tokio::test]
async fn the_open_packet_has_its_five_fields() {
    let world = World::new().await;

    let (status, body) = world.get("EIO=4&transport=polling").await;

    let open: Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(status, 200);
    assert_eq!(open.as_object().unwrap().len(), 5);
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 25_000);
    assert_eq!(open["pingTimeout"], 20_000);
    assert_eq!(open["maxPayload"], 1_000_000);
}

#[tokio::test]
async fn refusals_are_those_of_the_reference_server() {
    let world = World::new().await;

    for (request, body) in [
        (
            get("EIO=4", ""),
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            get("EIO=4&transport=smoke", ""),
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            get("EIO=4&transport=polling&sid=x", ""),
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            post("EIO=4&transport=polling", "", ""),
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            get("EIO=4&transport=websocket", ""),
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            get("EIO=3&transport=polling", ""),
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
        (
            get("transport=polling", ""),
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ] {
        let (status, head, answer) = world.http(&request).await;

        assert_eq!((status, &*answer), (400, body), "{request}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
}

#[tokio::test]
async fn a_foreign_origin_is_refused_and_the_own_host_is_not() {
    let world = World::new().await;
    let open = "EIO=4&transport=polling";

    let foreign = world
        .http(&get(open, "Origin: https://evil.test\r\n"))
        .await;
    let null = world.http(&get(open, "Origin: null\r\n")).await;
    let own = world.http(&get(open, "Origin: http://chat.test\r\n")).await;
    let listed = world.http(&get(open, "Origin: https://app.test\r\n")).await;

    assert_eq!(
        (foreign.0, &*foreign.2),
        (403, r#"{"code":4,"message":"Forbidden"}"#)
    );
    assert!(!foreign.1.contains("access-control-allow-origin"));
    assert_eq!((null.0, own.0, listed.0), (403, 200, 200));
    assert!(
        listed
            .1
            .contains("access-control-allow-origin: https://app.test\r\n")
    );
    assert!(listed.1.contains("access-control-allow-credentials: true"));
    assert!(listed.1.contains("vary: origin"));
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_session() {
    let world = World::new().await;
    let request = "OPTIONS /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: chat.test\r\n\
                   Connection: close\r\nOrigin: https://app.test\r\n\r\n";

    let (status, head, body) = world.http(request).await;

    assert_eq!((status, &*body), (204, ""));
    assert!(head.contains("access-control-allow-methods: get,head,put,patch,post,delete"));
    assert!(head.contains("authorization,x-access-token,x-refresh-token,x-client-type"));
    assert_eq!(world.server.n_connections(), 0);
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let world = World::new().await;

    let (status, _, body) = world
        .http("GET /other HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n")
        .await;

    assert_eq!((status, &*body), (404, r#"{"message":"Not found"}"#));
}

#[tokio::test]
async fn events_come_back_in_order() {
    let world = World::new().await;
    let query = world.polling().await;

    let posted = world
        .post(&query, "42[\"a\",1]\x1e42[\"b\"]\x1e427[\"c\",{}]")
        .await;

    assert_eq!(posted, (200, "ok".to_owned()));
    let mut answers = Vec::new();
    while answers.len() < 3 {
        answers.extend(world.get(&query).await.1.split('\x1e').map(str::to_owned));
    }
    assert_eq!(answers, [r#"42["a",1]"#, r#"42["b"]"#, "437[{}]"]);
}

#[tokio::test]
async fn an_answer_has_at_most_sixteen_packets() {
    let world = World::new().await;
    let query = world.polling().await;
    let events = (0..40)
        .map(|i| format!("42[\"n\",{i}]"))
        .collect::<Vec<_>>();
    world.post(&query, &events.join("\x1e")).await;

    let mut answers = Vec::new();
    while answers.len() < events.len() {
        let (_, body) = world.get(&query).await;
        assert!(body.split('\x1e').count() <= 16);
        answers.extend(body.split('\x1e').map(str::to_owned));
    }

    assert_eq!(answers, events);
}

#[tokio::test]
async fn a_second_get_ends_the_session() {
    let mut world = World::new().await;
    let query = world.polling().await;

    let (first, second) = tokio::join!(world.get(&query), world.get(&query));

    let mut answers = [first, second];
    answers.sort();
    assert_eq!(answers[0], (200, "1".to_owned()));
    assert_eq!(
        answers[1],
        (400, r#"{"code":3,"message":"Bad request"}"#.to_owned())
    );
    assert_eq!(world.get(&query).await.0, 400);
    assert_eq!(world.gone().await, Reason::ProtocolError);
}

#[tokio::test]
async fn a_get_that_is_given_up_ends_the_session() {
    let mut world = World::new().await;
    let query = world.polling().await;

    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(get(&query, "").as_bytes()).await.unwrap();
    drop(stream);

    assert_eq!(world.gone().await, Reason::TransportClosed);
    assert_eq!(world.get(&query).await.0, 400);
}

#[tokio::test]
async fn a_goodbye_answers_the_waiting_get() {
    let mut world = World::new().await;
    let query = world.polling().await;

    let (answer, posted) = tokio::join!(world.get(&query), world.post(&query, "1"));

    assert_eq!(posted.0, 200);
    // The goodbye may have come first.
    assert!(
        answer == (200, "6".to_owned()) || answer.0 == 400,
        "{answer:?}"
    );
    assert_eq!(world.gone().await, Reason::TransportClosed);
}

#[tokio::test]
async fn a_body_that_is_no_payload_ends_the_session() {
    let empty_packets = "\x1e".repeat(100_000);
    for body in ["abc", "4abc", "", &empty_packets] {
        let world = World::new().await;
        let query = world.polling().await;

        assert_eq!(world.post(&query, body).await.0, 400);

        assert_eq!(world.get(&query).await.0, 400);
        assert_eq!(world.server.n_connections(), 0);
    }
}

#[tokio::test]
async fn a_binary_body_ends_the_session() {
    let world = World::new().await;
    let query = world.polling().await;

    let request = post(&query, "Content-Type: application/octet-stream\r\n", "40");

    assert_eq!(world.http(&request).await.0, 400);
    assert_eq!(world.server.n_connections(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let world = World::new().await;
    let query = world.polling().await;
    let chunk = "f4241\r\n".to_owned() + &"4".repeat(1_000_001) + "\r\n0\r\n\r\n";
    let request = format!(
        "POST /socket.io/?{query} HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunk}"
    );

    assert_eq!(world.http(&request).await.0, 413);
    assert_eq!(world.server.n_connections(), 0);
}

#[tokio::test]
async fn an_id_that_was_tampered_with_names_nothing() {
    let world = World::new().await;
    let query = world.polling().await;
    let mut forged = query.clone();
    forged.pop();
    forged.push(if query.ends_with('A') { 'Q' } else { 'A' });

    assert_eq!(world.get(&forged).await.0, 400);
    assert_eq!(
        world.server.n_connections(),
        1,
        "the session itself is unharmed"
    );
}

#[tokio::test]
async fn a_post_is_held_while_the_application_is_behind() {
    let world = World::new().await;
    let query = world.polling().await;
    world.post(&query, "42[\"wait\"]").await;
    let events = vec!["42[\"n\"]"; 300].join("\x1e");

    let held = world.post(&query, &events);
    tokio::pin!(held);
    let waiting = world.get("EIO=4&transport=polling");
    tokio::select! {
        biased;
        _ = &mut held => panic!("the application has not caught up"),
        answer = waiting => assert_eq!(answer.0, 200),
    }
    world.echo.release.notify_one();

    assert_eq!(held.await.0, 200);
}

#[tokio::test]
async fn the_address_is_the_one_a_trusted_proxy_vouches_for() {
    let world = World::new().await;
    let headers = "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.1\r\n\
                   Cookie: a=b; access_token=secret\r\nAuthorization: Bearer t\r\n";

    let (_, _, body) = world.http(&get("EIO=4&transport=polling", headers)).await;
    let open: Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
    let query = format!(
        "EIO=4&transport=polling&sid={}",
        open["sid"].as_str().unwrap()
    );
    world.post(&query, "40").await;
    world.get(&query).await;

    let handshake = world.echo.handshake.lock().clone().unwrap();
    assert_eq!(handshake.address.to_string(), "203.0.113.9");
    assert_eq!(handshake.access_token.as_deref(), Some("secret"));
    assert_eq!(handshake.authorization.as_deref(), Some("Bearer t"));
    assert_eq!(handshake.host.as_deref(), Some("chat.test"));
}
