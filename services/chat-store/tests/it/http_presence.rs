//! `/chat/presence`: who is there, for those who share a conversation.

use chat_domain::{
    AppId, UserId,
    call::{DeviceId, GatewayId},
};
use chat_store::ports_presence::PresenceState;
use test_kit::redis::Namespace;

use crate::{
    calls_subject::another,
    http_site::{CONSULTANT, NOTHING, PATIENT, STRANGER, Site},
};

#[tokio::test]
async fn those_who_share_a_conversation_see_each_other_and_nobody_else() {
    let namespace = Namespace::new().unwrap();
    let state = another(&namespace);
    let site = Site::with_state(state.clone()).await;
    site.conversation().await;
    let device = DeviceId {
        gateway: GatewayId(1),
        socket: 1,
    };
    for user in [CONSULTANT, STRANGER] {
        let (app, user) = (AppId::new("jiggy").unwrap(), UserId::new(user).unwrap());
        let come = PresenceState::come(&state, &app, &user, device, false);
        come.await.unwrap();
    }
    let path = format!("presence?userIds={CONSULTANT},{STRANGER},{NOTHING},{PATIENT}");

    let patient = site.get("patient", &path).await;
    let stranger = site.get("stranger", &path).await;

    insta::assert_json_snapshot!("presence", patient.body);
    let online = |body: &serde_json::Value| -> Vec<bool> {
        let all = body.as_array().unwrap().iter();
        all.map(|one| one["isOnline"].as_bool().unwrap()).collect()
    };
    assert_eq!(online(&patient.body), [true, false, false, false]);
    assert_eq!(online(&stranger.body), [false, true, false, false]);
}

#[tokio::test]
async fn everybody_is_offline_while_nobody_knows() {
    let site = Site::start().await;
    site.conversation().await;

    let answer = site
        .get("patient", &format!("presence?userIds={CONSULTANT}"))
        .await;

    assert_eq!(answer.body[0]["isOnline"], false);
}

#[tokio::test]
async fn a_question_names_one_to_a_hundred_users() {
    let site = Site::start().await;
    let hundred = vec![CONSULTANT; 100].join(",");

    let most = site
        .get("patient", &format!("presence?userIds={hundred}"))
        .await;
    let too_many = format!("presence?userIds={hundred},{CONSULTANT}");

    assert_eq!(most.body.as_array().unwrap().len(), 100);
    for bad in [
        &too_many,
        "presence",
        "presence?userIds=",
        "presence?userIds=1",
    ] {
        site.get("patient", bad).await.assert_invalid(bad);
    }
}
