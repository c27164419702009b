//! What both services do with HTTP headers: credentials, origins and CORS.
//!
//! Routing and error bodies belong to the services and their dialects.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, HOST, ORIGIN, REFERER, VARY,
    },
};

/// The cookie that may carry the token of a browser.
const TOKEN_COOKIE: &str = "access_token";

/// Consult protocol, section 2.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, PATCH, POST, DELETE");

/// Consult protocol, section 2.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, Authorization, X-Access-Token, X-Refresh-Token, X-Client-Type",
);

/// How long a browser may keep the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// A token and the way it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The token, without `Bearer `.
    pub token: &'a str,
    /// The header it was found in.
    pub source: CredentialSource,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Where a token was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer`: only the client itself can have sent it.
    Bearer,
    /// The cookie `access_token`: the browser sends it whoever asks, so that a change needs
    /// [`change_allowed`] too.
    Cookie,
}

/// Finds the token of a request: `Authorization: Bearer`, else the cookie `access_token`.
#[must_use]
pub fn credentials(headers: &HeaderMap) -> Option<Credential<'_>> {
    let bearer = text(headers, &AUTHORIZATION)
        .and_then(bearer)
        .map(|token| Credential {
            token,
            source: CredentialSource::Bearer,
        });
    bearer.or_else(|| {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == TOKEN_COOKIE)
            .map(|(_, value)| value.trim_matches('"'))
            .filter(|token| !token.is_empty())
            .map(|token| Credential {
                token,
                source: CredentialSource::Cookie,
            })
    })
}

/// Returns what follows the scheme `Bearer`, in whatever case it is written.
pub(crate) fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Tells whether a handshake may come from where it comes from.
///
/// A request without `Origin` is not a browser's and passes. So does an origin of `allow_list`, and
/// the server's own host (the `Host` header). Anything else is refused with 403.
#[must_use]
pub fn origin_allowed(headers: &HeaderMap, allow_list: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    is_origin_allowed(origin, text(headers, &HOST), allow_list)
}

/// Tells whether a page of `origin` may use the server that it called `host`: what
/// [`origin_allowed`] decides, for where the headers are gone.
#[must_use]
pub fn is_origin_allowed(origin: &str, host: Option<&str>, allow_list: &[String]) -> bool {
    allow_list.iter().any(|allowed| allowed == origin)
        || host.is_some_and(|host| is_origin_of(origin, host))
}

/// Tells whether a request that was authenticated by cookie may change something: its `Origin`, else
/// its `Referer`, must be in `allow_list`. Otherwise the answer is 403.
#[must_use]
pub fn change_allowed(headers: &HeaderMap, allow_list: &[String]) -> bool {
    let allowed = |origin: &str| allow_list.iter().any(|allowed| allowed == origin);
    match headers.get(ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(allowed),
        None => text(headers, &REFERER)
            .and_then(origin_of_url)
            .is_some_and(allowed),
    }
}

/// Returns the CORS headers of an answer; to be added to every one, errors included.
///
/// A foreign origin gets no `Access-Control-Allow-Origin`, so that its browser hides the answer.
#[must_use]
pub fn cors_headers(request: &HeaderMap, allow_list: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Origin"))]);
    if let Some(origin) = request.get(ORIGIN)
        && allow_list.iter().any(|allowed| origin == allowed.as_str())
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    headers
}

/// Answers a CORS preflight with 204; `None` when the request is none and goes its usual way.
#[must_use]
pub fn preflight(
    method: &Method,
    request: &HeaderMap,
    allow_list: &[String],
) -> Option<Response<()>> {
    let is_preflight = method == Method::OPTIONS
        && request.contains_key(ORIGIN)
        && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    let mut headers = cors_headers(request, allow_list);
    if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = headers;
    Some(response)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Tells whether `origin` is `http` or `https` on `host`, a default port said or not.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |authority: &str| {
        authority
            .strip_suffix(default_port)
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    bare(authority) == bare(host)
}

/// Returns `scheme://authority` of a URL.
fn origin_of_url(url: &str) -> Option<&str> {
    let authority = url.find("://")? + 3;
    let rest = url.get(authority..)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    url.get(..authority + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "https://app.example";

    fn allow_list() -> Vec<String> {
        vec![LISTED.to_owned(), "http://localhost:5173".to_owned()]
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_bearer_goes_before_a_cookie() {
        use CredentialSource::{Bearer, Cookie};
        for (pairs, expected) in [
            (vec![], None),
            (
                vec![("authorization", "Bearer a.b.c")],
                Some(("a.b.c", Bearer)),
            ),
            (vec![("authorization", "bearer  a")], Some(("a", Bearer))),
            (vec![("authorization", "Bearer")], None),
            (vec![("authorization", "Basic dTpw")], None),
            (vec![("cookie", "access_token=a")], Some(("a", Cookie))),
            (
                vec![("cookie", "x=1; access_token=\"a\"; y=2")],
                Some(("a", Cookie)),
            ),
            (
                vec![("cookie", "x=1"), ("cookie", "access_token=a")],
                Some(("a", Cookie)),
            ),
            (vec![("cookie", "access_token=")], None),
            (vec![("cookie", "my_access_token=a; access_token")], None),
            (
                vec![("authorization", "Bearer b"), ("cookie", "access_token=c")],
                Some(("b", Bearer)),
            ),
            (
                vec![
                    ("authorization", "Basic dTpw"),
                    ("cookie", "access_token=c"),
                ],
                Some(("c", Cookie)),
            ),
            (vec![("x-access-token", "a")], None),
        ] {
            let found = credentials(&headers_of(&pairs))
                .map(|found| (found.token.to_owned(), found.source));
            let expected = expected.map(|(token, source)| (token.to_owned(), source));
            assert_eq!(found, expected, "{pairs:?}");
        }
    }

    /// As `headers`, with repetitions.
    fn headers_of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in pairs {
            all.append(*name, HeaderValue::from_static(value));
        }
        all
    }

    #[test]
    fn credentials_do_not_print() {
        let headers = headers(&[("authorization", "Bearer hunter2")]);

        assert!(!format!("{:?}", credentials(&headers)).contains("hunter2"));
    }

    #[test]
    fn foreign_origins_are_refused() {
        for (pairs, expected) in [
            (vec![], true),
            (vec![("origin", LISTED)], true),
            (vec![("origin", "http://localhost:5173")], true),
            (vec![("origin", "http://localhost:5174")], false),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "https://app.example.evil.example")], false),
            (vec![("origin", "http://app.example")], false),
            (vec![("origin", "null")], false),
            (vec![("origin", "")], false),
            (
                vec![("origin", "http://chat:8080"), ("host", "chat:8080")],
                true,
            ),
            (vec![("origin", "http://chat"), ("host", "Chat:80")], true),
            (vec![("origin", "https://chat"), ("host", "chat")], true),
            (
                vec![("origin", "https://chat:8443"), ("host", "chat")],
                false,
            ),
            (vec![("origin", "file://chat"), ("host", "chat")], false),
        ] {
            assert_eq!(
                origin_allowed(&headers(&pairs), &allow_list()),
                expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn a_change_by_cookie_needs_a_listed_origin() {
        for (pairs, expected) in [
            (vec![], false),
            (vec![("origin", LISTED)], true),
            (vec![("origin", "https://evil.example")], false),
            (vec![("referer", "https://app.example/chat?x=1")], true),
            (vec![("referer", "https://app.example")], true),
            (vec![("referer", "https://app.example.evil/chat")], false),
            (
                vec![("referer", "https://evil/?https://app.example/")],
                false,
            ),
            (vec![("referer", "garbage")], false),
            (
                vec![("origin", "null"), ("referer", "https://app.example/")],
                false,
            ),
        ] {
            assert_eq!(
                change_allowed(&headers(&pairs), &allow_list()),
                expected,
                "{pairs:?}"
            );
        }
    }

    #[test]
    fn listed_origins_are_echoed_and_never_a_star() {
        let answer = cors_headers(&headers(&[("origin", LISTED)]), &allow_list());

        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], LISTED);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(answer[VARY], "Origin");
    }

    #[test]
    fn foreign_origins_get_no_permission() {
        for pairs in [vec![], vec![("origin", "https://evil.example")]] {
            let answer = cors_headers(&headers(&pairs), &allow_list());
            assert_eq!(answer.len(), 1, "{answer:?}");
            assert_eq!(answer[VARY], "Origin");
        }
    }

    #[test]
    fn preflights_are_answered() {
        let request = headers(&[
            ("origin", LISTED),
            ("access-control-request-method", "POST"),
        ]);

        let answer = preflight(&Method::OPTIONS, &request, &allow_list()).unwrap();

        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_METHODS], METHODS);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], HEADERS);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], LISTED);
        assert!(preflight(&Method::POST, &request, &allow_list()).is_none());
        assert!(preflight(&Method::OPTIONS, &HeaderMap::new(), &allow_list()).is_none());
    }

    #[test]
    fn a_preflight_from_elsewhere_permits_nothing() {
        let request = headers(&[
            ("origin", "https://evil.example"),
            ("access-control-request-method", "POST"),
        ]);

        let answer = preflight(&Method::OPTIONS, &request, &allow_list()).unwrap();

        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers().len(), 1);
    }
}
