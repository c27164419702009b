//! Files as HTTP has them: announced in JSON, uploads that carry their own permit, and downloads that
//! no browser shows. Each dialect has its own routes to it.

use axum::{
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use chat_domain::{AttachmentId, BoxError, File, Timestamp};
use dialects::{
    UploadBody,
    describe::{Kind, Property, needed},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
};

use super::{
    Api,
    error::RestError,
    fields::{Fields, Query, discard},
};
use crate::{
    app::{Announced, Caller, Target, Upload},
    ports_files::{Bytestream, Permit},
};

/// What is wrong with the id of a file.
const NO_ID: &str = "The attachment id is not valid";

/// What announces a file.
pub(super) const FILE: [Property; 3] = [
    needed("fileName", Kind::Text),
    needed("contentType", Kind::Text),
    needed("size", Kind::Integer(0, u64::MAX)),
];
/// What permits an upload.
pub(super) const PERMIT: [Property; 3] = [
    needed("size", Kind::Integer(0, u64::MAX)),
    needed("expires", Kind::Integer(0, u64::MAX)),
    needed("signature", Kind::Text),
];

/// Reads `{fileName, contentType, size}`; `rule` is what one that is missing breaks.
pub(super) fn read_announced(body: &mut Fields, rule: &str) -> Option<Announced> {
    let owned = |text: &str| Some(text.to_owned());
    let name = body.required("fileName", rule, owned);
    let content_type = body.required("contentType", rule, owned);
    let has_size = body.has("size");
    let size = body.optional_integer("size");
    let size = size.and_then(|size| u64::try_from(size).ok());
    if size.is_none() {
        body.note(
            "size",
            if has_size {
                "must not be negative"
            } else {
                rule
            },
        );
    }
    Some(Announced {
        name: name?,
        content_type: content_type?,
        size: size?,
    })
}

/// Announces a file for the conversation at `target`.
pub(super) async fn announce(
    api: &Api,
    caller: &Caller,
    target: Target,
    announced: Announced,
) -> Result<Upload, RestError> {
    Ok(api.app.announce_file(caller, target, announced).await?)
}

/// Says where the bytes of a file go.
pub(super) fn upload_body(upload: &Upload) -> UploadBody<'_> {
    UploadBody::new(upload.id, &upload.url, upload.expires_at)
}

/// `PUT /api/v1/uploads/{id}?size&expires&signature`: takes a file whose URL was signed here. Its
/// bearer needs no token; where files go to a bucket nothing is permitted.
pub(super) async fn upload(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(query): Query,
    request: Request,
) -> Result<StatusCode, RestError> {
    let bytes = request.into_body().into_data_stream();
    let mut bytes: Bytestream = bytes.map_err(BoxError::from).boxed();
    let received = receive(&api, &id, query, &mut bytes).await;
    if received.is_err() {
        discard(bytes).await;
    }
    received.map(|()| StatusCode::NO_CONTENT)
}

async fn receive(
    api: &Api,
    id: &str,
    mut query: Fields,
    bytes: &mut Bytestream,
) -> Result<(), RestError> {
    let a_number = "must be a number";
    let size = query.required("size", a_number, |text| text.parse().ok());
    let expires = query.required("expires", a_number, |text| text.parse().ok());
    let signature = query.text("signature");
    let (Ok(id), Some(size), Some(expires), Some(signature)) =
        (AttachmentId::parse(id), size, expires, signature)
    else {
        return Err(RestError::forbidden("The upload is not permitted"));
    };
    let permit = Permit {
        id,
        size,
        expires_at: Timestamp(expires),
    };
    Ok(api.app.receive_file(&permit, signature, bytes).await?)
}

/// Answers with the file of that id, if the caller may have it.
pub(super) async fn give(api: &Api, caller: &Caller, id: &str) -> Result<Response, RestError> {
    let id = AttachmentId::parse(id).map_err(|_| RestError::new(StatusCode::BAD_REQUEST, NO_ID))?;
    let (file, bytes) = api.app.read_file(caller, id).await?;
    Ok(download(&file, bytes))
}

/// Answers with the bytes of a file, to be saved and not to be shown. That no browser guesses its type
/// and that nobody caches it is said by every answer.
fn download(file: &File, bytes: Bytestream) -> Response {
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, file.size.into());
    let content_type = HeaderValue::from_static(file.file_type.as_str());
    headers.insert(CONTENT_TYPE, content_type);
    let disposition = format!("attachment; filename*=UTF-8''{}", encoded(&file.name));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

/// Encodes a name as RFC 8187 has it.
fn encoded(name: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_fits_into_a_header() {
        assert_eq!(encoded("a b\"ü.pdf"), "a%20b%22%C3%BC.pdf");
    }
}
