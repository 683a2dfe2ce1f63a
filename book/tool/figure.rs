//! Figures: `{{#figure figures/layers.svg The caption}}` on a line of its own becomes the drawing itself.
//!
//! The SVG goes into the page, not beside it, so that its lines and words take the colours of the page's theme.

use std::fs;
use std::path::Path;

use crate::check::html::Page;
use crate::listing::escape;

/// The path and the caption of a figure line, if `line` is one.
pub(crate) fn parse(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.contains('\n') {
        return None;
    }
    let inner = line.strip_prefix("{{#figure ")?.strip_suffix("}}")?.trim();
    Some(inner.split_once(char::is_whitespace).unwrap_or((inner, "")))
}

/// The markdown that stands for a figure, or what is wrong with it.
pub(crate) fn render(text_dir: &Path, path: &str, caption: &str) -> Result<String, Vec<String>> {
    let svg = fs::read_to_string(text_dir.join(path)).map_err(|error| vec![format!("figure '{path}': {error}")])?;
    let mut faults = faults(&svg);
    if caption.trim().is_empty() {
        faults.push("it has no caption".into());
    }
    if !faults.is_empty() {
        return Err(faults.into_iter().map(|what| format!("figure '{path}': {what}")).collect());
    }
    // A blank line would end the HTML block, and the rest would be read as markdown.
    let svg: Vec<&str> = svg.lines().filter(|line| !line.trim().is_empty()).collect();
    let caption = escape(caption.trim());
    Ok(format!("<figure>\n{}\n<figcaption>{caption}</figcaption>\n</figure>\n", svg.join("\n")))
}

/// What keeps a drawing from being read in every theme, in print, or aloud.
fn faults(svg: &str) -> Vec<String> {
    let page = Page::parse(svg);
    let mut faults = Vec::new();
    match page.tags.first() {
        Some(tag) if tag.name == "svg" => {
            if tag.attribute("role") != Some("img") {
                faults.push("the svg element needs role=\"img\"".to_owned());
            }
            if tag.attribute("viewbox").is_none() {
                faults.push("the svg element needs a viewBox".to_owned());
            }
        }
        _ => faults.push("it does not begin with an svg element".to_owned()),
    }
    for needed in ["title", "desc"] {
        if !page.tags.iter().any(|tag| tag.name == needed) {
            faults.push(format!("it has no <{needed}>"));
        }
    }
    for tag in &page.tags {
        if matches!(&*tag.name, "script" | "style" | "image" | "foreignobject") {
            faults.push(format!("a <{}> has no place in a figure", tag.name));
        }
        for paint in ["fill", "stroke"] {
            let follows_theme =
                |value: &str| matches!(value, "none" | "currentColor" | "inherit") || value.starts_with("var(--");
            if let Some(value) = tag.attribute(paint)
                && !follows_theme(value)
            {
                faults.push(format!("{paint}=\"{value}\" is the same in every theme: use currentColor"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_line_is_told_from_others() {
        assert_eq!(parse("{{#figure figures/a.svg Who wakes whom}}"), Some(("figures/a.svg", "Who wakes whom")));
        assert_eq!(parse("{{#include a.rs}}"), None);
    }

    #[test]
    fn a_drawing_for_one_theme_or_without_words_is_refused() {
        let good = r#"<svg role="img" viewBox="0 0 1 1"><title>a</title><desc>b</desc><g fill="none"/></svg>"#;
        assert_eq!(faults(good), Vec::<String>::new());
        let bad = r#"<svg viewBox="0 0 1 1"><title>a</title><g stroke="black"/></svg>"#;
        assert_eq!(faults(bad).len(), 3);
    }
}
