//! `/chat/calls`: what was, for those who were in it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use chat_domain::{
    AppId, ConversationId, Timestamp, UserId,
    call::{CallId, CallKind, DeviceId, GatewayId, Initiate, Party, Switchboard, Transition},
};
use chat_store::ports_calls::{CallHistory as _, Logged};
use serde_json::json;
use service_kit::apps::CallPolicy;
use uuid::Uuid;

use crate::http_site::{CONSULTANT, NOTHING, PATIENT, Site, masked};

fn id(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn party(user: &str, peer: &str) -> Party {
    Party {
        user: UserId::new(user).unwrap(),
        device: DeviceId {
            gateway: GatewayId(1),
            socket: 1,
        },
        peer: UserId::new(peer).unwrap(),
        call: None,
        age: Duration::MAX,
        n: 0,
    }
}

impl Site {
    async fn record(&self, log: Vec<Transition>) {
        let app = AppId::new("jiggy").unwrap();
        let logged = |transition| Logged {
            app: app.clone(),
            transition,
        };
        let batch: Vec<_> = log.into_iter().map(logged).collect();
        self.pg.record(&batch).await.unwrap();
    }

    /// The patient calls the consultant, who declines.
    async fn declined(&self, n: u128) {
        let (mut board, mut log) = (Switchboard::default(), Vec::new());
        let conversation = ConversationId::parse(&self.conversation().await).unwrap();
        let request = Initiate {
            call: id(n),
            caller: UserId::new(PATIENT).unwrap(),
            device: party(PATIENT, CONSULTANT).device,
            callee: UserId::new(CONSULTANT).unwrap(),
            conversation,
            kind: CallKind::Video,
            n: 0,
        };
        let at = |seconds: i64| Timestamp(1_700_000_000_000 + seconds * 1_000);
        board
            .initiate(&request, CallPolicy::default().rules, at(0), &mut log)
            .unwrap();
        let callee = party(CONSULTANT, PATIENT);
        board
            .reject(&callee, Some("in a meeting".into()), at(7), &mut log)
            .unwrap();
        self.record(log).await;
    }
}

#[tokio::test]
async fn both_sides_find_a_call_and_nobody_else() {
    let site = Site::start().await;
    site.declined(1).await;
    let path = format!("calls/{}", id(1));

    let patient = site.get("patient", &path).await;
    let consultant = site.get("consultant", &path).await;
    let stranger = site.get("stranger", &path).await;

    insta::assert_snapshot!("call", masked(&patient.body));
    assert_eq!(patient.body, consultant.body);
    stranger.assert_error(404, "stranger");
    assert_eq!(stranger.body["message"], "Call not found");
    let nothing = site.get("patient", &format!("calls/{NOTHING}")).await;
    nothing.assert_error(404, "nothing");
    site.get("patient", "calls/abc").await.assert_invalid("abc");
}

#[tokio::test]
async fn calls_are_listed_newest_first_and_page_by_page() {
    let site = Site::start().await;
    for n in 1..=3 {
        site.declined(n).await;
    }

    let first = site.get("consultant", "calls?limit=2").await;
    let path = format!(
        "calls?limit=2&before={}",
        first.body[1]["id"].as_str().unwrap()
    );
    let second = site.get("consultant", &path).await;
    let stranger = site.get("stranger", "calls").await;

    let ids = |body: &serde_json::Value| -> Vec<String> {
        let calls = body.as_array().unwrap().iter();
        calls
            .map(|call| call["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&first.body), [id(3).to_string(), id(2).to_string()]);
    assert_eq!(ids(&second.body), [id(1).to_string()]);
    assert_eq!(stranger.body, json!([]));
    for bad in ["calls?limit=0", "calls?limit=201", "calls?before=1"] {
        site.get("patient", bad).await.assert_invalid(bad);
    }
}
