//! Files that users attach, as clients of every dialect see it, in a folder of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use chat_domain::{AttachmentId, BoxError, ChatError, Timestamp};
use chat_store::{app::remove_files, ports_files::Permit};
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::{
    album::{Album, DAY, HOUR, PNG},
    http_site::{Ask, BOOKING, CONSULTANT, NOTHING, PATIENT, PUBLIC_URL, Site, meeting, with},
};

/// Walks through one dialect.
pub(crate) async fn a_file_reaches_the_two(album: Album) {
    let id = album.upload().await;
    let early = album.read(&album.sender, &id).await;
    let sent = album.send(&id, &json!({})).await;
    let again = album.send(&id, &json!({"content": "again"})).await;

    assert_eq!(early.status, StatusCode::NOT_FOUND, "no message names it");
    assert!(sent.status.is_success(), "{sent:?}");
    assert!(again.status.is_success(), "{again:?}");
    let message = ["message", "data"].iter().map(|key| &sent.body[key]);
    let message = message
        .clone()
        .find(|it| it.is_object())
        .unwrap_or(&sent.body);
    let url = format!("{PUBLIC_URL}{}/{id}", album.files);
    assert_eq!(album.field(message, "fileUrl"), url);
    assert_eq!(album.field(message, "fileName"), "Röntgen.png");
    for who in [&album.sender, &album.receiver] {
        let read = album.read(who, &id).await;
        assert_eq!(read.status, StatusCode::OK, "{who}: {read:?}");
        assert_eq!(read.bytes, PNG);
        assert_eq!(read.headers[header::CONTENT_TYPE], "image/png");
        assert_eq!(read.headers[header::CONTENT_LENGTH], PNG.len().to_string());
        assert_eq!(read.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(read.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(
            read.headers[header::CONTENT_DISPOSITION],
            "attachment; filename*=UTF-8''R%C3%B6ntgen.png"
        );
    }
    assert_eq!(album.site.n_logged("download").await, 2);
    for (who, status) in [(album.stranger.as_str(), 403), ("", 401)] {
        let refused = album.read(who, &id).await;
        assert_eq!(refused.status.as_u16(), status, "{who}: {refused:?}");
    }
    assert_eq!(album.site.n_logged("download").await, 3);
    let unknown = album.read(&album.sender, NOTHING).await;
    let malformed = album.read(&album.sender, "..%2f..%2fetc").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
    let nothing = json!({});
    let nothing_said = album
        .site
        .ask(&album.sender, &album.announce, &nothing)
        .await;
    assert!(nothing_said.status.is_client_error(), "{nothing_said:?}");
}

#[tokio::test]
async fn a_file_of_a_consultation_reaches_the_two() {
    a_file_reaches_the_two(Album::consult().await).await;
}

#[tokio::test]
async fn a_file_of_care_reaches_the_two() {
    a_file_reaches_the_two(Album::care().await).await;
}

#[tokio::test]
async fn a_file_of_a_clinic_reaches_the_two() {
    a_file_reaches_the_two(Album::clinic().await).await;
}

#[tokio::test]
async fn a_file_of_a_booking_reaches_the_two() {
    a_file_reaches_the_two(Album::booking().await).await;
}

#[tokio::test]
async fn who_may_not_write_attaches_nothing() {
    let album = Album::care().await;

    let stranger = album.announce(&album.stranger, &json!({})).await;
    stranger.assert_says(403, "Doctor and patient are not associated");
    let album = Album::booking().await;
    let stranger = album.announce(&album.stranger, &json!({})).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{stranger:?}");
    let album = Album::consult().await;
    let stranger = album.announce(&album.stranger, &json!({})).await;
    stranger.assert_error(403, "not of the two");
}

#[tokio::test]
async fn only_what_was_permitted_is_taken() {
    let album = Album::consult().await;
    let announced = album.announce(&album.sender, &json!({})).await;
    let url = album.field(&announced.body, "uploadUrl");
    let id = album.field(&announced.body, "attachmentId");

    for (wrong, why) in [
        (url.replace(id, NOTHING), "another file"),
        (url.replace("size=", "size=1"), "a larger file"),
        (url.replace("expires=", "expires=9"), "a longer time"),
        (format!("{url}x"), "another signature"),
        (url.replace(id, "..%2f..%2fx"), "another place"),
    ] {
        assert_eq!(album.put(&wrong, PNG).await, StatusCode::FORBIDDEN, "{why}");
    }
    let long = [PNG, b"!"].concat();
    assert_eq!(album.put(url, &long).await, StatusCode::PAYLOAD_TOO_LARGE);
    album
        .send(id, &json!({}))
        .await
        .assert_error(409, "nothing was uploaded");
}

#[tokio::test]
async fn an_upload_is_permitted_for_a_quarter_of_an_hour() {
    let album = Album::consult().await;
    let announced = album.announce(&album.sender, &json!({})).await;
    let url = album.field(&announced.body, "uploadUrl");
    let (_, query) = url.split_once('?').unwrap();
    let part = |name: &str| {
        let mut parts = query.split('&').filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| *key == name).unwrap().1
    };
    let permit = Permit {
        id: AttachmentId::parse(album.field(&announced.body, "attachmentId")).unwrap(),
        size: part("size").parse().unwrap(),
        expires_at: Timestamp(part("expires").parse().unwrap()),
    };
    let put = async |clock| {
        let app = album.site.app.clone().with_clock(clock);
        let mut bytes = stream::iter([Ok(Bytes::from_static(PNG))]).boxed();
        app.receive_file(&permit, part("signature"), &mut bytes)
            .await
    };

    put(|| Timestamp(service_kit::now().0 + 14 * 60_000))
        .await
        .unwrap();
    let late = put(|| Timestamp(service_kit::now().0 + 15 * 60_000)).await;

    assert!(matches!(late, Err(ChatError::Forbidden(_))), "{late:?}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let album = Album::consult().await;
    let announced = album.announce(&album.sender, &json!({})).await;
    let url = album.field(&announced.body, "uploadUrl");
    let parts: [Result<Bytes, BoxError>; 2] =
        [Ok(Bytes::from_static(PNG)), Err("reset by peer".into())];

    let put = Ask::new("PUT", url.strip_prefix(PUBLIC_URL).unwrap());
    let put = put
        .streamed(stream::iter(parts))
        .of(&album.site.clients)
        .await;

    assert_eq!(put.status, StatusCode::BAD_REQUEST, "{put:?}");
    album
        .send(album.field(&announced.body, "attachmentId"), &json!({}))
        .await
        .assert_error(409, "nothing was uploaded");
}

#[tokio::test]
async fn a_file_that_is_not_what_it_was_said_to_be_is_not_sent() {
    what_is_something_else_is_not_sent(Album::consult().await).await;
}

pub(crate) async fn what_is_something_else_is_not_sent(album: Album) {
    for bytes in [
        &b"<script>alert(1)</script>!"[..PNG.len()],
        &PNG[..PNG.len() - 1],
    ] {
        let announced = album.announce(&album.sender, &json!({})).await;
        let url = album.field(&announced.body, "uploadUrl");
        assert!(album.put(url, bytes).await.is_success());
        let id = album.field(&announced.body, "attachmentId");
        let wrong = album.send(id, &json!({})).await;
        wrong.assert_error(400, "it is something else");
        // The right bytes may still come.
        assert!(album.put(url, PNG).await.is_success());
        let right = album.send(id, &json!({})).await;
        assert_eq!(right.status, StatusCode::CREATED, "{right:?}");
    }
}

#[tokio::test]
async fn what_was_sent_cannot_be_changed_by_another_upload() {
    what_was_sent_stays(Album::consult().await).await;
}

pub(crate) async fn what_was_sent_stays(album: Album) {
    let announced = album.announce(&album.sender, &json!({})).await;
    let url = album.field(&announced.body, "uploadUrl");
    let id = album.field(&announced.body, "attachmentId");
    album.put(url, PNG).await;
    album.send(id, &json!({})).await;

    let evil = b"<script>alert(1)</script>!";
    album.put(url, &evil[..PNG.len()]).await;
    let again = album.send(id, &json!({"content": "again"})).await;

    assert_eq!(again.status, StatusCode::CREATED, "{again:?}");
    assert_eq!(album.read(&album.receiver, id).await.bytes, PNG);
}

#[tokio::test]
async fn a_file_is_sent_by_its_owner_in_its_conversation() {
    let album = Album::consult().await;
    let id = album.upload().await;
    let another = json!({"bookingId": NOTHING});
    let booking = json!({"consultantId": CONSULTANT, "patientId": PATIENT});
    let path = format!("bookings/{NOTHING}");
    album.site.tell("PUT", &path, &booking).await;
    let as_consultant = with(
        &meeting(),
        &json!({"senderType": "consultant", "attachmentId": id}),
    );

    let other = album
        .site
        .ask(&album.receiver, album.send, &as_consultant)
        .await;
    other.assert_error(404, "it is the patient's");
    for (id, changes, why) in [
        (id.as_str(), another, "it is of another conversation"),
        (NOTHING, json!({}), "there is none"),
    ] {
        album.send(id, &changes).await.assert_error(404, why);
    }
    album
        .send("../etc", &json!({}))
        .await
        .assert_error(400, "that is no id");
    assert_ne!(BOOKING, NOTHING);
}

#[tokio::test]
async fn what_may_not_be_attached_is_not_announced() {
    let album = Album::consult_with("{ max_attachment_bytes = 100 }").await;

    for (changes, status) in [
        (json!({"contentType": "text/html"}), 400),
        (json!({"contentType": "image/svg+xml"}), 400),
        (json!({"fileName": "../a.png"}), 400),
        (json!({"fileName": "a.exe"}), 400),
        (json!({"fileName": ""}), 400),
        (json!({"fileName": null}), 400),
        (json!({"size": 0}), 400),
        (json!({"size": -1}), 400),
        (json!({"size": "12"}), 400),
        (json!({"size": 101}), 413),
    ] {
        let announced = album.announce(&album.sender, &changes).await;
        announced.assert_error(status, &changes.to_string());
    }
}

#[tokio::test]
async fn care_takes_documents_and_pictures() {
    let album = Album::care().await;
    let say = async |changes: &Value| {
        let message = with(&album.message, changes);
        let answer = album.site.ask(&album.sender, album.send, &message).await;
        (answer.status.as_u16(), answer.text("message"))
    };
    let refused = (400, "file type is not allowed".to_owned());

    for file in [
        json!({"fileUrl": "https://a.b/report.PDF", "messageType": "file"}),
        json!({"fileUrl": "https://a.b/x?id=1", "fileName": "look.jpg", "messageType": "image"}),
        json!({"fileUrl": "https://a.b/x.png"}),
    ] {
        assert_eq!(say(&file).await.0, 201, "{file}");
    }
    for file in [
        json!({"fileUrl": "https://a.b/report.pdf", "messageType": "image"}),
        json!({"fileUrl": "https://a.b/run.exe", "messageType": "file"}),
        json!({"fileUrl": "https://a.b/a.pdf", "fileName": "a.html", "messageType": "file"}),
        json!({"fileUrl": "https://a.b/what", "messageType": "file"}),
        json!({"fileUrl": "https://a.b/song.mp3", "messageType": "file"}),
    ] {
        assert_eq!(say(&file).await, refused, "{file}");
    }
    let text = json!({"contentType": "text/plain", "fileName": "a.txt"});
    let announced = album.announce(&album.sender, &text).await;
    announced.assert_says(400, "file type is not allowed");
    let pdf = json!({"contentType": "application/pdf", "fileName": "a.pdf", "size": 5});
    let announced = album.announce(&album.sender, &pdf).await;
    let data = &announced.body["data"];
    let put = album.put(album.field(data, "uploadUrl"), b"%PDF-").await;
    assert_eq!(put, StatusCode::NO_CONTENT);
    let id = album.field(data, "attachmentId");
    let as_image = album.send(id, &json!({})).await;
    as_image.assert_says(400, "file type is not allowed");
    let as_file = album.send(id, &json!({"messageType": "file"})).await;
    assert_eq!(as_file.status, StatusCode::CREATED, "{as_file:?}");
}

#[tokio::test]
async fn nobody_announces_without_end() {
    let album = Album::consult().await;
    for _ in 0..64 {
        let announced = album.announce(&album.sender, &json!({})).await;
        assert_eq!(announced.status, StatusCode::CREATED, "{announced:?}");
    }

    let more = album.announce(&album.sender, &json!({})).await;

    more.assert_error(429, "too many wait");
    assert_eq!(more.headers[header::RETRY_AFTER], "60");
}

#[tokio::test]
async fn a_file_that_nobody_sends_is_removed() {
    let album = Album::consult().await;
    what_nobody_sends_is_removed(&album).await;
    assert_eq!(album.site.n_files(), 1);
}

pub(crate) async fn what_nobody_sends_is_removed(album: &Album) {
    let (sent, abandoned) = (album.upload().await, album.upload().await);
    album.send(&sent, &json!({})).await;
    let at = |hours| Timestamp(service_kit::now().0 + hours * HOUR);
    let remove = async |now| {
        let attachments = album.site.attachments.as_ref().unwrap();
        remove_files(attachments, album.site.app.apps(), now)
            .await
            .unwrap()
    };

    let removed = [
        remove(at(23)).await,
        remove(at(25)).await,
        remove(at(25)).await,
    ];

    assert_eq!(removed, [0, 1, 0]);
    let read = album.read(&album.receiver, &sent).await;
    assert_eq!(read.status, StatusCode::OK);
    album
        .send(&abandoned, &json!({}))
        .await
        .assert_error(404, "it is gone");
}

#[tokio::test]
async fn a_file_goes_with_the_last_message_that_names_it() {
    let album = Album::clinic().await;
    let id = album.upload().await;
    album.send(&id, &json!({})).await;
    let attachment = AttachmentId::parse(&id).unwrap();
    let read = async |clock| {
        let app = album.site.app.clone().with_clock(clock);
        let read = app
            .read_file(&album.caller(&album.receiver), attachment)
            .await;
        read.map(drop).map_err(|error| error.to_string())
    };
    let remove = async |days| {
        let attachments = album.site.attachments.as_ref().unwrap();
        let now = Timestamp(service_kit::now().0 + days * DAY);
        remove_files(attachments, album.site.app.apps(), now)
            .await
            .unwrap()
    };

    let before = read(|| Timestamp(service_kit::now().0 + 90 * DAY - 60_000)).await;
    let kept = remove(90).await;
    let after = read(|| Timestamp(service_kit::now().0 + 90 * DAY)).await;
    let removed = remove(91).await;

    assert_eq!((before, kept), (Ok(()), 0));
    assert_eq!(after, Err("Attachment not found".to_owned()));
    assert_eq!((removed, album.site.n_files()), (1, 0));
    let gone = album.read(&album.receiver, &id).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_site_without_a_place_for_files_has_none() {
    let site = Site::start().await;
    let id = site.conversation().await;
    let file = json!({"fileName": "a.png", "contentType": "image/png", "size": 1});

    let announced = site
        .post("patient", &format!("conversations/{id}/attachments"), &file)
        .await;

    announced.assert_error(404, "no place");
}
