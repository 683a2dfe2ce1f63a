//! The diaries as a drawing, in the colours of the page that it stands on.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::diary::Diary;

/// Where the time begins, and how long it is.
const LEFT: f64 = 130.0;
const LENGTH: f64 = 570.0;
const TOP: f64 = 64.0;
const ROW: f64 = 58.0;

/// A lane for each reader: asleep in a call, at work, and the calls that came back at once.
pub(crate) fn phases(lanes: &[(String, Diary)]) -> String {
    let longest = lanes.iter().map(|(_, diary)| diary.length()).max().unwrap_or_default().max(Duration::from_millis(1));
    let height = TOP + ROW * lanes.len() as f64;
    let told: Vec<_> = lanes.iter().map(|(name, diary)| format!("{name}: {}.", diary.calls())).collect();
    let mut svg = format!("<svg role=\"img\" viewBox=\"0 0 720 {height}\" xmlns=\"http://www.w3.org/2000/svg\">\n");
    svg += "  <title>One slow pipe, read in five ways</title>\n";
    svg += &format!("  <desc>A lane of time for each way. {}</desc>\n", told.join(" "));
    svg += "  <g fill=\"currentColor\" font-size=\"14\">\n";
    let mut draw = |line: String| {
        // Writing to a string does not fail.
        let _ = writeln!(svg, "    {line}");
    };
    let keys = [(0.0, ASLEEP, "asleep in a call"), (150.0, AT_WORK, "at its own work"), (300.0, CALL, "a short call")];
    for (x, style, text) in keys {
        draw(rect(LEFT + x, 12.0, 14.0, 14.0, style));
        draw(format!(r#"<text x="{}" y="24">{text}</text>"#, LEFT + x + 20.0));
    }
    draw(circle(LEFT + 437.0, 19.0));
    draw(format!(r#"<text x="{}" y="24">bytes are here</text>"#, LEFT + 450.0));
    draw(format!(
        r#"<text x="{LEFT}" y="48" font-size="13">dashed: bytes come into the pipe; the last time, its end</text>"#
    ));
    for (row, (name, diary)) in lanes.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let x = |moment: Instant| {
            LEFT + moment.duration_since(diary.start()).as_secs_f64() / longest.as_secs_f64() * LENGTH
        };
        draw(format!(r#"<text x="{}" y="{}" text-anchor="end">{name}</text>"#, LEFT - 12.0, y + 24.0));
        for span in &diary.spans {
            let (from, width) = (x(span.from), x(span.to) - x(span.from));
            match span.call {
                None => draw(rect(from, y + 8.0, width, 24.0, AT_WORK)),
                Some(_) if width > 6.0 => draw(rect(from, y + 8.0, width, 24.0, ASLEEP)),
                Some(_) => draw(rect(from - 1.0, y + 2.0, width.max(2.0), 36.0, CALL)),
            }
        }
        for &came in &diary.came {
            let x = x(came);
            draw(format!(
                r#"<path d="M{x:.1} {}V{}" stroke="currentColor" stroke-dasharray="3 3"/>"#,
                y - 2.0,
                y + 42.0
            ));
        }
        for &taken in &diary.taken {
            draw(circle(x(taken), y + 20.0));
        }
    }
    svg += "  </g>\n</svg>\n";
    svg
}

const ASLEEP: &str = r#"fill="none" stroke="currentColor""#;
const AT_WORK: &str = r#"fill="var(--c1)""#;
const CALL: &str = r#"fill="var(--c2)""#;

fn rect(x: f64, y: f64, width: f64, height: f64, style: &str) -> String {
    format!(r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" {style}/>"#)
}

fn circle(x: f64, y: f64) -> String {
    format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="5"/>"#)
}
