//! What a device asks of calls takes effect once: gateways repeat what they heard no answer to.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use chat_domain::{
    ChatError,
    call::{Initiate, Party, Phase, Ringing, Route, SignalKind},
};
use chat_store::ports_calls::CallState as _;

use super::calls_subject::{RULES, Shared, app, call_id, device, party, request, signal, user};

async fn ring(shared: &Shared) {
    let request = request(1, 0, 0, 1);
    let ringing = shared.calls.initiate(&app(), &request, RULES).await;
    assert_eq!(ringing.unwrap(), Ringing::New(call_id(1)));
}

#[tokio::test]
async fn what_a_device_asks_for_is_done_once_however_late_it_comes_again() {
    let shared = Shared::new();
    let (state, candidate) = (&shared.calls, signal(SignalKind::Candidate, "c"));
    let numbered = |n, party| Party { n, ..party };
    ring(&shared).await;
    let callee = party(1, 0, 0);
    let accepted = state.accept(&app(), &numbered(1, callee.clone())).await;
    accepted.unwrap();
    let signal = async |n| {
        let caller = numbered(n, party(0, 0, 1));
        state.signal(&app(), &caller, &candidate).await.unwrap()
    };

    let first = signal(5).await;
    let repeated = signal(5).await;
    let next = signal(6).await;
    let late = signal(5).await;

    assert_eq!(repeated, first);
    let place = |route| match route {
        Route::Relay { place, .. } => Some(place),
        Route::Parked | Route::Dropped => None,
    };
    assert_eq!([first, next, late].map(place), [Some(1), Some(2), None]);
    // What was begun and ended since is none of a repeated request's business.
    state
        .hang_up(&app(), &numbered(2, callee.clone()))
        .await
        .unwrap();
    let request = request(2, 0, 0, 1);
    state.initiate(&app(), &request, RULES).await.unwrap();
    state.hang_up(&app(), &numbered(2, callee)).await.unwrap();
    let call = state.find(&app(), call_id(2)).await.unwrap().unwrap();
    assert_eq!(call.phase, Phase::Ringing);
}

#[tokio::test]
async fn what_a_gone_device_asked_for_is_not_done_any_more() {
    let shared = Shared::new();
    let state = &shared.calls;
    ring(&shared).await;
    let gone = state
        .gone(&app(), &user(0), device(0, 1), Duration::ZERO)
        .await;
    gone.unwrap();

    let late = Initiate {
        n: 1,
        ..request(2, 0, 1, 1)
    };
    let late = state.initiate(&app(), &late, RULES).await;

    assert!(matches!(late, Err(ChatError::Conflict(_))), "{late:?}");
    let call = state.find(&app(), call_id(1)).await.unwrap().unwrap();
    assert_eq!((call.version, call.caller.device), (1, Some(device(0, 0))));
}
