//! Walks one page: its commands, in order, each in its terminal.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::chapter::{Kind, pieces};
use crate::console::{Line, lines};
use crate::fault::Fault;
use crate::fence::{Console, Fence};
use crate::matching::matches;
use crate::walk::terminal::{Next, Terminal};
use crate::workspace::Workspace;

/// What came of a walk.
#[derive(Debug, Default)]
pub struct Walked {
    /// How many commands ran.
    pub commands: usize,
    /// Where a page shows commands that nothing runs, and why.
    pub unwalked: Vec<Fault>,
    /// Where a page shows something else than what came.
    pub faults: Vec<Fault>,
}

/// Runs the commands of `page`, a file of the book's text, right where the workspace is.
///
/// # Errors
///
/// When the page cannot be read, or no process can be started.
pub fn walk_page(workspace: &Workspace, page: &str) -> io::Result<Walked> {
    let text = fs::read_to_string(workspace.text().join(page))?;
    let mut walk = Walk {
        root: workspace.root(),
        page,
        walked: Walked::default(),
        terminals: BTreeMap::new(),
        line: 0,
        stopped: false,
    };
    for piece in pieces(&text) {
        let Kind::Fence { info, body } = &piece.kind else { continue };
        // What is no kind of fence is the build's to tell.
        let Ok(Fence::Console(console)) = Fence::parse(info) else { continue };
        let line = text[..piece.range.start].matches('\n').count() + 1;
        if let Some(reason) = &console.unwalked {
            walk.walked.unwalked.push(Fault::new(format!("book/src/{page}:{line}"), reason.as_str()));
        } else if !walk.stopped {
            walk.fence(&console, body, line)?;
        }
    }
    walk.end()?;
    Ok(walk.walked)
}

/// A terminal, and what the page has shown of its command.
struct Seat {
    terminal: Terminal,
    /// Where the page has the command.
    line: usize,
    command: String,
    /// Whether the page shows anything of what it prints.
    shows: bool,
    /// Whether more lines may come than the page shows.
    any: bool,
    interrupted: bool,
}

struct Walk<'a> {
    root: &'a Path,
    page: &'a str,
    walked: Walked,
    terminals: BTreeMap<String, Seat>,
    /// The line of the page.
    line: usize,
    /// Whether something came too late: what follows would be late as well.
    stopped: bool,
}

impl Walk<'_> {
    fn fault(&mut self, line: usize, what: String) {
        self.walked.faults.push(Fault::new(format!("book/src/{}:{line}", self.page), what));
    }

    fn fence(&mut self, console: &Console, body: &str, line: usize) -> io::Result<()> {
        let mut seat = match self.terminals.remove(&console.terminal) {
            Some(seat) => seat,
            None => {
                let terminal = Terminal::new(self.root)?;
                Seat { terminal, line, command: String::new(), shows: false, any: false, interrupted: false }
            }
        };
        let mut goes_on = true;
        for (at, shown) in lines(body) {
            self.line = line + 1 + at;
            goes_on = self.step(&mut seat, &shown, console.numbers, goes_on)?;
            if self.stopped {
                break;
            }
        }
        if !goes_on && !self.stopped {
            self.finish(&mut seat)?;
        }
        self.terminals.insert(console.terminal.clone(), seat);
        Ok(())
    }

    /// One line of a fence. Tells whether the command may go on when the fence ends here.
    fn step(&mut self, seat: &mut Seat, shown: &Line, numbers: bool, goes_on: bool) -> io::Result<bool> {
        let line = self.line;
        match shown {
            Line::Command(command) => {
                self.finish(seat)?;
                if self.stopped {
                    return Ok(false);
                }
                self.walked.commands += 1;
                seat.terminal.start(command)?;
                (seat.line, seat.command) = (line, command.clone());
                (seat.shows, seat.any, seat.interrupted) = (false, false, false);
                return Ok(false);
            }
            Line::Typed(words) if !seat.terminal.type_line(words) => {
                self.fault(line, format!("nothing reads the line '{words}'"));
            }
            Line::End if !seat.terminal.end_input() => self.fault(line, "Ctrl-D, and nothing runs".into()),
            Line::Interrupt if !seat.terminal.interrupt() => self.fault(line, "Ctrl-C, and nothing runs".into()),
            Line::Typed(_) => {}
            Line::End => return Ok(false),
            Line::Interrupt => {
                seat.interrupted = true;
                return Ok(false);
            }
            Line::Any => (seat.shows, seat.any) = (true, true),
            Line::Waits => match seat.terminal.waits()? {
                Ok(()) => {}
                Err(Next::Line(got)) => self.fault(line, format!("expected nothing, got '{got}'")),
                Err(_) => self.fault(line, format!("expected '{}' to wait, and it has ended", seat.command)),
            },
            Line::Output(shown) => {
                self.expect(seat, shown, numbers)?;
                // Where it was told to end, it has to, whatever it says before.
                return Ok(goes_on || !seat.interrupted);
            }
        }
        Ok(true)
    }

    fn expect(&mut self, seat: &mut Seat, shown: &str, numbers: bool) -> io::Result<()> {
        let line = self.line;
        seat.shows = true;
        loop {
            match seat.terminal.next()? {
                Next::Line(got) if matches(shown, &got, numbers) => {
                    seat.any = false;
                    return Ok(());
                }
                Next::Line(_) if seat.any => {}
                Next::Line(got) => {
                    self.fault(line, format!("expected '{shown}', got '{got}'"));
                    return Ok(());
                }
                Next::End => {
                    self.fault(line, format!("expected '{shown}', got the end of '{}'", seat.command));
                    return Ok(());
                }
                Next::Nothing(limit) => {
                    self.fault(line, format!("expected '{shown}', got nothing in {limit:?}"));
                    self.stopped = true;
                    return Ok(());
                }
            }
        }
    }

    /// Waits for the end of the command.
    fn finish(&mut self, seat: &mut Seat) -> io::Result<()> {
        if !seat.terminal.is_busy() {
            return Ok(());
        }
        let mut more = Vec::new();
        loop {
            match seat.terminal.next()? {
                Next::Line(got) => more.push(got),
                Next::End => break,
                Next::Nothing(limit) => {
                    self.fault(seat.line, format!("'{}' does not end in {limit:?}", seat.command));
                    self.stopped = true;
                    return Ok(());
                }
            }
        }
        let said_more = self.more(seat, &more);
        if let Some(status) = seat.terminal.status()?
            && !(status.success() || seat.shows || seat.interrupted || said_more)
        {
            self.fault(seat.line, format!("'{}' ended with {status}", seat.command));
        }
        Ok(())
    }

    /// Lines that came and that the page does not show. Empty ones at the end would not be seen there.
    fn more(&mut self, seat: &Seat, lines: &[String]) -> bool {
        let Some(last) = lines.iter().rposition(|line| !line.is_empty()).filter(|_| !seat.any) else { return false };
        let first = &lines[0];
        let others = match last {
            0 => String::new(),
            others => format!(" and {others} more lines"),
        };
        self.fault(seat.line, format!("'{}' also prints '{first}'{others}", seat.command));
        true
    }

    /// Ends what still runs.
    fn end(&mut self) -> io::Result<()> {
        for (_, mut seat) in std::mem::take(&mut self.terminals) {
            let lines = seat.terminal.close()?;
            if !self.stopped {
                self.more(&seat, &lines);
            }
        }
        Ok(())
    }
}
