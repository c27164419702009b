//! `/chat/ice-servers`.

use serde_json::json;

use crate::http_site::{PATIENT, Site};

#[tokio::test]
async fn each_caller_gets_credentials_that_do_not_name_them() {
    let site = Site::start().await;

    let patient = site.get("patient", "ice-servers").await;
    let consultant = site.get("consultant", "ice-servers").await;

    let [stun, turn] = patient.body["iceServers"].as_array().unwrap().as_slice() else {
        panic!("{patient:?}");
    };
    assert_eq!(stun, &json!({"urls": ["stun:relay.example:3478"]}));
    assert_eq!(
        turn["urls"],
        json!(["turn:relay.example:3478?transport=udp"])
    );
    let username = turn["username"].as_str().unwrap();
    assert!(!username.contains(PATIENT), "{username}");
    assert!(turn["credential"].is_string());
    assert!(patient.body["expiresAt"].is_string());
    assert_ne!(consultant.body["iceServers"][1]["username"], username);
    assert_eq!(patient.headers["cache-control"], "no-store");
}
