//! Calls as clients hear them: who is told what, in which order.

use std::time::Duration;

use chat_domain::{
    ConversationId, UserId,
    call::{CallId, Outcome},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::chat::{Client, World, eventually};

/// The payload of `call:initiate`.
pub(crate) fn initiate(to: &UserId, conversation: ConversationId) -> Value {
    json!({ "toUserId": to.as_str(), "conversationId": conversation.to_string(), "callType": "video" })
}

/// The payload of what names only the other user.
pub(crate) fn to(user: &UserId) -> Value {
    json!({ "toUserId": user.as_str() })
}

pub(crate) fn call_id(data: &Value) -> CallId {
    CallId(Uuid::parse_str(data["callId"].as_str().unwrap()).unwrap())
}

/// Rings, and returns the call once both were told.
pub(crate) async fn ring(world: &World, caller: &mut Client, callee: &mut Client) -> CallId {
    let conversation = world.converse();
    caller
        .emit("call:initiate", &initiate(&world.patient, conversation))
        .await;
    let ringing = caller.expect("call:ringing").await;
    callee.expect("call:incoming").await;
    call_id(&ringing)
}

/// Rings and accepts.
pub(crate) async fn connect(world: &World, caller: &mut Client, callee: &mut Client) -> CallId {
    let call = ring(world, caller, callee).await;
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;
    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    call
}

#[tokio::test]
async fn a_call_rings_is_accepted_and_ends() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&two).await;
    let conversation = world.converse();
    let (me, you) = (world.consultant.as_str(), world.patient.as_str());

    caller
        .emit("call:initiate", &initiate(&world.patient, conversation))
        .await;
    let ringing = caller.expect("call:ringing").await;
    let id = ringing["callId"].clone();
    let conversation = conversation.to_string();
    assert_eq!(
        ringing,
        json!({ "toUserId": you, "conversationId": conversation, "callType": "video", "callId": id })
    );
    assert_eq!(
        callee.expect("call:incoming").await,
        json!({ "fromUserId": me, "conversationId": conversation, "callType": "video", "callId": id })
    );
    callee.emit("call:accept", &to(&world.consultant)).await;
    assert_eq!(
        callee.expect("call:connected").await,
        json!({ "callId": id })
    );
    assert_eq!(
        caller.expect("call:stop-ringing").await,
        json!({ "callId": id })
    );
    let from_callee = json!({ "fromUserId": you, "callId": id });
    assert_eq!(caller.expect("call:accepted").await, from_callee);
    callee.emit("call:end", &to(&world.consultant)).await;
    assert_eq!(caller.expect("call:ended").await, from_callee);

    assert_eq!(world.store.outcome(call_id(&ringing)), Some(Outcome::Ended));
    callee.expect_silence().await;
    caller.expect_silence().await;
}

#[tokio::test]
async fn a_rejection_has_its_reason() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;

    for (reason, told) in [
        (json!("Declined"), "Declined"),
        (json!(null), "Call declined"),
    ] {
        ring(&world, &mut caller, &mut callee).await;
        let reject = json!({ "toUserId": world.consultant.as_str(), "reason": reason });
        callee.emit("call:reject", &reject).await;
        assert_eq!(caller.expect("call:rejected").await["reason"], told);
    }
}

#[tokio::test]
async fn nobody_answers_in_time() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut caller, &mut callee).await;

    world.store.let_pass(Duration::from_secs(45)).await;

    let no_answer = caller.expect("call:no-answer").await;
    assert_eq!(no_answer["toUserId"], world.patient.as_str());
    let missed = callee.expect("call:missed").await;
    assert_eq!(missed["fromUserId"], world.consultant.as_str());
    assert_eq!(world.store.outcome(call), Some(Outcome::NoAnswer));
    // Who was told once is not told at the next connect.
    eventually(|| !world.store.is_untold(call)).await;
}

#[tokio::test]
async fn all_devices_ring_and_one_answers() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut caller = world.connect_consultant(&one).await;
    let mut callee = world.connect_patient(&one).await;
    let mut other = world.connect_patient(&two).await;

    ring(&world, &mut caller, &mut callee).await;
    other.expect("call:incoming").await;
    callee.emit("call:accept", &to(&world.consultant)).await;
    callee.expect("call:connected").await;

    other.expect("call:stop-ringing").await;
    let ended = other.expect("call:ended").await;
    assert_eq!(ended["reason"], "answered_elsewhere");
    assert_eq!(ended["fromUserId"], world.consultant.as_str());
    other.emit("call:accept", &to(&world.consultant)).await;
    let error = other.expect("error").await;
    assert_eq!(
        (&error["code"], &error["event"]),
        (&json!("conflict"), &json!("call:accept"))
    );
    callee.expect_silence().await;
}

#[tokio::test]
async fn one_device_declines_for_all() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let mut other = world.connect_patient(&gateway).await;

    ring(&world, &mut caller, &mut callee).await;
    other.expect("call:incoming").await;
    callee.emit("call:reject", &to(&world.consultant)).await;

    other.expect("call:stop-ringing").await;
    let ended = other.expect("call:ended").await;
    assert_eq!(ended["reason"], "declined_elsewhere");
    caller.expect("call:rejected").await;
}

