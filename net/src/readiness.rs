//! The readiness of a socket, as its users see it.

/// The methods that every socket has that is read and written. `$inner` is the field that knows when it is ready, a
/// `Source` or a `ByteStream`. For the examples, `$setup` makes a `socket` and its `peer`, from which `$say` sends
/// `b"ping"`; `$read` is how the socket tries to read.
macro_rules! readiness_methods {
    ($socket:ident, $inner:ident, $setup:literal, $say:literal, $read:literal) => {
        impl $socket {
            /// Waits until something can be read, or reading would not block for another reason: the end, an error. It
            /// can be wrong: the operation tells.
            ///
            /// # Errors
            ///
            /// When the socket cannot be registered with this thread's runtime.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost: readiness stays until an operation blocks.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            #[doc = $say]
            /// let mut buffer = [0; 16];
            /// let count = loop {
            ///     socket.readable().await?;
            #[doc = concat!("    match socket.", $read, " {")]
            ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {} // it was wrong
            ///         result => break result?,
            ///     }
            /// };
            /// assert_eq!(&buffer[..count], b"ping");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub async fn readable(&self) -> std::io::Result<()> {
                self.$inner.ready($crate::Interest::READABLE).await.map(drop)
            }

            /// Waits until something can be written, or writing would not block for another reason: the peer is gone,
            /// an error. It can be wrong: the operation tells.
            ///
            /// # Errors
            ///
            /// When the socket cannot be registered with this thread's runtime.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost: readiness stays until an operation blocks.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// socket.writable().await?;
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub async fn writable(&self) -> std::io::Result<()> {
                self.$inner.ready($crate::Interest::WRITABLE).await.map(drop)
            }

            /// Waits for any of `interest`, and gives what of it was reported. Closed directions count as ready, since
            /// an operation would not block. It can be wrong: the operation tells.
            ///
            /// # Errors
            ///
            /// When the socket cannot be registered with this thread's runtime.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost: readiness stays until an operation blocks.
            ///
            /// # Examples
            ///
            /// ```
            /// use pollywog_net::Interest;
            ///
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let ready = socket.ready(Interest::READABLE | Interest::WRITABLE).await?;
            /// assert!(ready.is_writable(), "there is room at the start");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub async fn ready(&self, interest: $crate::Interest) -> std::io::Result<$crate::Ready> {
                self.$inner.ready(interest).await
            }

            /// As [`readable`](Self::readable), for hand-written futures. The waker of the task that polled reading
            /// last, by whichever `poll_*` method, is kept.
            ///
            /// # Errors
            ///
            /// When the socket cannot be registered with this thread's runtime.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            #[doc = $say]
            /// std::future::poll_fn(|cx| socket.poll_read_ready(cx)).await?;
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn poll_read_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.$inner.poll_ready(cx, $crate::Interest::READABLE, None).map_ok(drop)
            }

            /// As [`writable`](Self::writable), for hand-written futures. The waker of the task that polled writing
            /// last, by whichever `poll_*` method, is kept.
            ///
            /// # Errors
            ///
            /// When the socket cannot be registered with this thread's runtime.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// std::future::poll_fn(|cx| socket.poll_write_ready(cx)).await?;
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn poll_write_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<std::io::Result<()>> {
                self.$inner.poll_ready(cx, $crate::Interest::WRITABLE, None).map_ok(drop)
            }

            /// Runs an operation of your own on the descriptor, once. It must be one of `interest`, and give
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) exactly where the system did: the readiness is then used
            /// up, and waited for anew.
            ///
            /// # Errors
            ///
            /// Those of `operation`; and, without running it, `WouldBlock` when it is known that it would block, and one
            /// that says so when bytes come first that the `read_with` of a stream has left over.
            ///
            /// # Examples
            ///
            /// ```
            /// use pollywog_net::Interest;
            ///
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// socket.writable().await?;
            /// let count = socket.try_io(Interest::WRITABLE, || socket2::SockRef::from(&socket).send(b"pong"))?;
            /// assert_eq!(count, 4);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn try_io<R>(
                &self,
                interest: $crate::Interest,
                operation: impl FnOnce() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.$inner.try_io(interest, |_| operation().map($crate::source::Left::Maybe))
            }

            /// Runs an operation of your own on the descriptor whenever it is ready for `interest`, until it does not
            /// block. It must give [`WouldBlock`](std::io::ErrorKind::WouldBlock) exactly where the system did.
            ///
            /// # Errors
            ///
            /// Those of `operation`; when the socket cannot be registered with this thread's runtime; and when bytes come
            /// first that the `read_with` of a stream has left over.
            ///
            /// # Cancel safety
            ///
            /// `operation` runs in the poll that ends this, or it blocked: nothing of ours is lost.
            ///
            /// # Examples
            ///
            /// ```
            /// use pollywog_net::Interest;
            ///
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let send = || socket2::SockRef::from(&socket).send(b"pong");
            /// assert_eq!(socket.async_io(Interest::WRITABLE, send).await?, 4);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub async fn async_io<R>(
                &self,
                interest: $crate::Interest,
                mut operation: impl FnMut() -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.$inner.async_io(interest, |_| operation()).await
            }
        }
    };
}

pub(crate) use readiness_methods;
