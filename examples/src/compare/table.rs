//! A table, on a terminal and in a page.

use std::fmt::Write;

use super::words::wrapped;

/// Rows of cells. Words stand on the left of their column, and numbers on the right.
#[derive(Debug)]
pub(super) struct Table {
    /// What it shows.
    pub(super) title: String,
    /// How many columns hold words; the others hold numbers.
    pub(super) words: usize,
    /// The names of the columns.
    pub(super) head: Vec<String>,
    /// As many cells each.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// For people at a terminal. The heads stand in as many lines as they have words that do not fit.
    pub(super) fn terminal(&self) -> String {
        let head: Vec<Vec<&str>> = self.head.iter().map(|name| name.split(' ').collect()).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain(head[column].iter().map(|word| word.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[&str]| {
            let mut text = String::new();
            for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let space = if index == 0 { "" } else { "  " };
                let is_word = index < self.words;
                let _ =
                    if is_word { write!(text, "{space}{cell:<width$}") } else { write!(text, "{space}{cell:>width$}") };
            }
            text.trim_end().to_owned() + "\n"
        };
        let lines = head.iter().map(Vec::len).max().unwrap_or(0);
        let mut text = format!("{}\n\n", wrapped(&self.title));
        for index in 0..lines {
            // The last words of all stand in the last line.
            let at = |words: &[&str]| (index + words.len()).checked_sub(lines);
            let cells: Vec<_> = head.iter().map(|words| at(words).map_or("", |at| words[at])).collect();
            text += &line(&cells);
        }
        for row in &self.rows {
            text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        text
    }

    /// For a page.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("{}\n\n", self.title);
        text += &line(&self.head);
        text += &format!("{}{}|\n", "|---".repeat(self.words), "|---:".repeat(self.head.len() - self.words));
        self.rows.iter().for_each(|row| text += &line(row));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = Table {
            title: "What it costs".to_owned(),
            words: 1,
            head: cells(&["model", "requests a second", "µs"]),
            rows: vec![cells(&["iterative", "12,345", "1.00"]), cells(&["select", "9", "—"])],
        };
        let expected = "\
What it costs

           requests
                  a
model        second    µs
iterative    12,345  1.00
select            9     —
";
        assert_eq!(table.terminal(), expected);
        let expected = "\
What it costs

| model | requests a second | µs |
|---|---:|---:|
| iterative | 12,345 | 1.00 |
| select | 9 | — |
";
        assert_eq!(table.markdown(), expected);
    }
}
