//! Makes a drawing of plotters into a figure of the book: in the colours of the page's theme, as wide as the text, and
//! with words for who cannot see it.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::listing::escape;

static PAINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r##"\b(fill|stroke)="(#[0-9A-Fa-f]{6}|#[0-9A-Fa-f]{3}|black|white)""##).expect("a pattern")
});
static FONT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#" font-family="[^"]*""#).expect("a pattern"));
static SIZE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#" (width|height)="[^"]*""#).expect("a pattern"));

/// How many colours for series the book's style has.
const SERIES: usize = 6;

/// The drawing in the colours of the theme. Black becomes the colour of the text, white nothing, a grey the colour of
/// quiet lines, and every other colour the next of those for series, in the order in which they first come.
pub(super) fn themed(svg: &str, title: &str, desc: &str) -> String {
    let mut series: Vec<String> = Vec::new();
    let svg = PAINT.replace_all(svg, |found: &Captures<'_>| {
        let colour = found[2].to_ascii_lowercase();
        let paint = match &*colour {
            "#000000" | "#000" | "black" => "currentColor".to_owned(),
            "#ffffff" | "#fff" | "white" => "none".to_owned(),
            _ if is_grey(&colour) => "var(--fig-line)".to_owned(),
            _ => {
                let at = series.iter().position(|known| *known == colour).unwrap_or_else(|| {
                    series.push(colour.clone());
                    series.len() - 1
                });
                format!("var(--c{})", at % SERIES + 1)
            }
        };
        format!("{}=\"{paint}\"", &found[1])
    });
    let svg = FONT.replace_all(&svg, "");
    let Some((head, rest)) = svg.split_once('>') else { return svg.into_owned() };
    let mut head = if head.contains("viewBox") { SIZE.replace_all(head, "").into_owned() } else { head.to_owned() };
    let mut words = String::new();
    if !head.contains("role=") {
        head.push_str(" role=\"img\"");
    }
    for (tag, text) in [("title", title), ("desc", desc)] {
        if !text.is_empty() && !rest.contains(&format!("<{tag}")) {
            words.push_str(&format!("\n<{tag}>{}</{tag}>", escape(text)));
        }
    }
    format!("{head}>{words}{rest}")
}

fn is_grey(colour: &str) -> bool {
    let digits = &colour[1..];
    let part = digits.len() / 3;
    digits[..part] == digits[part..2 * part] && digits[part..2 * part] == digits[2 * part..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colours_become_those_of_the_theme() {
        let svg = "<svg width=\"720\" height=\"9\" viewBox=\"0 0 720 9\">\n<rect width=\"5\" fill=\"#FFFFFF\"/>\
                   <text font-family=\"sans-serif\" fill=\"#000000\"/><path stroke=\"#FF0000\"/><path stroke=\"#0000FF\"/>\
                   <path stroke=\"#ff0000\"/><path stroke=\"#DDDDDD\"/></svg>\n";
        let expected = "<svg viewBox=\"0 0 720 9\" role=\"img\">\n<title>A &amp; B</title>\n<desc>c</desc>\n\
                        <rect width=\"5\" fill=\"none\"/><text fill=\"currentColor\"/><path stroke=\"var(--c1)\"/>\
                        <path stroke=\"var(--c2)\"/><path stroke=\"var(--c1)\"/><path stroke=\"var(--fig-line)\"/></svg>\n";
        assert_eq!(themed(svg, "A & B", "c"), expected);
        assert_eq!(themed(expected, "x", "y"), expected, "what has words keeps them");
    }
}
