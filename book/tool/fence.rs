//! The kinds of fences that the book may hold. Whatever is not one of them is not checked, so it is refused.

use crate::source::Docs;

/// What a fence is, told by the words after its backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fence {
    /// `rust,item` and `rust,item,nodoc`: its lines name items of compiled files.
    Items(Docs),
    /// `rust,exercise`: its lines name items that have a stub and a solution.
    Exercise,
    /// `python,item`: its lines name functions and classes.
    Python,
    /// `text,file`: its lines are paths of files that something runs with, or functions of shell scripts.
    File,
    /// `text,recorded NAME`: stands for the recorded output of that name.
    Recorded(String),
    /// `text,excerpt NAME`: has lines that the recorded output of that name holds.
    Excerpt(String),
    /// `console`: commands and what they print; `check --walk` runs them.
    Console(Console),
    /// `toml`: has to parse.
    Toml,
    /// `text,diagram`: drawn in characters; no program prints it.
    Diagram,
}

/// The words after `console`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Console {
    /// Which terminal the commands are typed into; mostly there is one, without a name.
    pub(crate) terminal: String,
    /// Whether each number that is shown stands for any number.
    pub(crate) numbers: bool,
    /// Why nothing runs these commands.
    pub(crate) unwalked: Option<String>,
}

const KINDS: &str = "'rust,item', 'rust,item,nodoc', 'rust,exercise', 'python,item', 'text,file', 'text,recorded NAME', \
                     'text,excerpt NAME', 'text,diagram', 'console', 'console TERMINAL', 'console,numbers', \
                     'console,unwalked REASON' and 'toml'";

impl Fence {
    /// Reads the words after the backticks.
    pub(crate) fn parse(info: &str) -> Result<Self, String> {
        let info = info.trim();
        let (kind, rest) = info.split_once(' ').map_or((info, ""), |(kind, rest)| (kind, rest.trim()));
        if kind.split(',').next() == Some("console") {
            return console(kind, rest).map(Self::Console);
        }
        let fence = match kind {
            "text,recorded" => return name(kind, rest).map(Self::Recorded),
            "text,excerpt" => return name(kind, rest).map(Self::Excerpt),
            "rust,item" => Self::Items(Docs::Keep),
            "rust,item,nodoc" => Self::Items(Docs::Drop),
            "rust,exercise" => Self::Exercise,
            "python,item" => Self::Python,
            "text,file" => Self::File,
            "text,diagram" => Self::Diagram,
            "toml" => Self::Toml,
            _ if kind.split(',').next() == Some("rust") => {
                return Err(format!(
                    "a fence of the kind '{info}': listings come from compiled files, so name an item in a fence of \
                     the kind 'rust,item'"
                ));
            }
            _ => return Err(format!("a fence of the kind '{info}'; the kinds are {KINDS}")),
        };
        if rest.is_empty() { Ok(fence) } else { Err(format!("a fence of the kind '{kind}' has no '{rest}'")) }
    }
}

/// What a recorded output, and its file, may be called.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn name(kind: &str, name: &str) -> Result<String, String> {
    if is_name(name) {
        Ok(name.to_owned())
    } else {
        Err(format!("a recorded output is called by its name: '{kind} NAME'"))
    }
}

fn console(kind: &str, rest: &str) -> Result<Console, String> {
    let mut console = Console::default();
    for flag in kind.split(',').skip(1) {
        match flag {
            "numbers" => console.numbers = true,
            "unwalked" if rest.is_empty() => {
                return Err("commands that nothing runs need a reason: 'console,unwalked REASON'".into());
            }
            "unwalked" => console.unwalked = Some(rest.to_owned()),
            _ => return Err(format!("a fence of the kind '{kind}'; the kinds are {KINDS}")),
        }
    }
    if console.unwalked.is_none() {
        if !rest.is_empty() && !is_name(rest) {
            return Err(format!("a terminal is called by one word, not '{rest}'"));
        }
        console.terminal = rest.to_owned();
    }
    Ok(console)
}

/// A fence around `body`, longer than any run of backticks in it.
pub(crate) fn fenced(kind: &str, body: &str) -> String {
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}{kind}\n{}\n{ticks}\n", body.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_rust_is_refused() {
        for info in ["rust", "rust,ignore", "rust,no_run", "rust ignore"] {
            assert!(Fence::parse(info).unwrap_err().contains("compiled files"), "{info}");
        }
    }

    #[test]
    fn a_fence_without_a_kind_is_refused() {
        for info in ["", "python", "text", "bash", "text,recorded", "text,recorded ../secret", "toml x", "console,x"] {
            assert!(Fence::parse(info).is_err(), "{info}");
        }
    }

    #[test]
    fn a_console_has_a_terminal_or_a_reason() {
        let console = |info| match Fence::parse(info) {
            Ok(Fence::Console(console)) => Ok(console),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(console("console"), Ok(Console::default()));
        let named = console("console,numbers server").unwrap();
        assert_eq!((&*named.terminal, named.numbers), ("server", true));
        assert_eq!(console("console,unwalked opens a browser").unwrap().unwalked.unwrap(), "opens a browser");
        assert!(console("console,unwalked").unwrap_err().contains("reason"));
        assert!(console("console two words").unwrap_err().contains("one word"));
    }

    #[test]
    fn the_fence_outlasts_the_backticks_in_its_body() {
        assert_eq!(fenced("text", "a\n"), "```text\na\n```\n");
        assert_eq!(fenced("text", "a ```` b"), "`````text\na ```` b\n`````\n");
    }
}
