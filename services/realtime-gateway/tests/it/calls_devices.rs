//! Devices that come and go, and things told about calls that are lost or repeated.

use std::time::Duration;

use chat_domain::call::{Outcome, Side};
use chat_proto::subject::Rpc;
use serde_json::json;

use crate::{
    calls_events::{call_id, connect, initiate, ring, to},
    chat::{Fate, Proxy, World, eventually, nats_url},
};

#[tokio::test]
async fn a_device_that_connects_while_it_rings_rings() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    caller
        .emit("call:initiate", &initiate(&world.patient, world.converse()))
        .await;
    let call = call_id(&caller.expect("call:ringing").await);

    let mut callee = world.connect_patient(&gateway).await;

    assert_eq!(call_id(&callee.expect("call:incoming").await), call);
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;
    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
}

#[tokio::test]
async fn missed_calls_are_told_at_the_next_connect_once() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let conversation = world.converse();
    let mut missed = Vec::new();
    for _ in 0..2 {
        caller
            .emit("call:initiate", &initiate(&world.patient, conversation))
            .await;
        missed.push(call_id(&caller.expect("call:ringing").await));
        world.store.let_pass(Duration::from_secs(45)).await;
        caller.expect("call:no-answer").await;
    }

    let mut callee = world.connect_patient(&gateway).await;
    for call in missed {
        assert_eq!(call_id(&callee.expect("call:missed").await), call);
    }

    let n_looks = world.store.n_requests(Rpc::DeviceBack);
    let mut other = world.connect_patient(&gateway).await;
    eventually(|| n_looks < world.store.n_requests(Rpc::DeviceBack)).await;
    other.expect_silence().await;
    callee.expect_silence().await;
}

/// It may have left before: nobody knows what was still on its way then.
#[tokio::test]
async fn who_leaves_as_the_caller_gives_up_is_told_at_the_next_connect() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut caller, &mut callee).await;
    caller.emit("call:end", &to(&world.patient)).await;
    callee.expect("call:ended").await;

    let n_gone = world.store.n_requests(Rpc::DeviceGone);
    drop(callee);
    eventually(|| n_gone < world.store.n_requests(Rpc::DeviceGone)).await;
    let mut callee = world.connect_patient(&gateway).await;

    assert_eq!(call_id(&callee.expect("call:missed").await), call);
}

#[tokio::test]
async fn a_caller_who_is_gone_too_long_has_given_up() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut caller, &mut callee).await;

    drop(caller);
    eventually(|| world.store.is_gone(&world.patient, Side::Caller)).await;
    world.store.let_pass(Duration::from_secs(10)).await;

    callee.expect("call:ended").await;
    assert_eq!(world.store.outcome(call), Some(Outcome::Cancelled));
}

#[tokio::test]
async fn whoever_comes_back_in_time_is_in_the_call() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&one).await;
    ring(&world, &mut caller, &mut callee).await;

    drop(caller);
    eventually(|| world.store.is_gone(&world.patient, Side::Caller)).await;
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;
    let mut caller = world.connect_consultant(&two).await;

    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    caller.emit("call:end", &to(&world.patient)).await;
    callee.expect("call:ended").await;
}

#[tokio::test]
async fn whoever_comes_back_before_anybody_noticed_is_in_the_call() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&two).await;
    connect(&world, &mut caller, &mut callee).await;
    let first = world.store.device_in_call(&world.patient, Side::Callee);

    let n_looks = world.store.n_requests(Rpc::DeviceBack);
    let _successor = world.connect_patient(&one).await;
    eventually(|| n_looks < world.store.n_requests(Rpc::DeviceBack)).await;
    assert_eq!(
        world.store.device_in_call(&world.patient, Side::Callee),
        first
    );
    drop(callee);

    let device = || world.store.device_in_call(&world.patient, Side::Callee);
    eventually(|| device() != first).await;
    assert!(!world.store.is_gone(&world.patient, Side::Callee));
}

#[tokio::test]
async fn a_device_that_left_is_gone_although_the_store_was_away() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    connect(&world, &mut caller, &mut callee).await;

    world.store.set_down(true);
    let n_before = world.store.n_requests(Rpc::DeviceGone);
    drop(caller);
    eventually(|| n_before < world.store.n_requests(Rpc::DeviceGone)).await;
    assert!(!world.store.is_gone(&world.patient, Side::Caller));
    world.store.set_down(false);

    eventually(|| world.store.is_gone(&world.patient, Side::Caller)).await;
}

