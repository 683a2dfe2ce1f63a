//! Reads of connected streams, dropped at every poll: not a byte is lost, none comes twice.

use std::cell::Cell;
use std::io::Write;

use pollywog_net::{TcpStream, UnixStream};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::net::{arrived_bytes, run, with_peer};

/// A stream, and its other end as a blocking socket of std.
async fn unix_with_peer() -> (UnixStream, std::os::unix::net::UnixStream) {
    let (stream, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    (UnixStream::from_std(stream).unwrap(), peer)
}

/// What a `read_with` before has left over.
#[derive(Clone, Copy)]
enum Leftover {
    Nothing,
    /// `old `, of a message that is not whole.
    Part,
    /// `old `, behind a message that was consumed.
    Behind,
}

use Leftover::{Behind, Nothing, Part};

impl Leftover {
    const ALL: [Self; 3] = [Nothing, Part, Behind];

    fn bytes(self) -> &'static [u8] {
        if matches!(self, Nothing) { b"" } else { b"old " }
    }
}

/// The tests of one type of streams, made by `$ends`.
macro_rules! tests {
    ($module:ident, $stream:ident, $ends:ident) => {
        mod $module {
            use super::*;

            pub(super) async fn leave(stream: &$stream, mut peer: impl Write, leftover: Leftover) {
                let (sent, consumed): (&[u8], _) = match leftover {
                    Nothing => return,
                    Part => (b"old ", 0),
                    Behind => (b"-old ", 1),
                };
                peer.write_all(sent).unwrap();
                arrived_bytes(stream, sent.len());
                stream.read_with(|bytes| (consumed, assert_eq!(bytes, sent))).await.unwrap();
            }

            /// What is still to come, with the end said now.
            pub(super) async fn rest_of(stream: &$stream, peer: impl Write) -> Vec<u8> {
                drop(peer);
                let mut bytes = Vec::new();
                while stream.read_buf(&mut bytes).await.unwrap() > 0 {}
                bytes
            }

            #[test]
            fn read_buf() {
                run(at_every_poll(async |cut| {
                    for leftover in Leftover::ALL {
                        let (stream, mut peer) = $ends().await;
                        leave(&stream, &peer, leftover).await;
                        let mut got = b"mine: ".to_vec();
                        let read = cut.apply(stream.read_buf(&mut got), || peer.write_all(b"bytes").unwrap()).await;
                        assert_eq!(got.len(), 6 + read.map_or(0, Result::unwrap), "what it says");
                        peer.write_all(b" after").unwrap();
                        got.extend(rest_of(&stream, peer).await);
                        assert_eq!(got, [b"mine: ", leftover.bytes(), b"bytes after"].concat());
                    }
                }));
            }

            #[test]
            fn read_with() {
                run(at_every_poll(async |cut| {
                    for (leftover, consumes) in
                        Leftover::ALL.into_iter().flat_map(|left| [(left, 0), (left, 2), (left, 99)])
                    {
                        let (stream, mut peer) = $ends().await;
                        leave(&stream, &peer, leftover).await;
                        let lent = Cell::new(None);
                        let reading = stream.read_with(|bytes| {
                            let (consumed, rest) = bytes.split_at(consumes.min(bytes.len()));
                            lent.set(Some((consumed.to_vec(), rest.to_vec())));
                            (consumed.len(), ())
                        });
                        let read = cut.apply(reading, || peer.write_all(b"bytes").unwrap()).await;
                        let lent = lent.take();
                        assert_eq!(
                            read.map(Result::unwrap),
                            lent.is_some().then_some(Some(())),
                            "lent where it is ready"
                        );
                        let (mut got, rest) = lent.unwrap_or_default();
                        peer.write_all(b" after").unwrap();
                        let more = rest_of(&stream, peer).await;
                        assert!(more.starts_with(&rest), "what is not consumed comes again");
                        got.extend(more);
                        assert_eq!(got, [leftover.bytes(), b"bytes after"].concat());
                    }
                }));
            }
        }
    };
}

tests!(tcp, TcpStream, with_peer);
tests!(unix, UnixStream, unix_with_peer);

#[test]
fn peek() {
    run(at_every_poll(async |cut| {
        for leftover in Leftover::ALL {
            let (stream, mut peer) = with_peer().await;
            tcp::leave(&stream, &peer, leftover).await;
            let all = [leftover.bytes(), b"bytes after"].concat();
            let mut buffer = [0; 16];
            let peeked = cut.apply(stream.peek(&mut buffer), || peer.write_all(b"bytes").unwrap()).await;
            let count = peeked.map_or(0, Result::unwrap);
            assert_eq!(buffer[..count], all[..count]);
            peer.write_all(b" after").unwrap();
            assert_eq!(tcp::rest_of(&stream, peer).await, all);
        }
    }));
}
