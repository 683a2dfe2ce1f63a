//! A stream of bytes, as its users see it.

/// The methods and traits that every connected stream has. Its field `stream` is the `ByteStream`. For the examples,
/// `$setup` makes a `stream` and its `peer`, both of the type, mutable where need be.
macro_rules! stream_methods {
    ($stream:ident, $setup:literal) => {
        impl $stream {
            /// Reads what is there, and gives the number of bytes; zero is the end of the stream.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) when nothing is there: await
            /// [`readable`](Self::readable) then.
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let mut buffer = [0; 16];
            /// assert_eq!(stream.try_read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            /// peer.write_all(b"ping").await?;
            /// stream.readable().await?;
            /// assert_eq!(stream.try_read(&mut buffer)?, 4);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buffer)
            }

            /// As [`try_read`](Self::try_read), filling one buffer after the other.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// use std::io::IoSliceMut;
            ///
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// peer.write_all(b"headbody").await?;
            /// stream.readable().await?;
            /// let (mut head, mut body) = ([0; 4], [0; 16]);
            /// let buffers = &mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
            /// assert_eq!(stream.try_read_vectored(buffers)?, 8);
            /// assert_eq!((&head, &body[..4]), (b"head", &b"body"[..]));
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream.try_read_vectored(buffers)
            }

            /// As [`try_read`](Self::try_read), behind what `buffer` holds: into its spare capacity, which need not be
            /// set to anything before. A full vector grows.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// peer.write_all(b"ping").await?;
            /// stream.readable().await?;
            /// let mut buffer = b"they said: ".to_vec();
            /// assert_eq!(stream.try_read_buf(&mut buffer)?, 4);
            /// assert_eq!(buffer, b"they said: ping");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            #[cfg(feature = "rustix")]
            pub fn try_read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
                self.stream.try_read_buf(buffer)
            }

            /// Waits for bytes and reads them behind what `buffer` holds: into its spare capacity, which need not be set
            /// to anything before. A full vector grows. Zero is the end of the stream.
            ///
            /// # Errors
            ///
            /// Those of reading.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost: bytes are read only in the poll that gives their number.
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// peer.write_all(b"ping").await?;
            /// peer.close().await?;
            /// let mut buffer = Vec::new();
            /// while stream.read_buf(&mut buffer).await? > 0 {}
            /// assert_eq!(buffer, b"ping");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            #[cfg(feature = "rustix")]
            pub async fn read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
                let waiter = $crate::waiter::Waiter::new($crate::sources::Direction::Read);
                std::future::poll_fn(|cx| self.stream.poll_read_buf(cx, &waiter, buffer)).await
            }

            /// Writes what the socket's buffer has room for, and gives the number of bytes.
            ///
            /// # Errors
            ///
            /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) when there is no room: await
            /// [`writable`](Self::writable) then.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// stream.writable().await?;
            /// assert_eq!(stream.try_write(b"ping")?, 4);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
                self.stream.try_write(buffer)
            }

            /// As [`try_write`](Self::try_write), with one buffer after the other.
            ///
            /// # Errors
            ///
            /// As [`try_write`](Self::try_write).
            ///
            /// # Examples
            ///
            /// ```
            /// use std::io::IoSlice;
            ///
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// stream.writable().await?;
            /// assert_eq!(stream.try_write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")])?, 8);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream.try_write_vectored(buffers)
            }

            /// Waits for bytes and lends them to `borrow`, which says how many of them it consumed and what it made of them.
            /// `None` is the end of the stream.
            ///
            /// The bytes lie in a buffer of the reactor (64 KiB), shared by every connection of the thread: an idle connection
            /// has no buffer at all, and a busy server works in warm memory. What is not consumed is kept, and stands at the
            /// front next time: at once if something was consumed (there may be another message), together with new bytes if
            /// nothing was (the message is not whole). It is also what other reads get first. At the end of the stream an
            /// unfinished message is left to those.
            ///
            /// What is left over can grow with every call that consumes nothing: give up on a message that is too long.
            ///
            /// # Errors
            ///
            /// Those of reading, and when no Pollywog runtime runs on this thread.
            ///
            /// # Panics
            ///
            /// When `borrow` says that it consumed more than it was lent. A panic of `borrow` loses what it was lent.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost: bytes are read only in the poll that lends them.
            ///
            /// # Examples
            ///
            /// One line at a time:
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let line = async || loop {
            ///     let line = stream.read_with(|bytes| match bytes.iter().position(|byte| *byte == b'\n') {
            ///         Some(end) => (end + 1, Some(String::from_utf8_lossy(&bytes[..end]).into_owned())),
            ///         None => (0, None),
            ///     });
            ///     match line.await? {
            ///         None => break std::io::Result::Ok(None), // the end
            ///         Some(None) => {} // not a whole line yet
            ///         Some(line) => break Ok(line),
            ///     }
            /// };
            /// peer.write_all(b"one\ntwo\nthr").await?;
            /// assert_eq!(line().await?.as_deref(), Some("one"));
            /// assert_eq!(line().await?.as_deref(), Some("two"));
            /// peer.write_all(b"ee\n").await?;
            /// assert_eq!(line().await?.as_deref(), Some("three"));
            /// peer.close().await?;
            /// assert_eq!(line().await?, None);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn read_with<R>(
                &self,
                borrow: impl FnOnce(&[u8]) -> (usize, R),
            ) -> impl Future<Output = io::Result<Option<R>>> {
                self.stream.read_with(borrow)
            }

            /// As [`read_with`](Self::read_with), for a future written by hand. Where the answer is `Pending`, `borrow` was not
            /// called, and the latest waker is woken when bytes come.
            ///
            /// # Errors
            ///
            /// As [`read_with`](Self::read_with).
            ///
            /// # Panics
            ///
            /// As [`read_with`](Self::read_with).
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncWriteExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// peer.write_all(b"ping").await?;
            /// let lend = |bytes: &[u8]| (bytes.len(), bytes.to_vec());
            /// let bytes = std::future::poll_fn(|cx| stream.poll_read_with(cx, lend)).await?;
            /// assert_eq!(bytes.as_deref(), Some(&b"ping"[..]));
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            #[inline]
            pub fn poll_read_with<R>(
                &self,
                cx: &mut Context<'_>,
                borrow: impl FnOnce(&[u8]) -> (usize, R),
            ) -> Poll<io::Result<Option<R>>> {
                self.stream.poll_read_with(cx, None, borrow)
            }

            /// Closes one direction or both. A reader that waits on this side then gets what stands in the queue and
            /// the end; the peer's reader gets the end after what was written.
            ///
            /// # Errors
            ///
            /// When the connection is gone.
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::AsyncReadExt;
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// stream.shutdown(std::net::Shutdown::Write)?;
            /// assert_eq!(peer.read(&mut [0; 16]).await?, 0, "the end");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.stream.shutdown(how)
            }

            /// The error that waits on the socket, which this clears.
            ///
            /// # Errors
            ///
            /// When the system does not say.
            ///
            /// # Examples
            ///
            /// ```
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// assert!(stream.take_error()?.is_none());
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.stream.io().take_error()
            }

            /// Splits it into two borrowed halves, to read and write in one task at once.
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::{AsyncReadExt, AsyncWriteExt};
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let (mut reader, mut writer) = stream.split();
            /// let mut buffer = [0; 4];
            /// let (read, written) = futures::join!(reader.read_exact(&mut buffer), async {
            ///     writer.write_all(b"ping").await?;
            ///     peer.write_all(b"pong").await
            /// });
            /// read.and(written)?;
            /// assert_eq!(&buffer, b"pong");
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn split(&mut self) -> (ReadHalf<'_, Self>, WriteHalf<'_, Self>) {
                $crate::split::halves(self)
            }

            /// Splits it into two halves that can go to different tasks. The connection closes when both are dropped;
            /// dropping the write half says 'end' to the peer.
            ///
            /// # Examples
            ///
            /// ```
            /// # use futures::{AsyncReadExt, AsyncWriteExt};
            /// # pollywog_net::run(async {
            #[doc = $setup]
            /// let (reader, mut writer) = stream.into_split();
            /// let task = pollywog_net::spawn(async move { writer.write_all(b"ping").await });
            /// let mut text = String::new();
            /// peer.read_to_string(&mut text).await?; // to the end: the half is dropped
            /// assert_eq!(text, "ping");
            /// # task.await.unwrap()?; drop(reader);
            /// # std::io::Result::Ok(()) })??; Ok::<_, std::io::Error>(())
            /// ```
            pub fn into_split(self) -> (OwnedReadHalf<Self>, OwnedWriteHalf<Self>) {
                $crate::split::owned_halves(self)
            }
        }

        impl HalfClose for $stream {
            fn half_close(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }
        }

        $crate::stream_methods::io_traits!($stream, &$stream);

        impl AsFd for $stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.stream.source.as_fd()
            }
        }

        impl AsRawFd for $stream {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }

        impl fmt::Debug for $stream {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.stream.source.fmt(f)
            }
        }
    };
}

macro_rules! io_traits {
    ($($stream:ty),+) => {$(
        impl AsyncRead for $stream {
            #[inline]
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                self.stream.poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_read_vectored(cx, buffers)
            }
        }

        impl AsyncWrite for $stream {
            #[inline]
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
                self.stream.poll_write(cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_write_vectored(cx, buffers)
            }

            /// Ready at once: nothing is buffered here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts down writing. Reading goes on.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.stream.close())
            }
        }
    )+};
}

pub(crate) use io_traits;
pub(crate) use stream_methods;
