//! Bytes to lines and back.

use std::io;
use std::rc::Rc;

use futures::channel::mpsc;
use futures::{AsyncWriteExt, StreamExt};
use pollywog_net::server::Connection;

use super::member::Member;

/// Bytes of a line; what is longer becomes several.
const LONGEST_LINE: usize = 1_024;
/// Bytes of a name, and of a room's.
const LONGEST_WORD: usize = 24;

/// Whether `text` can name somebody, a room or a node.
pub fn is_word(text: &str) -> bool {
    let separates = |c: char| c.is_whitespace() || c.is_control() || c == ':' || c == '@';
    (1..=LONGEST_WORD).contains(&text.len()) && !text.starts_with(['/', '*']) && !text.contains(separates)
}

/// The next line without its end, made fit for a terminal. `None` is the end of the connection.
pub(super) async fn read_line(connection: &Connection) -> io::Result<Option<String>> {
    loop {
        let line = connection.read_with(|bytes| {
            let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
            match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, Some(readable(&bytes[..end]))),
                None if bytes.len() == LONGEST_LINE => (bytes.len(), Some(readable(bytes))),
                None => (0, None),
            }
        });
        match line.await? {
            None => return Ok(None),
            Some(None) => {} // not whole yet: the bytes are kept
            Some(line) => return Ok(line),
        }
    }
}

/// Whatever bytes come, without what would move a terminal's cursor.
pub(super) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|character| !character.is_control()).collect()
}

/// Writes what `member` is told, until its queue ends.
pub(super) async fn write_lines(
    mut connection: &Connection,
    mut lines: mpsc::Receiver<Rc<str>>,
    member: &Member,
) -> io::Result<()> {
    while let Some(line) = lines.next().await {
        connection.write_all(format!("{line}\n").as_bytes()).await?;
        let missed = member.missed();
        if missed > 0 {
            connection.write_all(format!("* you were too slow for {missed} lines\n").as_bytes()).await?;
        }
    }
    Ok(())
}
