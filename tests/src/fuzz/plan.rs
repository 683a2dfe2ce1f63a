//! What a case does, drawn.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use futures::poll;
use pollywog_net::{TcpListener, TcpStream};
use socket2::SockRef;

use super::case::{Case, Place};
use super::connection::Token;
use super::handle::Handle;
use super::lane::Lane;
use super::launch::{Report, Role, launch, launch_whole};
use super::reader::ReadPlan;
use super::stats::Happening;
use super::writer::{Ending, WritePlan};
use crate::net::Random;

/// A connection that was made by a runtime that is gone.
pub(super) fn connect(random: &mut Random) -> [TcpStream; 2] {
    // Many addresses: each has its own ports, and those of closed connections are not free for a while.
    let address = Ipv4Addr::new(127, 0, random.below(64) as u8, 1 + random.below(250) as u8);
    let (first, second) = (random.below(3) == 0, random.below(3) == 0);
    let pair = async {
        let listener = TcpListener::bind((address, 0)).await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        for (stream, waits) in [(&server, first), (&client, second)] {
            if waits {
                let _ = poll!(pin!(stream.readable()));
            }
        }
        Ok::<_, std::io::Error>([server, client])
    };
    let pair = pollywog_net::run(pair).expect("there are descriptors").expect("it connects");
    for stream in &pair {
        let socket = SockRef::from(stream);
        let size = |random: &mut Random| [0, 2, 4, 4, 8, 16][random.below(6)] << 10;
        let (send, receive) = (size(random), size(random));
        if send > 0 {
            socket.set_send_buffer_size(send).expect("a size is a hint");
        }
        if receive > 0 {
            socket.set_recv_buffer_size(receive).expect("a size is a hint");
        }
        stream.set_nodelay(random.below(4) > 0).expect("a new connection is there");
    }
    pair
}

/// How much a flow sends.
fn total(random: &mut Random) -> usize {
    match random.below(8) {
        0 => 0,
        1 => 1 + random.below(100),
        2..5 => 1 + random.below(10 << 10),
        _ => 1 + random.below(100 << 10),
    }
}

fn ending(random: &mut Random) -> Ending {
    match random.below(12) {
        0..3 => Ending::ShutDown,
        3..6 => Ending::Close,
        6..8 => Ending::Drop,
        8..10 => Ending::Forget,
        10 => Ending::Leave,
        _ => Ending::Cut,
    }
}

/// Draws what the tasks of a case do.
pub(super) struct Tasks<'a> {
    pub(super) case: &'a Arc<Case>,
    pub(super) random: &'a mut Random,
    pub(super) sender: Sender<Result<(), String>>,
    pub(super) launches: Vec<Box<dyn FnOnce()>>,
}

impl Tasks<'_> {
    fn lane(&mut self, name: &str, end: usize, place: Place) -> Lane {
        let number = self.case.add_lane(format!("end {end} {name}"));
        let random = Random::new(self.random.below(usize::MAX) as u64);
        Lane::new(self.case.clone(), end, number, place, random)
    }

    fn report(&self) -> Report {
        Report::new(&self.sender)
    }

    fn place(&mut self) -> Place {
        Place::Home(self.random.below(2))
    }

    /// What happens at `end`.
    pub(super) fn plan(&mut self, end: usize, stream: TcpStream) {
        let counters = &self.case.counters;
        let write_plan = WritePlan { total: total(self.random), ending: ending(self.random) };
        // The other end may send less.
        let leaves_at = (self.random.below(12) == 0).then(|| total(self.random));
        let read_plan = ReadPlan { leaves_at };
        let mut token = Token::new(&self.case.connection, end);
        let (place, other) = (self.place(), self.place());
        match self.random.below(6) {
            0 => {
                counters.happened(Happening::Whole);
                let lanes = [self.lane("reads", end, place), self.lane("writes", end, place)];
                let (plans, report) = ((read_plan, write_plan), self.report());
                self.launches.push(Box::new(move || launch_whole(lanes, stream, token, plans, report)));
            }
            1 => {
                counters.happened(Happening::Halves);
                let (reader, writer) = stream.into_split();
                let reading = self.lane("reads", end, place);
                let writing = self.lane("writes", end, other);
                let reports = [self.report(), self.report()];
                let reads = Token::new(&self.case.connection, end);
                token.ends_writing = true;
                self.launches.push(Box::new(move || {
                    let [first, second] = reports;
                    launch(reading, Handle::OwnedReadHalf(reader), reads, Role::Read(read_plan), first);
                    launch(writing, Handle::OwnedWriteHalf(writer), token, Role::Write(write_plan), second);
                }));
            }
            _ => {
                let stream = Arc::new(stream);
                let add = |tasks: &mut Self, mut lane: Lane, role, second| {
                    lane.is_second = second;
                    let token = Token::new(&tasks.case.connection, end);
                    let (handle, report) = (Handle::Shared(stream.clone()), tasks.report());
                    tasks.launches.push(Box::new(move || launch(lane, handle, token, role, report)));
                };
                let (two_readers, two_writers) = (self.random.below(4) == 0, self.random.below(4) == 0);
                if two_readers {
                    counters.happened(Happening::TwoReaders);
                    self.case.connection.incoming(end).two_readers();
                    let place = self.place();
                    let lane = self.lane("reads as well", end, place);
                    let plan = ReadPlan { leaves_at: None };
                    add(self, lane, Role::Read(plan), true);
                }
                if two_writers {
                    counters.happened(Happening::TwoWriters);
                    self.case.connection.outgoing(end).two_writers();
                    let place = self.place();
                    let lane = self.lane("writes as well", end, place);
                    add(self, lane, Role::Write(WritePlan { ..write_plan }), true);
                }
                counters.happened(Happening::Shared);
                let lane = self.lane("reads", end, place);
                add(self, lane, Role::Read(read_plan), false);
                let lane = self.lane("writes", end, other);
                add(self, lane, Role::Write(write_plan), false);
                drop(token);
                drop(stream);
            }
        }
    }
}
