//! Answers of HTTP.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

/// The body of an answer, whatever it is made of.
pub type HttpBody = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is there at once.
pub fn full(bytes: impl Into<Bytes>) -> HttpBody {
    let never = |error: Infallible| match error {};
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// An answer in one line of text.
pub fn text(status: StatusCode, line: &str) -> Response<HttpBody> {
    let mut response = Response::new(full(format!("{line}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Too much is under way. Whoever asks again in a second may have more luck.
pub fn busy(line: &str) -> Response<HttpBody> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, line);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// An answer in JSON.
pub fn json(value: &impl serde::Serialize) -> Response<HttpBody> {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(full(bytes));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}
