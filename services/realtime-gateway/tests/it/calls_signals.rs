//! What two devices signal to each other: only to whom it concerns, in order, and not too early.

use bytes::Bytes;
use chat_domain::{
    UserId,
    call::{CallId, DeviceId, Handed, Side, Signal, SignalKind},
};
use chat_proto::{WireId as _, v1};
use serde_json::{Value, json};

use crate::{
    calls_events::{connect, initiate, ring, to},
    chat::{Client, Fate, World},
};

fn offer(to: &UserId) -> Value {
    json!({ "toUserId": to.as_str(), "offer": { "type": "offer", "sdp": "v=0" } })
}

fn answer(to: &UserId) -> Value {
    json!({ "toUserId": to.as_str(), "answer": { "type": "answer", "sdp": "v=0" } })
}

fn candidate(to: &UserId, n: usize) -> Value {
    json!({ "toUserId": to.as_str(), "candidate": { "candidate": n.to_string() } })
}

async fn expect_candidates(client: &mut Client, numbers: impl IntoIterator<Item = usize>) {
    for n in numbers {
        let heard = client.expect("webrtc:ice-candidate").await;
        assert_eq!(heard["candidate"], json!({ "candidate": n.to_string() }));
    }
}

#[tokio::test]
async fn what_comes_before_the_call_waits_for_the_accepting_device() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&two).await;
    let mut other = world.connect_patient(&one).await;
    let peer = &world.patient;

    caller
        .emit_all(&[
            ("webrtc:ice-candidate", candidate(peer, 1)),
            ("webrtc:offer", offer(peer)),
            ("call:initiate", initiate(peer, world.converse())),
            ("webrtc:ice-candidate", candidate(peer, 2)),
        ])
        .await;
    caller.expect("call:ringing").await;
    other.expect("call:incoming").await;
    callee.expect("call:incoming").await;
    callee.emit("call:accept", &to(&world.consultant)).await;

    let connected = callee.expect("call:connected").await;
    let heard = callee.expect("webrtc:offer").await;
    let me = world.consultant.as_str();
    let sdp = json!({ "type": "offer", "sdp": "v=0" });
    assert_eq!(
        heard,
        json!({ "fromUserId": me, "offer": sdp, "callId": connected["callId"] })
    );
    expect_candidates(&mut callee, 1..=2).await;
    other.expect("call:stop-ringing").await;
    other.expect("call:ended").await;
    other.expect_silence().await;
}

#[tokio::test]
async fn signals_of_a_connected_call_keep_their_order() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&two).await;
    connect(&world, &mut caller, &mut callee).await;

    let mut burst = vec![("webrtc:offer", offer(&world.patient))];
    burst.extend((0..20).map(|n| ("webrtc:ice-candidate", candidate(&world.patient, n))));
    caller.emit_all(&burst).await;
    callee.expect("webrtc:offer").await;
    expect_candidates(&mut callee, 0..20).await;

    callee
        .emit("webrtc:answer", &answer(&world.consultant))
        .await;
    let heard = caller.expect("webrtc:answer").await;
    assert_eq!(heard["fromUserId"], world.patient.as_str());
}

#[tokio::test]
async fn a_callee_who_has_not_accepted_says_nothing() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let mut other = world.connect_patient(&gateway).await;
    ring(&world, &mut caller, &mut callee).await;
    other.expect("call:incoming").await;
    let peer = &world.consultant;

    // Both speak before; only what the accepting one said is passed on.
    other.ask("webrtc:ice-candidate", &candidate(peer, 1)).await;
    callee
        .ask("webrtc:ice-candidate", &candidate(peer, 2))
        .await;
    caller.expect_silence().await;
    callee.emit("call:accept", &to(peer)).await;

    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    expect_candidates(&mut caller, [2]).await;
    other.ask("webrtc:ice-candidate", &candidate(peer, 3)).await;
    caller.expect_silence().await;
}

#[tokio::test]
async fn third_parties_are_not_heard() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let stranger = World::user();
    let mut third = world.connect(&gateway, &stranger, "consultant").await;
    connect(&world, &mut caller, &mut callee).await;

    third.ask("webrtc:offer", &offer(&world.patient)).await;
    third
        .ask("webrtc:ice-candidate", &candidate(&world.patient, 1))
        .await;
    callee.expect_silence().await;

    callee.emit("call:end", &to(&world.consultant)).await;
    caller.expect("call:ended").await;
    caller
        .ask("webrtc:ice-candidate", &candidate(&world.patient, 2))
        .await;
    callee.expect_silence().await;
}

