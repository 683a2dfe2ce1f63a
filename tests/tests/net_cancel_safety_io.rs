//! What is made of streams and files, dropped at every poll: frames stay whole; what is not cancel safe loses what it
//! says, and no more.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Peer;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::pin::pin;
use std::time::Instant;

use futures::{AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt, poll};
use pollywog_net::codec::{Framed, LinesCodec};
use pollywog_net::io::copy_bidirectional;
use pollywog_net::{TcpStream, fs};
use pollywog_tests::cancel::at_every_poll;
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{LIMIT, arrived_bytes, fill, finish, run, turns, with_peer};
use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::SockRef;

#[test]
fn waiting_for_a_frame() {
    run(at_every_poll(async |cut| {
        let (stream, mut peer) = with_peer().await;
        let mut lines = Framed::new(stream, LinesCodec);
        peer.write_all(b"fir").unwrap();
        let next = cut.apply_polling(lines.next(), || peer.write_all(b"st\nsecond\nthi").unwrap()).await;
        peer.write_all(b"rd\n").unwrap();
        drop(peer);
        let mut got: Vec<_> = next.flatten().into_iter().map(Result::unwrap).collect();
        got.extend(lines.map(Result::unwrap).collect::<Vec<_>>().await);
        assert_eq!(got, ["first\n", "second\n", "third\n"]);
    }));
}

/// The frame is taken where the buffer has room for it, and otherwise not.
#[test]
fn sending_a_frame() {
    run(at_every_poll(async |cut| {
        for has_room in [true, false] {
            let (stream, mut peer) = with_peer().await;
            let filled = fill(&stream);
            let mut lines = Framed::new(stream, LinesCodec);
            lines.feed("kept\n".to_owned()).await.unwrap();
            if !has_room {
                lines.set_send_high_water_mark(1);
            }
            let come = || peer.read_exact(&mut vec![0; filled]).unwrap();
            let sent = cut.apply_polling(lines.send("sent\n".to_owned()), come).await;
            let is_sent = sent.map(Result::unwrap).is_some();
            lines.flush().await.unwrap();
            lines.send("last\n".to_owned()).await.unwrap();
            drop(lines);
            let mut text = String::new();
            peer.read_to_string(&mut text).unwrap();
            match &*text {
                "kept\nsent\nlast\n" => {}
                "kept\nlast\n" => assert!(!is_sent),
                _ => panic!("{text:?}"),
            }
        }
    }));
}

/// A stream that has been told nothing: neither the end nor an error.
fn assert_open(peer: &Peer) {
    let mut fds = [PollFd::new(peer, PollFlags::RDHUP)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&at_once)).unwrap(), 0, "{:?}", fds[0].revents());
}

#[test]
fn copying_both_ways_with_little_to_copy() {
    run(at_every_poll(async |cut| {
        let ((mut before, client), (mut behind, server)) = (with_peer().await, with_peer().await);
        (&client).write_all(b"question").unwrap();
        (&server).write_all(b"answer").unwrap();
        arrived_bytes(&before, 8);
        arrived_bytes(&behind, 6);
        let come = || [&client, &server].into_iter().for_each(finish);
        match cut.apply_polling(copy_bidirectional(&mut before, &mut behind), come).await {
            Some(counts) => {
                assert_eq!(counts.unwrap(), (8, 6));
                drop((before, behind));
                for (mut peer, expected) in [(server, "question"), (client, "answer")] {
                    let mut text = String::new();
                    peer.read_to_string(&mut text).unwrap();
                    assert_eq!(text, expected);
                }
            }
            None => {
                assert_open(&client);
                assert_open(&server);
                // There was room, so nothing was between the two: it is here or there.
                for (mut reader, mut writer, mut peer, all) in
                    [(&before, &behind, server, "question"), (&behind, &before, client, "answer")]
                {
                    let mut text = String::new();
                    reader.read_to_string(&mut text).await.unwrap();
                    writer.write_all(text.as_bytes()).await.unwrap();
                    writer.close().await.unwrap();
                    text.clear();
                    peer.read_to_string(&mut text).unwrap();
                    assert_eq!(text, all);
                }
            }
        }
    }));
}

