//! Functions and classes of Python files, and functions of shell scripts, by name.

use std::ops::Range;

use crate::name::nearest;

/// The text of the function, class or `Class.method` of a Python file, and its first line, counted from 1. Comments and
/// decorators that stand on it come along.
pub(crate) fn python(text: &str, name: &str) -> Result<(String, usize), String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut range = 0..lines.len();
    let mut depth = None;
    for part in name.split('.') {
        let (found, at) = definition(&lines, range.clone(), depth, part).ok_or_else(|| missing(name, &lines, range))?;
        range = found;
        depth = Some(at);
    }
    Ok(cut(&lines, range))
}

/// The same for a function of a shell script: from `name() {` to a `}` at the edge.
pub(crate) fn shell(text: &str, name: &str) -> Result<(String, usize), String> {
    let lines: Vec<&str> = text.lines().collect();
    let head = format!("{name}() ");
    let start = lines.iter().position(|line| line.starts_with(&head));
    let end = start.and_then(|start| Some(start + lines[start..].iter().position(|line| line.starts_with('}'))?));
    match (start, end) {
        (Some(start), Some(end)) => Ok(cut(&lines, with_head(&lines, start..end + 1))),
        _ => Err(format!("no function '{name}' in the script")),
    }
}

/// The lines of a definition right inside what has the indentation `outer`, and its own indentation.
fn definition(lines: &[&str], range: Range<usize>, outer: Option<usize>, name: &str) -> Option<(Range<usize>, usize)> {
    let inside = |line: &str| match outer {
        None => indentation(line) == 0,
        Some(outer) => indentation(line) > outer,
    };
    let start = range.clone().find(|&at| inside(lines[at]) && defined(lines[at]) == Some(name))?;
    let depth = indentation(lines[start]);
    // The head may go over several lines; it ends with a colon.
    let head = (start..range.end).find(|&at| lines[at].split('#').next().unwrap_or("").trim_end().ends_with(':'))?;
    let goes_on = |at: &usize| lines[*at].trim().is_empty() || indentation(lines[*at]) > depth;
    let end = head + 1 + (head + 1..range.end).take_while(goes_on).count();
    Some((with_head(lines, start..end), depth))
}

/// The range, begun with the comments and decorators on it and ended without blank lines.
fn with_head(lines: &[&str], range: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (range.start, range.end);
    while start > 0 && lines[start - 1].trim_start().starts_with(['#', '@']) && !lines[start - 1].starts_with("#!") {
        start -= 1;
    }
    while end > start && lines[end - 1].trim().is_empty() {
        end -= 1;
    }
    start..end
}

fn cut(lines: &[&str], range: Range<usize>) -> (String, usize) {
    let margin = lines[range.clone()].first().map_or(0, |line| indentation(line));
    let text: Vec<&str> = lines[range.clone()].iter().map(|line| &line[margin.min(indentation(line))..]).collect();
    (text.join("\n") + "\n", range.start + 1)
}

/// The name that a line begins to define.
fn defined(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line.strip_prefix("async ").unwrap_or(line);
    let rest = rest.strip_prefix("def ").or_else(|| rest.strip_prefix("class "))?;
    Some(&rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_')?])
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn missing(name: &str, lines: &[&str], range: Range<usize>) -> String {
    let names = lines[range].iter().filter_map(|line| defined(line));
    match nearest(name, names).as_slice() {
        [] => format!("no function or class '{name}': the file has none"),
        near => format!("no function or class '{name}'; the nearest are '{}'", near.join("', '")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "#!/usr/bin/env python3\nimport os\n\n# Why.\n@cache\ndef one(a,\n        b):\n    return 1\n\n\n\
                          class Server:\n    def one(self):  # here\n        return 2\n\n    async def two(self):\n        \
                          pass\n\nx = 1\n";

    #[test]
    fn functions_and_methods_are_cut_out() {
        let (text, line) = python(SOURCE, "one").unwrap();
        assert_eq!((&*text, line), ("# Why.\n@cache\ndef one(a,\n        b):\n    return 1\n", 4));
        assert_eq!(python(SOURCE, "Server.one").unwrap().0, "def one(self):  # here\n    return 2\n");
        assert!(python(SOURCE, "Server").unwrap().0.ends_with("    async def two(self):\n        pass\n"));
    }

    #[test]
    fn a_name_that_is_not_there_is_a_fault() {
        assert!(python(SOURCE, "on").unwrap_err().contains("'one'"));
        assert!(python(SOURCE, "two").is_err(), "it is a method");
        assert!(python(SOURCE, "Server.three").unwrap_err().contains("'Server.three'"));
    }

    #[test]
    fn a_function_of_a_shell_script_is_cut_out() {
        let script = "a=1\n\n# Says.\nsay() {\n    echo \"$1\"\n}\n\nsay x\n";
        assert_eq!(shell(script, "say").unwrap(), ("# Says.\nsay() {\n    echo \"$1\"\n}\n".to_owned(), 3));
        assert!(shell(script, "sey").is_err());
    }
}
