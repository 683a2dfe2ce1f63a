//! Tasks on their way through the threads.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::task::Poll;

use pollywog_net::TcpStream;

use super::connection::Token;
use super::handle::Handle;
use super::lane::{Exit, Lane};
use super::reader::ReadPlan;
use super::stats::Happening;
use super::writer::WritePlan;

/// Tells how a task has ended, also where it panics.
pub(super) struct Report(Option<Sender<Result<(), String>>>);

impl Report {
    pub(super) fn new(sender: &Sender<Result<(), String>>) -> Self {
        Self(Some(sender.clone()))
    }

    fn tell(mut self, result: Result<(), String>) {
        if let Some(sender) = self.0.take() {
            // Nobody listens any more when another task has failed.
            let _ = sender.send(result);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err("a task panicked or was lost".to_owned()));
        }
    }
}

/// What a lane is for.
#[derive(Debug)]
pub(super) enum Role {
    Read(ReadPlan),
    Write(WritePlan),
}

/// Runs a lane until it ends, on whichever threads.
pub(super) fn launch(mut lane: Lane, mut handle: Handle<'static>, token: Token, role: Role, report: Report) {
    let (case, place) = (lane.case.clone(), lane.place);
    case.run_at(
        place,
        Box::pin(async move {
            let mut token = Some(token);
            let exit = match &role {
                Role::Read(plan) => lane.read(&mut handle, plan).await,
                Role::Write(plan) => lane.write(&mut handle, &mut token, plan).await,
            };
            match (exit, token) {
                (Ok(Exit::Move(place)), Some(token)) => {
                    lane.go(place);
                    launch(lane, handle, token, role, report);
                }
                (Ok(_), token) => {
                    let shuts_down = token.as_ref().is_some_and(|token| token.ends_writing);
                    drop(token);
                    match handle {
                        Handle::OwnedWriteHalf(half) if !shuts_down => half.forget(),
                        handle => drop(handle),
                    }
                    report.tell(Ok(()));
                }
                (Err(error), _) => report.tell(Err(error)),
            }
        }),
    );
}

/// Runs both lanes of an end in one task, which owns the stream.
pub(super) fn launch_whole(
    mut lanes: [Lane; 2],
    stream: TcpStream,
    token: Token,
    plans: (ReadPlan, WritePlan),
    report: Report,
) {
    let (case, place) = (lanes[0].case.clone(), lanes[0].place);
    case.run_at(
        place,
        Box::pin(async move {
            match share(&mut lanes, &plans, stream).await {
                Ok((Exit::Move(place), stream)) => {
                    lanes.iter_mut().for_each(|lane| lane.go(place));
                    launch_whole(lanes, stream, token, plans, report);
                }
                Ok((_, stream)) => {
                    drop(token);
                    drop(stream);
                    report.tell(Ok(()));
                }
                Err(error) => report.tell(Err(error)),
            }
        }),
    );
}

/// Lets both lanes have the stream, in one way or another, until both are done or one of them wants to go elsewhere.
async fn share(
    lanes: &mut [Lane; 2],
    plans: &(ReadPlan, WritePlan),
    mut stream: TcpStream,
) -> Result<(Exit, TcpStream), String> {
    let case = lanes[0].case.clone();
    let form = lanes[0].random.below(4);
    if form == 0 && case.connection.incoming(lanes[0].end).left() == 0 {
        case.counters.happened(Happening::ThroughStd);
        stream = stream.into_std().and_then(TcpStream::from_std).map_err(|error| format!("through std: {error}"))?;
    }
    if form == 1 {
        case.counters.happened(Happening::Reunited);
        let (reader, writer) = stream.into_split();
        let (mut reader, mut writer) = (Handle::OwnedReadHalf(reader), Handle::OwnedWriteHalf(writer));
        let exit = both(lanes, plans, &mut reader, &mut writer).await?;
        let (Handle::OwnedReadHalf(reader), Handle::OwnedWriteHalf(writer)) = (reader, writer) else { unreachable!() };
        return Ok((exit, reader.reunite(writer).map_err(|error| error.to_string())?));
    }
    let exit = if form == 2 {
        let (reader, writer) = stream.split();
        both(lanes, plans, &mut Handle::ReadHalf(reader), &mut Handle::WriteHalf(writer)).await?
    } else {
        both(lanes, plans, &mut Handle::Borrowed(&stream), &mut Handle::Borrowed(&stream)).await?
    };
    Ok((exit, stream))
}

async fn both(
    [reading, writing]: &mut [Lane; 2],
    plans: &(ReadPlan, WritePlan),
    reader: &mut Handle<'_>,
    writer: &mut Handle<'_>,
) -> Result<Exit, String> {
    let mut no_token = None;
    let mut read = pin!(reading.read(reader, &plans.0));
    let mut write = pin!(writing.write(writer, &mut no_token, &plans.1));
    let mut done = [false; 2];
    poll_fn(|cx| {
        for (index, is_done) in done.iter_mut().enumerate().filter(|(_, is_done)| !**is_done) {
            let poll = if index == 0 { read.as_mut().poll(cx) } else { write.as_mut().poll(cx) };
            match poll {
                Poll::Ready(Ok(Exit::Done)) => *is_done = true,
                Poll::Ready(exit) => return Poll::Ready(exit),
                Poll::Pending => {}
            }
        }
        if done == [true; 2] { Poll::Ready(Ok(Exit::Done)) } else { Poll::Pending }
    })
    .await
}