#[tokio::test]
async fn a_device_that_came_while_the_store_was_away_is_told_later() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    caller
        .emit("call:initiate", &initiate(&world.patient, world.converse()))
        .await;
    caller.expect("call:ringing").await;

    world.store.set_down(true);
    let mut callee = world.connect_patient(&gateway).await;
    callee.expect_silence().await;
    world.store.set_down(false);

    callee.wait_for("call:incoming").await;
}

#[tokio::test]
async fn what_is_told_twice_is_heard_once() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    world.store.calls.fates.lock().extend([Fate::Repeat; 16]);

    connect(&world, &mut caller, &mut callee).await;
    callee.emit("call:end", &to(&world.consultant)).await;
    caller.expect("call:ended").await;

    world.store.calls.fates.lock().clear();
    ring(&world, &mut caller, &mut callee).await;
}

#[tokio::test]
async fn what_was_told_during_an_outage_is_told_after_it() {
    let world = World::new().await;
    let proxy = Proxy::new(nats_url().replace("nats://", "")).await;
    let far = world.gateway_with(&proxy.address.to_string(), &[]).await;
    let near = world.gateway().await;
    let mut caller = world.connect_consultant(&far).await;
    let mut callee = world.connect_patient(&near).await;
    ring(&world, &mut caller, &mut callee).await;

    proxy.cut();
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;
    proxy.restore();

    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    caller.expect_silence().await;
}

/// However it comes to hear that: its interface rings until it does.
#[tokio::test]
async fn where_it_rang_it_has_ended() {
    let world = World::new().await;
    let proxy = Proxy::new(nats_url().replace("nats://", "")).await;
    let far = world.gateway_with(&proxy.address.to_string(), &[]).await;
    let near = world.gateway().await;
    let mut caller = world.connect_consultant(&near).await;
    let mut callee = world.connect_patient(&far).await;
    let call = ring(&world, &mut caller, &mut callee).await;

    proxy.cut();
    caller.emit("call:end", &to(&world.patient)).await;
    eventually(|| world.store.outcome(call) == Some(Outcome::Cancelled)).await;
    proxy.restore();

    assert_eq!(call_id(&callee.expect("call:ended").await), call);
    callee.expect_silence().await;
}

/// News of calls has no number: nobody misses what is lost on a connection that lives on.
#[tokio::test]
async fn where_the_news_of_its_end_is_lost_it_stops_to_ring_nevertheless() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut caller, &mut callee).await;

    world.store.calls.fates.lock().push_back(Fate::Lose);
    caller.emit("call:end", &to(&world.patient)).await;

    let ended = callee.expect("call:ended").await;
    assert_eq!(call_id(&ended), call);
    assert_eq!(ended["reason"], json!(null), "as who hears it at once");
    eventually(|| !world.store.is_untold(call)).await;
}

#[tokio::test]
async fn a_caller_who_waits_is_told_late_that_it_was_accepted_and_by_then_hears_signals() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    ring(&world, &mut caller, &mut callee).await;

    let fates = [Fate::Publish, Fate::Lose];
    world.store.calls.fates.lock().extend(fates);
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;
    let offer = json!({ "toUserId": world.consultant.as_str(), "offer": {} });
    callee.emit("webrtc:offer", &offer).await;

    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    caller.expect("webrtc:offer").await;
}

#[tokio::test]
async fn a_caller_who_came_back_is_told_late_what_was_lost() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&one).await;
    let call = ring(&world, &mut caller, &mut callee).await;
    drop(caller);
    eventually(|| world.store.is_gone(&world.patient, Side::Caller)).await;
    let mut caller = world.connect_consultant(&two).await;
    eventually(|| !world.store.is_gone(&world.patient, Side::Caller)).await;

    world.store.calls.fates.lock().extend([Fate::Lose; 2]);
    callee.emit("call:reject", &to(&world.consultant)).await;

    let rejected = caller.expect("call:rejected").await;
    assert_eq!(call_id(&rejected), call);
    callee.expect_silence().await;
}

#[tokio::test]
async fn a_callee_of_whom_nobody_heard_that_it_rings_rings_later() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;

    world.store.calls.fates.lock().extend([Fate::Lose; 2]);
    caller
        .emit("call:initiate", &initiate(&world.patient, world.converse()))
        .await;
    let call = call_id(&callee.expect("call:incoming").await);
    assert_eq!(world.store.outcome(call), None);
    world.store.let_pass(Duration::from_secs(45)).await;

    assert_eq!(call_id(&caller.expect("call:no-answer").await), call);
    assert_eq!(call_id(&callee.expect("call:missed").await), call);
}

#[tokio::test]
async fn a_gateway_says_that_it_lives() {
    let world = World::new().await;
    let _gateway = world.gateway().await;

    eventually(|| 2 <= world.store.n_requests(Rpc::GatewayAlive)).await;
}
