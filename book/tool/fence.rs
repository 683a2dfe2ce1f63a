//! The kinds of fences that the book may hold. Whatever is not one of them is not checked, so it is refused.

use crate::source::Docs;

/// What a fence is, told by the word after its backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fence {
    /// `rust,item` and `rust,item,nodoc`: its lines name items of compiled files.
    Items(Docs),
    /// `text,recorded NAME`: stands for the recorded output of that name.
    Recorded(String),
    /// `text,file`: its line is the path of a file that something runs with.
    File,
    /// `toml`: has to parse.
    Toml,
    /// `text` and `console`: words and commands, shown as they are.
    Plain,
}

impl Fence {
    /// Reads the words after the backticks.
    pub(crate) fn parse(info: &str) -> Result<Self, String> {
        let info = info.trim();
        if let Some(name) = info.strip_prefix("text,recorded") {
            let name = name.trim();
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || !name.chars().all(is_name) {
                return Err("a recorded output is called by its name: 'text,recorded NAME'".into());
            }
            return Ok(Self::Recorded(name.to_owned()));
        }
        match info {
            "rust,item" => Ok(Self::Items(Docs::Keep)),
            "rust,item,nodoc" => Ok(Self::Items(Docs::Drop)),
            "text,file" => Ok(Self::File),
            "toml" => Ok(Self::Toml),
            "text" | "console" => Ok(Self::Plain),
            _ if info.split([',', ' ']).next() == Some("rust") => Err(format!(
                "a fence of the kind '{info}': listings come from compiled files, so name an item in a fence of the \
                 kind 'rust,item'"
            )),
            _ => Err(format!(
                "a fence of the kind '{info}'; the kinds are text, console, toml, 'rust,item', 'rust,item,nodoc', \
                 'text,file' and 'text,recorded NAME'"
            )),
        }
    }
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
        assert!(Fence::parse("").is_err());
        assert!(Fence::parse("python").is_err());
        assert!(Fence::parse("text,recorded").is_err());
        assert!(Fence::parse("text,recorded ../secret").is_err());
    }

    #[test]
    fn the_fence_outlasts_the_backticks_in_its_body() {
        assert_eq!(fenced("text", "a\n"), "```text\na\n```\n");
        assert_eq!(fenced("text", "a ```` b"), "`````text\na ```` b\n`````\n");
    }
}