#[tokio::test]
async fn signals_that_are_repeated_are_heard_once() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    world.store.calls.fates.lock().extend([Fate::Repeat; 16]);

    caller.emit("webrtc:offer", &offer(&world.patient)).await;
    connect(&world, &mut caller, &mut callee).await;

    callee.expect("webrtc:offer").await;
    caller
        .emit("webrtc:ice-candidate", &candidate(&world.patient, 1))
        .await;
    expect_candidates(&mut callee, [1]).await;
}

#[tokio::test]
async fn what_never_comes_does_not_stop_the_rest() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = connect(&world, &mut caller, &mut callee).await;
    let device = world.store.device_in_call(&world.patient, Side::Callee);
    let to = (world.patient.clone(), device.unwrap());
    let publish = |first, n| publish_candidate(&world, call, to.clone(), first, n);

    publish(3, 3).await;
    publish(2, 2).await;
    callee.expect_silence().await;
    publish(1, 1).await;
    expect_candidates(&mut callee, 1..=3).await;
    // Nobody has the fourth.
    publish(6, 6).await;
    publish(5, 5).await;
    expect_candidates(&mut callee, 5..=6).await;
    publish(4, 4).await;
    callee.expect_silence().await;
}

async fn publish_candidate(
    world: &World,
    call: CallId,
    to: (UserId, DeviceId),
    first: u64,
    n: usize,
) {
    let payload = json!({ "candidate": n.to_string() }).to_string();
    let handed = Handed {
        call,
        from: world.consultant.clone(),
        to,
        first,
        signals: vec![Signal::new(SignalKind::Candidate, &payload).unwrap()],
    };
    let body = v1::envelope::Body::CallSignals((&handed).into());
    world.store.publish_to(&world.patient, body).await;
    world.store.flush().await;
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_an_error() {
    let world = World::new().await;
    let gateway = world
        .gateway_with(&crate::chat::nats_url(), &["--events-burst=200"])
        .await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let large =
        json!({ "toUserId": world.patient.as_str(), "offer": { "sdp": "x".repeat(70_000) } });

    let refused = caller.ask("webrtc:offer", &large).await;
    assert_eq!(refused["data"]["code"], "too_large");
    ring(&world, &mut caller, &mut callee).await;
    for n in 0..64 {
        let taken = caller
            .ask("webrtc:ice-candidate", &candidate(&world.patient, n))
            .await;
        assert_eq!(taken["event"], "webrtc:ice-candidate");
    }
    let refused = caller
        .ask("webrtc:ice-candidate", &candidate(&world.patient, 64))
        .await;
    assert_eq!(refused["data"]["code"], "too_large");
}

#[tokio::test]
async fn what_means_nothing_is_dropped() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = connect(&world, &mut caller, &mut callee).await;
    let device = world.store.device_in_call(&world.patient, Side::Callee);
    let good = v1::CallSignals {
        call_id: call.to_wire(),
        from_user_id: world.consultant.as_str().to_owned(),
        user_id: world.patient.as_str().to_owned(),
        device: device.unwrap().to_wire(),
        first_place: 1,
        signals: vec![v1::CallSignal {
            kind: v1::CallSignalKind::Candidate.into(),
            payload: "no JSON".to_owned(),
        }],
    };

    for bad in [
        good.clone(),
        v1::CallSignals::default(),
        v1::CallSignals {
            first_place: 0,
            ..good.clone()
        },
        v1::CallSignals {
            device: Bytes::from_static(b"short"),
            ..good.clone()
        },
        v1::CallSignals {
            user_id: world.consultant.as_str().to_owned(),
            ..good.clone()
        },
    ] {
        let body = v1::envelope::Body::CallSignals(bad);
        world.store.publish_to(&world.patient, body).await;
    }
    let body = v1::envelope::Body::CallNotice(v1::CallNotice::default());
    world.store.publish_to(&world.patient, body).await;

    caller
        .emit("webrtc:ice-candidate", &candidate(&world.patient, 1))
        .await;
    expect_candidates(&mut callee, [1]).await;
}
