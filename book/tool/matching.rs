//! Whether what was printed is what the page shows: `…` stands for what varies.

use std::sync::LazyLock;

use regex::Regex;

static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[0-9]+(?:[.,][0-9]+)*").expect("it is a pattern"));
static SPACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r" +").expect("it is a pattern"));

/// Whether `got` is the line that `shown` shows. With `numbers`, each number stands for any, and the width of columns
/// plays no part.
pub(crate) fn matches(shown: &str, got: &str, numbers: bool) -> bool {
    if numbers {
        return pieces_match(&without_numbers(shown), &without_numbers(got));
    }
    pieces_match(shown.trim_end(), got.trim_end())
}

fn without_numbers(line: &str) -> String {
    let line = NUMBER.replace_all(line.trim(), "#");
    SPACES.replace_all(&line, " ").into_owned()
}

fn pieces_match(shown: &str, got: &str) -> bool {
    let mut pieces = shown.split('…');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = got.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Looks for lines in a text: in order and next to each other, but for a `…` alone, which stands for any lines. The
/// error is the number of the line that was not found, from 0, and the line.
pub(crate) fn excerpt(shown: &str, text: &str) -> Result<(), (usize, String)> {
    let text: Vec<&str> = text.lines().collect();
    let shown: Vec<(usize, &str)> = shown.lines().enumerate().collect();
    let mut from = 0;
    for block in shown.split(|(_, line)| line.trim() == "…").filter(|block| !block.is_empty()) {
        let run = |at: usize| {
            block
                .iter()
                .zip(text.get(at..).unwrap_or_default())
                .take_while(|((_, shown), got)| matches(shown, got, false))
        };
        let found = (from..text.len()).find(|at| run(*at).count() == block.len());
        match found {
            Some(at) => from = at + block.len(),
            None => {
                let best = (from..text.len()).map(|at| run(at).count()).max().unwrap_or(0);
                let (number, line) = block[best];
                return Err((number, line.to_owned()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_anything_within_a_line() {
        assert!(matches("a…c", "abbbc", false) && matches("a…", "a", false) && matches("…b…d", "abcd", false));
        assert!(!matches("a…c", "ab", false) && !matches("ab", "abc", false) && !matches("…b…b", "ab", false));
    }

    #[test]
    fn numbers_stand_for_numbers_where_asked_for() {
        assert!(matches("took 1.5 ms  by 12", "took 23 ms by 9,000", true));
        assert!(!matches("took 1.5 ms", "took long", true) && !matches("took 1", "took 2", false));
    }

    #[test]
    fn an_excerpt_is_found_in_order() {
        let text = "a\nb\na\nc\nd\n";
        assert_eq!(excerpt("a\nc", text), Ok(()));
        assert_eq!(excerpt("b\n…\nd", text), Ok(()));
        assert_eq!(excerpt("a\nd", text), Err((1, "d".to_owned())));
        assert_eq!(excerpt("c\n…\nb", text), Err((2, "b".to_owned())));
    }
}
