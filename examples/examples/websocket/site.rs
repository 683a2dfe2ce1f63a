//! HTTP: the page, and who may open a WebSocket.

use std::cell::Cell;

use async_tungstenite::tungstenite::Error;
use async_tungstenite::tungstenite::error::ProtocolError;
use async_tungstenite::tungstenite::handshake::server::create_response_with_body;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};

type Answer = Response<Full<Bytes>>;

/// Nothing of another host, and no script but the page's own: what a member writes is text, and this holds if the page
/// should ever forget that.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Answers a request. One that opens a WebSocket leaves what it becomes in `upgrade`.
pub(crate) fn answer(request: Request<Incoming>, upgrade: &Cell<Option<OnUpgrade>>) -> Answer {
    let path = request.uri().path();
    if !["/", "/page.css", "/page.js", "/ws"].contains(&path) {
        return text(StatusCode::NOT_FOUND, "there is / and /ws\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET is all that there is\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match path {
        "/page.css" => file("text/css; charset=utf-8", include_str!("page.css")),
        "/page.js" => file("text/javascript; charset=utf-8", include_str!("page.js")),
        "/ws" => websocket(request, upgrade),
        _ => file("text/html; charset=utf-8", include_str!("page.html")),
    }
}

fn websocket(request: Request<Incoming>, upgrade: &Cell<Option<OnUpgrade>>) -> Answer {
    if !is_of_this_site(&request) {
        return text(StatusCode::FORBIDDEN, "pages of other sites may not open this WebSocket\n");
    }
    match create_response_with_body(&request, Full::default) {
        Ok(answer) => {
            upgrade.set(Some(hyper::upgrade::on(request)));
            answer
        }
        Err(Error::Protocol(ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey)) => {
            text(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64\n")
        }
        Err(error) => {
            let mut answer = text(StatusCode::UPGRADE_REQUIRED, &format!("this is a WebSocket: {error}\n"));
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            answer
        }
    }
}

/// A page of any site can open a WebSocket to any other, in the name of whoever looks at it, and the browser leaves it to
/// the server to object. Programs that are no browsers send no Origin, and could send any.
fn is_of_this_site(request: &Request<Incoming>) -> bool {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let Some(origin) = header(ORIGIN) else { return true };
    let host = header(HOST).unwrap_or_default();
    // The scheme may be another: that of a proxy in front of this.
    origin
        .strip_prefix(b"http://")
        .or(origin.strip_prefix(b"https://"))
        .is_some_and(|site| site.eq_ignore_ascii_case(host))
}

fn file(kind: &'static str, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(text.to_owned()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
