//! Drawings of what was measured. Their colours are those of the page that they stand on.

use std::fmt::Write;
use std::time::Duration;

use crate::usage::Usage;

/// How the parts of a bar are filled: in the program, in the kernel, neither.
const PARTS: [&str; 3] =
    [r#"fill="var(--c1)""#, r#"fill="var(--c2)""#, r#"fill="none" stroke="currentColor" stroke-dasharray="3 3""#];

/// Where the bars begin, and how long the longest is.
const LEFT: f64 = 200.0;
const LENGTH: f64 = 430.0;

/// What each of `rows` took: a bar as long as it lasted, with the part in the program, the part in the kernel, and the
/// rest.
pub fn bars(title: &str, rows: &[(&str, Usage)]) -> String {
    let longest = rows.iter().map(|(_, usage)| usage.wall).max().unwrap_or_default().max(Duration::from_nanos(1));
    let words = rows.iter().map(|(name, usage)| {
        let [wall, user, system] = [usage.wall, usage.user, usage.system].map(milliseconds);
        format!("{name}: {wall} ms, of which {user} in the program and {system} in the kernel.")
    });
    let mut drawing = Drawing::new(title, &words.collect::<Vec<_>>().join(" "), rows.len());
    for (place, key) in ["in the program", "in the kernel", "on no processor"].into_iter().enumerate() {
        let x = LEFT + 150.0 * place as f64;
        drawing.bar(x, 14.0, 14.0, 14.0, PARTS[place]);
        drawing.text(x + 20.0, 26.0, "start", key);
    }
    for (row, (name, usage)) in rows.iter().enumerate() {
        let y = drawing.label(row, name);
        let mut x = LEFT;
        for (time, part) in [usage.user, usage.system, usage.off()].into_iter().zip(PARTS) {
            let width = time.as_secs_f64() / longest.as_secs_f64() * LENGTH;
            drawing.bar(x, y, width, 26.0, part);
            x += width;
        }
        drawing.text(x + 8.0, y + 18.0, "start", &format!("{} ms", milliseconds(usage.wall)));
    }
    drawing.end()
}

/// How much there is after each of `steps`.
pub fn steps(title: &str, steps: &[(String, usize)]) -> String {
    let most = steps.iter().map(|(_, amount)| *amount).max().unwrap_or_default().max(1);
    let words: Vec<_> = steps.iter().map(|(step, amount)| format!("{step}; then {amount}.")).collect();
    let mut drawing = Drawing::new(title, &words.join(" "), steps.len());
    drawing.text(LEFT, 26.0, "start", "bytes in the pipe after each call");
    for (row, (step, amount)) in steps.iter().enumerate() {
        let y = drawing.label(row, step);
        let width = *amount as f64 / most as f64 * LENGTH;
        drawing.bar(LEFT, y, width, 26.0, PARTS[0]);
        drawing.text(LEFT + width + 8.0, y + 18.0, "start", &amount.to_string());
    }
    drawing.end()
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round()
}

struct Drawing(String);

impl Drawing {
    /// Room for a line of keys, and for `rows` below it.
    fn new(title: &str, words: &str, rows: usize) -> Self {
        let height = 40 * rows + 60;
        let open = format!("<svg role=\"img\" viewBox=\"0 0 720 {height}\" xmlns=\"http://www.w3.org/2000/svg\">");
        Self(format!("{open}\n  <title>{title}</title>\n  <desc>{words}</desc>\n"))
    }

    /// The name of a row; gives where its bar stands.
    fn label(&mut self, row: usize, name: &str) -> f64 {
        let y = 50.0 + 40.0 * row as f64;
        self.text(LEFT - 12.0, y + 18.0, "end", name);
        y
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, part: &str) {
        let place = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "  <rect {place} {part}/>");
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let place = format!(r#"x="{x:.1}" y="{y:.1}" text-anchor="{anchor}""#);
        let _ = writeln!(self.0, r#"  <text {place} font-size="14" fill="currentColor">{text}</text>"#);
    }

    fn end(self) -> String {
        self.0 + "</svg>\n"
    }
}
