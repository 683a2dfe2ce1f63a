//! What a member does: the line that others read, and the text that other nodes get.

use super::lines::{is_word, readable};
use super::member::Member;

/// Bytes of a [`Notice`] as text. A line of replacement characters fits.
const LONGEST_TEXT: usize = 4_096;

/// What a member does in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Said(String),
    Here,
    Left,
    /// The new name.
    Is(String),
}

impl Event {
    /// What others read; `at` follows each name.
    pub(super) fn line(&self, name: &str, at: &str) -> String {
        match self {
            Self::Said(text) => format!("{name}{at}: {text}"),
            Self::Here => format!("* {name}{at} is here"),
            Self::Left => format!("* {name}{at} has left"),
            Self::Is(new) => format!("* {name}{at} is {new}{at} now"),
        }
    }
}

/// An event as those of its own node are told of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) room: String,
    pub(super) author: Member,
    pub(super) event: Event,
    pub(super) line: String,
}

impl Told {
    pub(super) fn new(room: &str, name: &str, author: &Member, event: Event) -> Self {
        Self { room: room.to_owned(), author: author.clone(), line: event.line(name, ""), event }
    }
}

/// An event as nodes tell each other, in a form that people can read too: `PROCESS NUMBER NODE NAME said TEXT`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// The process that sent it.
    pub(super) process: u64,
    /// Which of its notices it is.
    pub(super) number: u64,
    /// What that process calls itself.
    pub(super) node: String,
    pub(super) name: String,
    pub(super) event: Event,
}

impl Notice {
    pub(super) fn text(&self) -> String {
        let Self { process, number, node, name, event } = self;
        let (verb, rest) = match event {
            Event::Said(text) => ("said", text.as_str()),
            Event::Here => ("here", ""),
            Event::Left => ("left", ""),
            Event::Is(new) => ("is", new.as_str()),
        };
        format!("{process:016x} {number} {node} {name} {verb} {rest}")
    }

    /// `None` where it is none: anybody may publish anything.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST_TEXT {
            return None;
        }
        let text = readable(bytes);
        let mut words = text.splitn(6, ' ');
        let process = u64::from_str_radix(words.next()?, 16).ok()?;
        let number = words.next()?.parse().ok()?;
        let mut word = || words.next().filter(|word| is_word(word)).map(str::to_owned);
        let (node, name) = (word()?, word()?);
        let event = match (words.next()?, words.next()?) {
            ("said", text) => Event::Said(text.to_owned()),
            ("here", _) => Event::Here,
            ("left", _) => Event::Left,
            ("is", new) if is_word(new) => Event::Is(new.to_owned()),
            _ => return None,
        };
        Some(Self { process, number, node, name, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(event: Event) -> Notice {
        Notice { process: 0xab, number: 7, node: "north".to_owned(), name: "bob".to_owned(), event }
    }

    #[test]
    fn a_notice_is_the_same_at_the_other_end() {
        for event in [
            Event::Said("two  words and é".to_owned()),
            Event::Said("\u{fffd}".repeat(1_024)),
            Event::Said(" ".to_owned()),
            Event::Here,
            Event::Left,
            Event::Is("rob".to_owned()),
        ] {
            let notice = notice(event);
            assert_eq!(Notice::parse(notice.text().as_bytes()), Some(notice));
        }
        assert_eq!(notice(Event::Said("hello".to_owned())).text(), "00000000000000ab 7 north bob said hello");
    }

    #[test]
    fn what_others_publish_moves_no_cursor_and_is_no_longer_than_a_line() {
        let text = notice(Event::Said("\u{1b}[2Jclear".to_owned())).text();
        assert_eq!(Notice::parse(text.as_bytes()), Some(notice(Event::Said("[2Jclear".to_owned()))));
        let text = notice(Event::Said("x".repeat(LONGEST_TEXT))).text();
        assert_eq!(Notice::parse(text.as_bytes()), None);
        for text in
            ["", "hello", "ab 7 north bob", "ab 7 north bob jumped high", "x 7 north bob here ", "ab 7 a:b bob here "]
        {
            assert_eq!(Notice::parse(text.as_bytes()), None, "{text}");
        }
    }
}
