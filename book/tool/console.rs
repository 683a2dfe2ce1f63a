//! What stands in a `console` fence: commands, lines that the reader types, keys, and what the programs print.

use crate::fence::Console;
use crate::listing::escape;

/// A line of a `console` fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// `$ command`, and the lines that continue it.
    Command(String),
    /// `< words`: typed into the program that runs.
    Typed(String),
    /// `^C`: ends the program.
    Interrupt,
    /// `^D`: ends the program's input.
    End,
    /// `(waits)`: the program still runs and says nothing.
    Waits,
    /// `…` alone: any lines, or none.
    Any,
    /// What a program prints.
    Output(String),
}

/// The lines of a fence, each with its offset in the fence, counted from 0.
pub(crate) fn lines(body: &str) -> Vec<(usize, Line)> {
    let mut lines: Vec<(usize, Line)> = Vec::new();
    let mut goes_on = false;
    for (at, text) in body.lines().enumerate() {
        if goes_on && let Some((_, Line::Command(command))) = lines.last_mut() {
            command.push('\n');
            command.push_str(text);
            goes_on = text.ends_with('\\');
            continue;
        }
        let line = match text {
            "^C" => Line::Interrupt,
            "^D" => Line::End,
            "(waits)" => Line::Waits,
            "…" => Line::Any,
            _ => match (text.strip_prefix("$ "), text.strip_prefix("< ")) {
                (Some(command), _) => Line::Command(command.to_owned()),
                (_, Some(typed)) => Line::Typed(typed.to_owned()),
                _ => Line::Output(text.to_owned()),
            },
        };
        goes_on = matches!(line, Line::Command(_)) && text.ends_with('\\');
        lines.push((at, line));
    }
    lines
}

/// What cannot be walked: a fence that holds nothing.
pub(crate) fn fault(body: &str) -> Option<String> {
    body.trim().is_empty().then(|| "a console without a command".to_owned())
}

/// The HTML that stands for the fence. What is typed is told from what is printed.
pub(crate) fn render(console: &Console, body: &str) -> String {
    let mut html = String::new();
    if !console.terminal.is_empty() {
        html.push_str(&format!("<p class=\"listing\">terminal <b>{}</b></p>\n\n", escape(&console.terminal)));
    }
    html.push_str("<pre class=\"terminal\"><code class=\"nohighlight\">");
    for (_, line) in lines(body) {
        let html_line = match line {
            Line::Command(command) => {
                format!("<span class=\"prompt\">$ </span><span class=\"typed\">{}</span>", escape(&command))
            }
            Line::Typed(words) => format!("<span class=\"typed\">{}</span>", escape(&words)),
            Line::Interrupt => "<span class=\"key\">Ctrl-C</span>".to_owned(),
            Line::End => "<span class=\"key\">Ctrl-D</span>".to_owned(),
            Line::Waits => "<span class=\"waits\">(waits)</span>".to_owned(),
            Line::Any => "<span class=\"waits\">…</span>".to_owned(),
            Line::Output(text) => escape(&text),
        };
        html.push_str(&html_line);
        html.push('\n');
    }
    html.push_str("</code></pre>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_lines_are_told_apart() {
        let body = "$ a \\\n  b\nsays\n< typed\n…\n(waits)\n^D\n^C\n";
        let expected = [
            (0, Line::Command("a \\\n  b".into())),
            (2, Line::Output("says".into())),
            (3, Line::Typed("typed".into())),
            (4, Line::Any),
            (5, Line::Waits),
            (6, Line::End),
            (7, Line::Interrupt),
        ];
        assert_eq!(lines(body), expected);
    }

    #[test]
    fn what_is_typed_is_marked_and_escaped() {
        let console = Console { terminal: "a".into(), ..Console::default() };
        let html = render(&console, "$ echo '<b>'\n<b>\n");
        assert!(html.contains("terminal <b>a</b>"), "{html}");
        assert!(html.contains("<span class=\"typed\">echo '&lt;b&gt;'</span>\n&lt;b&gt;\n"), "{html}");
    }
}
