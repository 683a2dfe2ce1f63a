//! The service as hyper sees it: while the server drains, its answers say that the connection closes.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ::hyper::header::{CONNECTION, HeaderValue};
use ::hyper::service::Service;
use ::hyper::{Method, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;

/// What a connection and its answers know of each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) is_draining: Cell<bool>,
    pub(super) has_served: Cell<bool>,
}

#[derive(Debug)]
pub(super) struct Answering<T> {
    pub(super) service: T,
    pub(super) progress: Rc<Progress>,
}

impl<T, B, R> Service<Request<R>> for Answering<T>
where
    T: Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = T::Error;
    type Future = Answer<T::Future>;

    fn call(&self, request: Request<R>) -> Answer<T::Future> {
        self.progress.has_served.set(true);
        // HTTP/2 has no such header, and a tunnel that the answer opens does not close with it.
        let can_close = request.version() <= Version::HTTP_11 && request.method() != Method::CONNECT;
        let progress = can_close.then(|| self.progress.clone());
        Answer { future: self.service.call(request), progress }
    }
}

pin_project! {
    /// An answer on its way.
    pub(super) struct Answer<F> {
        #[pin]
        future: F,
        progress: Option<Rc<Progress>>,
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = ready!(this.future.poll(cx));
        // At the last moment: the client has to know before it sends the next request.
        if let (Ok(response), Some(progress)) = (&mut answer, this.progress)
            && progress.is_draining.get()
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(answer)
    }
}
