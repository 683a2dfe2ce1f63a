//! The service as hyper sees it. While the server drains, its answers say that the connection closes; and what is under
//! way is counted.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use ::hyper::body::{Body, Frame, SizeHint};
use ::hyper::header::{CONNECTION, HeaderValue};
use ::hyper::service::Service;
use ::hyper::{Method, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;

/// What a connection and its answers know of each other.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) is_draining: Cell<bool>,
    /// How many requests came, and how many of them have no whole answer yet.
    requests: Cell<u64>,
    under_way: Cell<usize>,
    /// A part of an answer waits for room, as the stream says.
    is_held_up: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(is_held_up: Arc<AtomicBool>) -> Rc<Self> {
        Rc::new(Self {
            is_draining: Cell::default(),
            requests: Cell::default(),
            under_way: Cell::default(),
            is_held_up,
        })
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Whether something has been asked and not been answered to the last byte.
    pub(super) fn is_answering(&self) -> bool {
        self.under_way.get() > 0 || self.is_held_up.load(Ordering::Relaxed)
    }
}

/// A request, from its header to the last part of its answer.
struct UnderWay(Rc<Progress>);

impl UnderWay {
    fn new(progress: &Rc<Progress>) -> Self {
        progress.requests.set(progress.requests.get() + 1);
        progress.under_way.set(progress.under_way.get() + 1);
        Self(progress.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

#[derive(Debug)]
pub(super) struct Answering<T> {
    pub(super) service: T,
    pub(super) progress: Rc<Progress>,
}

impl<T, B, R> Service<Request<R>> for Answering<T>
where
    T: Service<Request<R>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<AnswerBody<B>>;
    type Error = T::Error;
    type Future = Answer<T::Future>;

    fn call(&self, request: Request<R>) -> Answer<T::Future> {
        // HTTP/2 has no such header, and a tunnel that the answer opens does not close with it.
        let can_close = request.version() <= Version::HTTP_11 && request.method() != Method::CONNECT;
        let under_way = Some(UnderWay::new(&self.progress));
        Answer { future: self.service.call(request), can_close, under_way }
    }
}

pin_project! {
    /// An answer on its way.
    pub(super) struct Answer<F> {
        #[pin]
        future: F,
        can_close: bool,
        // `None` once the answer is there.
        under_way: Option<UnderWay>,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<AnswerBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.future.poll(cx).map_ok(|response| {
            let under_way = this.under_way.take();
            // At the last moment: the client has to know before it sends the next request.
            let is_draining = under_way.as_ref().is_some_and(|under_way| under_way.0.is_draining.get());
            let (mut parts, body) = response.into_parts();
            if is_draining && *this.can_close && parts.status != StatusCode::SWITCHING_PROTOCOLS {
                parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Response::from_parts(parts, AnswerBody { body, under_way })
        })
    }
}

pin_project! {
    /// The body of an answer. hyper drops it when it has taken the last part.
    pub(super) struct AnswerBody<B> {
        #[pin]
        body: B,
        under_way: Option<UnderWay>,
    }
}

impl<B: Body> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
