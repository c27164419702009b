//! Devices that ask what became of a call, as news of it may have been lost.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chat_domain::{
    ErrorKind, Role, UserId,
    call::{Heard, Notice, Outcome, Party, Recipient, Summary, Tell},
};
use chat_proto::{WireId as _, subject::Rpc, v1};
use chat_store::ports_calls::CallState as _;

use crate::calls_phones::{Phones, device as phone};

/// What a device hears of a call that it believes to ring or to be connected.
async fn checked(
    phones: &Phones,
    user: &UserId,
    socket: u64,
    heard: &[Heard],
) -> Vec<(Notice, Option<Outcome>)> {
    let request = v1::CheckCallsRequest {
        app: phones.world.id.as_str().to_owned(),
        user_id: user.as_str().to_owned(),
        device: phone(socket).to_wire(),
        calls: heard.iter().map(Into::into).collect(),
    };
    let reply: v1::CheckCallsReply = phones.asked.ask(Rpc::CheckCalls, &request).await.unwrap();
    let notices = reply.notices.into_iter();
    let notices = notices.map(|notice| <(Notice, Summary)>::try_from(notice).unwrap());
    notices
        .map(|(notice, call)| (notice, call.outcome))
        .collect()
}

#[tokio::test]
async fn whoever_asks_is_told_from_the_row_what_redis_forgot() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let ringing = Heard {
        call: id,
        version: 1,
        is_connected: false,
    };
    let connected = Heard {
        is_connected: true,
        ..ringing
    };
    let (caller, callee) = (phones.caller(), phones.callee());
    assert_eq!(checked(&phones, callee, 2, &[ringing]).await, []);
    phones.accept(2).await.unwrap();
    assert_eq!(checked(&phones, callee, 2, &[connected]).await, []);

    let elsewhere = checked(&phones, callee, 3, &[ringing]).await;
    phones.end(phones.caller_party()).await.unwrap();
    phones.namespace.clear().unwrap();
    let over = checked(&phones, callee, 2, &[connected]).await;

    let tell = |told: &[(Notice, Option<Outcome>)]| -> Vec<_> {
        let told = told.iter();
        told.map(|(notice, outcome)| (notice.to.clone(), notice.tell, *outcome))
            .collect()
    };
    let device = |socket| Recipient::Device(callee.clone(), phone(socket));
    assert_eq!(
        tell(&elsewhere),
        [(device(3), Tell::AnsweredElsewhere, None)]
    );
    assert_eq!(
        tell(&over),
        [(device(2), Tell::Ended, Some(Outcome::Ended))]
    );
    let stranger = phones.world.caller(Role::Patient).user.id;
    assert_eq!(checked(&phones, &stranger, 2, &[connected]).await, []);
    assert_eq!(checked(&phones, caller, 1, &[]).await, []);
}

#[tokio::test]
async fn nothing_is_told_of_what_is_not_written_down() {
    let phones = Phones::new().await;
    let id = phones.ring().await;
    let heard = Heard {
        call: id,
        version: 1,
        is_connected: false,
    };
    let callee = Party::try_from(phones.callee_party()).unwrap();
    let state = phones.state.accept(&phones.world.id, &callee).await;

    assert_eq!(state.unwrap(), id);
    assert_eq!(checked(&phones, phones.caller(), 1, &[heard]).await, []);
    phones.accept(2).await.unwrap();
    let told = checked(&phones, phones.caller(), 1, &[heard]).await;
    assert_eq!(
        told.first().map(|(notice, _)| notice.tell),
        Some(Tell::Accepted)
    );
}

#[tokio::test]
async fn a_device_asks_about_a_few_calls_at_once() {
    let phones = Phones::new().await;
    let heard = v1::HeardCall {
        call_id: phones.ring().await.to_wire(),
        ..v1::HeardCall::default()
    };
    let request = v1::CheckCallsRequest {
        app: phones.world.id.as_str().to_owned(),
        user_id: phones.caller().as_str().to_owned(),
        device: phone(1).to_wire(),
        calls: vec![heard; 9],
    };

    let reply = phones
        .asked
        .ask::<v1::CheckCallsReply>(Rpc::CheckCalls, &request);

    assert_eq!(reply.await.unwrap_err().kind(), ErrorKind::TooLarge);
}