#[test]
fn copying_loses_what_was_read_and_not_written() {
    /// What the copying keeps for each direction.
    const MOST: usize = 64 << 10;
    run(async {
        let mut most_lost = 0;
        for polls in 0..8 {
            let ((mut before, client), (mut behind, mut server)) = (with_peer().await, with_peer().await);
            SockRef::from(&behind).set_send_buffer_size(4096).unwrap();
            let sent: Vec<u8> = (0..1_000_000_usize).map(|number| (number % 251) as u8).collect();
            let sending = std::thread::spawn({
                let sent = sent.clone();
                move || {
                    (&client).write_all(&sent).unwrap();
                    client
                }
            });
            let (mut got, queue) = (Vec::new(), before.as_fd().try_clone_to_owned().unwrap());
            arrived_bytes(&queue, 30_000);
            {
                let mut copying = pin!(copy_bidirectional(&mut before, &mut behind));
                for poll in 0..polls {
                    assert!(poll!(copying.as_mut()).is_pending());
                    // What comes through goes on.
                    if poll > 0 {
                        let mut part = [0; 3000];
                        let count = server.read(&mut part).unwrap();
                        got.extend_from_slice(&part[..count]);
                    }
                    arrived_bytes(&queue, 1);
                    turns(1).await;
                }
            }
            assert_open(&server);
            // Both go on as if nobody had copied.
            (&behind).write_all(b"after").await.unwrap();
            drop(behind);
            server.read_to_end(&mut got).unwrap();
            assert!(got.ends_with(b"after"));
            got.truncate(got.len() - 5);
            let rest = sent.len() - got.len() - rest_of(&before, sending, &sent).await;
            assert!(sent.starts_with(&got), "in order");
            assert!(rest <= MOST, "{rest} bytes lost");
            assert!(polls > 0 || rest == 0);
            most_lost = most_lost.max(rest);
        }
        assert!(most_lost > 0, "it waited for room at least once");
    });
}

/// The number of bytes that are left to read, which are the last of `sent`.
async fn rest_of(mut before: &TcpStream, sending: std::thread::JoinHandle<Peer>, sent: &[u8]) -> usize {
    let mut rest = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    // The client ends when it has sent everything, which needs somebody who reads.
    while !sending.is_finished() {
        if let Ok(count) = before.try_read(&mut buffer) {
            rest.extend_from_slice(&buffer[..count]);
        }
        turns(1).await;
    }
    let client = sending.join().unwrap();
    assert_open(&client);
    drop(client);
    before.read_to_end(&mut rest).await.unwrap();
    assert!(sent.ends_with(&rest), "in order");
    rest.len()
}

/// Reading a pipe waits for a writer, on a thread, and goes on when nobody waits for the result any more.
#[test]
fn what_a_thread_has_begun_with_a_file_goes_on() {
    let folder = Folder::new();
    run(async {
        for polls in 1..4 {
            let path = folder.file(&format!("pipe-{polls}"));
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            let mut reading = Box::pin(fs::read(&path));
            for _ in 0..polls {
                assert!(poll!(reading.as_mut()).is_pending());
                turns(1).await;
            }
            let start = Instant::now();
            let mut writer = loop {
                // Without a reader there is no opening it that does not block.
                let at_once = rustix::fs::OFlags::NONBLOCK.bits() as i32;
                let open = OpenOptions::new().write(true).custom_flags(at_once).open(&path);
                match open {
                    Ok(writer) => break writer,
                    Err(error) => assert_eq!(error.raw_os_error(), Some(6), "ENXIO: {error}"),
                }
                assert!(start.elapsed() < LIMIT, "it is not begun");
                turns(1).await;
            };
            drop(reading);
            writer.write_all(b"nobody hears of it").unwrap();
            while rustix::io::ioctl_fionread(&writer).unwrap() > 0 {
                turns(1).await;
            }
        }
        let never = folder.file("never");
        drop(fs::write(&never, b"text"));
        assert_eq!(fs::read(&never).await.unwrap_err().kind(), ErrorKind::NotFound, "it was not polled");
    });
}