#[tokio::test]
async fn a_caller_who_gives_up_stops_all_devices() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;

    let call = ring(&world, &mut caller, &mut callee).await;
    caller.emit("call:end", &to(&world.patient)).await;

    let ended = callee.expect("call:ended").await;
    assert_eq!(ended["fromUserId"], world.consultant.as_str());
    assert_eq!(world.store.outcome(call), Some(Outcome::Cancelled));
    eventually(|| !world.store.is_untold(call)).await;
}

#[tokio::test]
async fn a_second_initiate_is_the_same_call() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut caller, &mut callee).await;
    let again = initiate(&world.patient, world.converse());

    caller.emit("call:initiate", &again).await;

    assert_eq!(call_id(&caller.expect("call:ringing").await), call);
    callee.expect_silence().await;
    callee.emit("call:accept", &to(&world.consultant)).await;
    caller.expect("call:stop-ringing").await;
    caller.expect("call:accepted").await;
    let answer = caller.ask("call:initiate", &again).await;
    assert_eq!(answer["event"], "call:accepted");
    caller.expect_silence().await;
}

#[tokio::test]
async fn a_device_that_takes_its_call_back_hears_that_it_rings() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut first = world.connect_consultant(&gateway).await;
    let mut second = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let call = ring(&world, &mut first, &mut callee).await;
    let again = initiate(&world.patient, world.converse());
    second.ask("call:initiate", &again).await;
    assert_eq!(call_id(&first.expect("call:ended").await), call);

    let answer = first.ask("call:initiate", &again).await;

    assert_eq!(answer["event"], "call:ringing");
}

#[tokio::test]
async fn two_who_call_each_other_are_connected() {
    let world = World::new().await;
    let (one, two) = (world.gateway().await, world.gateway().await);
    let mut first = world.connect_consultant(&one).await;
    let mut second = world.connect_patient(&two).await;
    let call = ring(&world, &mut first, &mut second).await;

    let back = initiate(&world.consultant, world.converse());
    second.emit("call:initiate", &back).await;

    for client in [&mut first, &mut second] {
        client.expect("call:stop-ringing").await;
        assert_eq!(call_id(&client.expect("call:accepted").await), call);
        client.expect("call:connected").await;
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn who_is_in_another_call_is_busy() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let stranger = World::user();
    let conversation = world.store.converse(&stranger, &world.patient);
    let mut third = world.connect(&gateway, &stranger, "consultant").await;
    connect(&world, &mut caller, &mut callee).await;

    third
        .emit("call:initiate", &initiate(&world.patient, conversation))
        .await;

    let rejected = third.expect("call:rejected").await;
    assert_eq!(rejected["reason"], "Busy");
    assert_eq!(rejected["fromUserId"], world.patient.as_str());
    callee.expect_silence().await;
}

#[tokio::test]
async fn acknowledgements_say_what_became_of_it() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;

    let ringing = initiate(&world.patient, world.converse());
    let ringing = caller.ask("call:initiate", &ringing).await;
    assert_eq!(ringing["event"], "call:ringing");
    let id = &ringing["data"]["callId"];
    let accept = json!({ "toUserId": world.consultant.as_str(), "callId": id });
    let connected = callee.ask("call:accept", &accept).await;
    assert_eq!(
        connected,
        json!({ "event": "call:connected", "data": { "callId": id } })
    );
    let ended = caller.ask("call:end", &to(&world.patient)).await;
    assert_eq!(
        ended,
        json!({ "event": "call:end", "data": to(&world.patient) })
    );
}

#[tokio::test]
async fn strangers_and_nonsense_are_errors() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let stranger = World::user();
    let mut third = world.connect(&gateway, &stranger, "consultant").await;
    let conversation = world.converse();
    ring(&world, &mut caller, &mut callee).await;

    let unknown = ConversationId(Uuid::now_v7());
    for (event, payload, code) in [
        (
            "call:initiate",
            initiate(&world.patient, conversation),
            "unauthorized",
        ),
        (
            "call:initiate",
            initiate(&world.patient, unknown),
            "not_found",
        ),
        ("call:initiate", json!({}), "invalid"),
        ("call:accept", to(&world.consultant), "not_found"),
        ("call:reject", to(&world.consultant), "not_found"),
        ("call:end", to(&world.patient), "not_found"),
    ] {
        let answer = third.ask(event, &payload).await;
        assert_eq!(answer["data"]["code"], code, "{event} {payload}");
    }
    let answer = caller.ask("call:accept", &to(&world.patient)).await;
    assert_eq!(answer["data"]["code"], "unauthorized");
    callee.expect_silence().await;
}

#[tokio::test]
async fn without_a_store_the_client_learns_it() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let mut caller = world.connect_consultant(&gateway).await;
    let mut callee = world.connect_patient(&gateway).await;
    let start = initiate(&world.patient, world.converse());

    world.store.set_down(true);
    caller.emit("call:initiate", &start).await;
    let error = caller.expect("error").await;
    assert_eq!(
        (&error["code"], &error["event"]),
        (&json!("unavailable"), &json!("call:initiate"))
    );

    world.store.set_down(false);
    caller.emit("call:initiate", &start).await;
    caller.expect("call:ringing").await;
    callee.expect("call:incoming").await;
}
