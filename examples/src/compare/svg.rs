//! From what plotters writes to a drawing for a page: it takes the colours of the page's theme, and tells in words what
//! it shows.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What is drawn in, and what it becomes: a variable of the page, and a colour for where there is none, which stands out
/// from white as from black.
const PAINTS: [(RGBColor, &str); 6] = [
    (INK, "var(--fg, #767676)"),
    (LINE, "var(--fig-line, #8c8c8c)"),
    (FIRST, "var(--c1, #3a7fc4)"),
    (SECOND, "var(--c2, #d1620f)"),
    (THIRD, "var(--c3, #3d8f54)"),
    (FOURTH, "var(--c4, #9a6bb8)"),
];

/// Words.
pub(super) const INK: RGBColor = RGBColor(0, 0, 1);
/// Axes.
pub(super) const LINE: RGBColor = RGBColor(0, 0, 2);
/// The colours of series.
pub(super) const FIRST: RGBColor = RGBColor(0, 0, 11);
/// The second one.
pub(super) const SECOND: RGBColor = RGBColor(0, 0, 12);
/// The third.
pub(super) const THIRD: RGBColor = RGBColor(0, 0, 13);
/// The fourth.
pub(super) const FOURTH: RGBColor = RGBColor(0, 0, 14);

/// The drawing in `drawn`, with a title and a description.
pub(super) fn finish(drawn: &str, title: &str, description: &str) -> String {
    let mut finished = String::new();
    let mut lines = drawn.lines();
    while let Some(line) = lines.next() {
        match line.strip_prefix('<').and_then(|line| line.split_once(' ')) {
            Some(("svg", attributes)) => {
                let view = attributes.split_once("viewBox=").map_or("", |(_, rest)| rest);
                let _ = writeln!(finished, "<svg role=\"img\" font-size=\"13\" viewBox={view}");
                let _ = writeln!(finished, "<title>{}</title>", escape(title));
                let _ = writeln!(finished, "<desc>{}</desc>", escape(description));
            }
            // A space before a word is a space in the drawing.
            Some(("text", attributes)) => {
                let words = lines.by_ref().take_while(|line| *line != "</text>").collect::<Vec<_>>().join(" ");
                let _ = writeln!(finished, "<text {}{words}</text>", themed(attributes));
            }
            Some((name, attributes)) => {
                let _ = writeln!(finished, "<{name} {}", themed(attributes));
            }
            None => {
                let _ = writeln!(finished, "{line}");
            }
        }
    }
    finished
}

/// `attributes` up to the end of the tag, without those that say what is so anyway.
fn themed(attributes: &str) -> String {
    let (attributes, end) = match attributes.strip_suffix("/>") {
        Some(attributes) => (attributes, "/>"),
        None => (attributes.strip_suffix('>').unwrap_or(attributes), ">"),
    };
    let attributes = attributes.split_terminator('"').collect::<Vec<_>>();
    let mut kept = Vec::new();
    for pair in attributes.chunks_exact(2) {
        let (name, value) = (pair[0].trim().trim_end_matches('='), pair[1]);
        match (name, value) {
            ("opacity", "1") | ("stroke", "none") | ("font-family" | "font-size", _) => {}
            // The middle of a word of small letters and capitals, not that of an x.
            ("dy", "0.5ex") => kept.push("dy=\"0.35em\"".to_owned()),
            ("fill" | "stroke", value) => kept.push(format!("{name}=\"{}\"", paint(value))),
            (name, value) => kept.push(format!("{name}=\"{value}\"")),
        }
    }
    kept.join(" ") + end
}

fn paint(value: &str) -> &str {
    let is = |color: &RGBColor| value.eq_ignore_ascii_case(&format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2));
    PAINTS.iter().find(|(color, _)| is(color)).map_or(value, |(_, paint)| paint)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_takes_the_colours_of_the_page() {
        let drawn = "\
<svg width=\"7\" height=\"5\" viewBox=\"0 0 7 5\" xmlns=\"http://www.w3.org/2000/svg\">
<rect x=\"1\" opacity=\"1\" fill=\"#00000B\" stroke=\"none\"/>
<text x=\"2\" y=\"3\" dy=\"0.5ex\" font-family=\"sans-serif\" font-size=\"12.9\" opacity=\"0.5\" fill=\"#000001\">
a &lt; b
</text>
</svg>
";
        let expected = "\
<svg role=\"img\" font-size=\"13\" viewBox=\"0 0 7 5\" xmlns=\"http://www.w3.org/2000/svg\">
<title>one &amp; two</title>
<desc>all of it</desc>
<rect x=\"1\" fill=\"var(--c1, #3a7fc4)\"/>
<text x=\"2\" y=\"3\" dy=\"0.35em\" opacity=\"0.5\" fill=\"var(--fg, #767676)\">a &lt; b</text>
</svg>
";
        assert_eq!(finish(drawn, "one & two", "all of it"), expected);
    }
}
