//! Files that are served as they are, at fixed paths beside the sockets. Knows nothing of what they
//! show, and reads none from a disk.

use aws_lc_rs::digest;
use bytes::Bytes;
use hashbrown::HashMap;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;

/// What a page may do: load its own files, talk to its own server, use camera and microphone.
/// Trusted Types make browsers refuse to turn a string into markup.
const POLICIES: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), geolocation=()",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// The files; without any by default.
#[derive(Debug, Default)]
pub struct Pages(HashMap<&'static str, Page>);

/// What a browser may do with a file that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Use it again after asking whether it is still the same.
    Asking,
    /// Forget it: it holds secrets.
    Never,
}

#[derive(Debug)]
struct Page {
    headers: HeaderMap,
    body: Bytes,
}

impl Pages {
    /// Adds a file, or replaces the one at the same path.
    pub fn add(
        &mut self,
        path: &'static str,
        content_type: &'static str,
        keep: Keep,
        body: impl Into<Bytes>,
    ) {
        let body = body.into();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let caching = match keep {
            Keep::Asking => {
                headers.extend(etag(&body).map(|etag| (ETAG, etag)));
                "no-cache"
            }
            Keep::Never => "no-store",
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        for (name, value) in POLICIES {
            headers.insert(name, HeaderValue::from_static(value));
        }
        self.0.insert(path, Page { headers, body });
    }

    /// Answers a request for one of the files; `None` when none is at its path.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        let page = self.0.get(request.uri().path())?;
        let mut answer = Response::default();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            let methods = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, methods);
            return Some(answer);
        }
        *answer.headers_mut() = page.headers.clone();
        let known = request.headers().get(IF_NONE_MATCH);
        if known.is_some() && known == page.headers.get(ETAG) {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            // The server leaves it out of the answer to a HEAD.
            *answer.body_mut() = Full::new(page.body.clone());
        }
        Some(answer)
    }
}

/// Names this content: any other has another name.
fn etag(body: &[u8]) -> Option<HeaderValue> {
    let digest = digest::digest(&digest::SHA256, body);
    let start = digest.as_ref().first_chunk().copied()?;
    HeaderValue::try_from(format!("\"{:032x}\"", u128::from_be_bytes(start))).ok()
}
