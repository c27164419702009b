//! What gateways ask about calls over NATS, decided in Redis.

use chat_domain::{
    ErrorKind, Role,
    call::{CallId, Notice, Outcome, Phase, Recipient, Ringing, Route, Summary, Tell},
};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::ports_calls::{CallHistory as _, CallState as _};

use crate::calls_phones::{Phones, device};

#[tokio::test]
async fn a_call_is_begun_accepted_and_ended() {
    let phones = Phones::new().await;

    let id = phones.ring().await;

    assert_eq!(phones.offer().await, Route::Parked);
    let again = phones.initiate(&phones.call()).await.unwrap();
    assert_eq!(again, Ringing::Already(id));
    assert_eq!(phones.accept(2).await.unwrap(), id);
    assert_eq!(phones.accept(2).await.unwrap(), id);
    let late = phones.accept(3).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    let ended = phones.end(phones.callee_party()).await.unwrap();
    assert_eq!(ended, Some(id));
    let again = phones.end(phones.caller_party()).await.unwrap();
    assert_eq!(again, Some(id));
}

#[tokio::test]
async fn a_call_has_its_row_before_its_caller_hears_that_it_rings() {
    let phones = Phones::new().await;

    // Nobody reads the log here.
    let id = phones.ring().await;

    let row = phones.pg.find_call(&phones.world.id, id).await.unwrap();
    assert_eq!(row.map(|call| call.phase), Some(Phase::Ringing));
}

#[tokio::test]
async fn a_device_that_connects_hears_what_rings() {
    let phones = Phones::new().await;
    let id = phones.ring().await;

    let reply = phones.back(phones.callee(), 5, None).await;

    let notice = reply.notices.into_iter().next().unwrap();
    let (notice, call) = <(Notice, Summary)>::try_from(notice).unwrap();
    let to = Recipient::Device(phones.callee().clone(), device(5));
    assert_eq!((notice.tell, notice.to), (Tell::Incoming, to));
    assert_eq!((call.id, call.conversation), (id, phones.conversation));
    assert_eq!(
        (&call.caller, &call.callee),
        (phones.caller(), phones.callee())
    );
    assert!(reply.missed.is_empty());
}

#[tokio::test]
async fn a_caller_that_was_gone_takes_its_call_up_on_another_device() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let gone = v1::DeviceGoneRequest {
        app: phones.app(),
        user_id: phones.caller().as_str().to_owned(),
        device: device(1).to_wire(),
        ago_ms: 0,
    };

    let _: v1::DeviceGoneReply = phones.asked.ask(Rpc::DeviceGone, &gone).await.unwrap();
    let reply = phones.back(phones.caller(), 9, Some(1)).await;

    assert!(reply.notices.is_empty());
    let party = v1::CallParty {
        device: device(9).to_wire(),
        ..phones.caller_party()
    };
    assert_eq!(phones.end(party).await.unwrap(), Some(id));
}

#[tokio::test]
async fn a_call_ends_wherever_its_user_names_it() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    phones.accept(2).await.unwrap();
    let elsewhere = |call_id| v1::CallParty {
        device: device(9).to_wire(),
        call_id,
        ..phones.callee_party()
    };

    assert_eq!(phones.end(elsewhere(None)).await.unwrap(), None);
    let ended = phones.end(elsewhere(Some(id.to_wire()))).await.unwrap();

    assert_eq!(ended, Some(id));
    let call = phones.state.find(&phones.world.id, id).await.unwrap();
    assert_eq!(
        call.map(|call| call.phase),
        Some(Phase::Over(Outcome::Ended))
    );
}

#[tokio::test]
async fn a_repeated_ring_does_not_take_back_a_call_that_went_on_elsewhere() {
    let phones = Phones::new().await;
    let on = |socket| v1::InitiateCallRequest {
        device: device(socket).to_wire(),
        n: 1,
        ..phones.call()
    };
    let rang = phones.initiate(&on(1)).await.unwrap();
    let Ringing::New(id) = rang else {
        panic!("{rang:?}");
    };
    let moved = phones.initiate(&on(3)).await;

    // A gateway that heard no answer asks again.
    let again = phones.initiate(&on(1)).await;

    assert_eq!(moved.unwrap(), Ringing::Already(id));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    let call = phones.found(id).await;
    assert_eq!((call.version, call.caller.device), (2, Some(device(3))));
}

#[tokio::test]
async fn a_call_is_declined_for_a_reason() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let request = v1::RejectCallRequest {
        app: phones.app(),
        party: Some(phones.callee_party()),
        reason: Some("in\0 a\n meeting".to_owned()),
    };

    let reply: v1::RejectCallReply = phones.asked.ask(Rpc::RejectCall, &request).await.unwrap();

    assert_eq!(CallId::from_wire(&reply.call_id).unwrap(), id);
    let call = phones.state.find(&phones.world.id, id).await.unwrap();
    assert_eq!(call.unwrap().reason.as_deref(), Some("in a meeting"));
}

#[tokio::test]
async fn gateways_say_that_they_live_and_what_they_told() {
    let phones = Phones::new().await;
    let told = v1::CallsToldRequest {
        app: phones.app(),
        user_id: phones.callee().as_str().to_owned(),
        call_ids: vec![phones.ring().await.to_wire()],
    };

    let alive = v1::GatewayAliveRequest { gateway: u64::MAX };
    let _: v1::GatewayAliveReply = phones.asked.ask(Rpc::GatewayAlive, &alive).await.unwrap();
    let _: v1::CallsToldReply = phones.asked.ask(Rpc::CallsTold, &told).await.unwrap();
}

#[tokio::test]
async fn what_nobody_may_ask_is_refused() {
    let phones = Phones::new().await;
    let good = phones.call();
    let stranger = phones.world.caller(Role::Patient).user.id;

    for (bad, kind) in [
        (
            v1::InitiateCallRequest {
                caller_id: stranger.as_str().to_owned(),
                ..good.clone()
            },
            ErrorKind::Unauthorized,
        ),
        (
            v1::InitiateCallRequest {
                callee_id: stranger.as_str().to_owned(),
                ..good.clone()
            },
            ErrorKind::Unauthorized,
        ),
        (
            v1::InitiateCallRequest {
                callee_id: good.caller_id.clone(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                kind: "hologram".to_owned(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                device: "short".into(),
                ..good.clone()
            },
            ErrorKind::Invalid,
        ),
        (
            v1::InitiateCallRequest {
                conversation_id: [7; 16].to_vec().into(),
                ..good.clone()
            },
            ErrorKind::NotFound,
        ),
    ] {
        let error = phones.initiate(&bad).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bad:?}");
    }
    let nothing = phones.accept(2).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
}
