//! Files of users who have to go, and of what has to stay.

use chat_domain::Timestamp;
use chat_store::app::remove_files;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    album::{Album, DAY, PNG},
    http_site::{Answer, CONSULTANT, PATIENT, Site},
    records::officer,
};

async fn erase(site: &Site) -> Answer {
    let path = format!("users/{PATIENT}/erasure");
    officer(site, "POST", &path, &Value::Null).await
}

#[tokio::test]
async fn the_files_of_an_erased_user_go_with_it_and_those_of_others_stay() {
    let album = Album::consult().await;
    let sent = album.upload().await;
    album.send(&sent, &json!({})).await;
    // More than go at a time, and all that may wait.
    for _ in 0..64 {
        album.upload().await;
    }
    let theirs = album.announce(&album.receiver, &json!({})).await;
    let put = album.put(album.field(&theirs.body, "uploadUrl"), PNG).await;
    assert_eq!((put, album.site.n_files()), (StatusCode::NO_CONTENT, 66));

    let certificate = erase(&album.site).await;

    assert_eq!(certificate.status, StatusCode::OK, "{certificate:?}");
    assert_eq!(certificate.body["files"], 65);
    assert_eq!(album.site.n_files(), 1, "that of the consultant");
    assert_eq!(album.site.count("attachments").await, 1);
    let read = album.read(&album.receiver, &sent).await;
    assert_eq!(read.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_of_what_is_held_neither_expires_nor_is_erased() {
    let album = Album::consult_with("{ retention_days = 30 }").await;
    let site = &album.site;
    let id = album.upload().await;
    album.send(&id, &json!({})).await;
    let conversation = site.conversation().await;
    let expire = async || {
        let now = Timestamp(service_kit::now().0 + 31 * DAY);
        let attachments = site.attachments.as_ref().unwrap();
        remove_files(attachments, site.app.apps(), now)
            .await
            .unwrap()
    };

    for held in [
        format!("users/{PATIENT}"),
        format!("users/{CONSULTANT}"),
        format!("conversations/{conversation}"),
    ] {
        let hold = format!("holds/{held}");
        officer(site, "PUT", &hold, &json!({"reason": "case 17"})).await;

        let (expired, erased) = (expire().await, erase(site).await);

        assert_eq!(
            (expired, erased.status),
            (0, StatusCode::CONFLICT),
            "{held}"
        );
        assert_eq!(site.n_files(), 1, "{held}");
        officer(site, "DELETE", &hold, &Value::Null).await;
    }
    assert_eq!((expire().await, site.n_files()), (1, 0));
}
