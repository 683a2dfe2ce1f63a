//! What a page loads by itself: images, scripts, styles, fonts. All of it has to be in the book.

use std::path::Path;

use crate::check::html::{Page, Tag};
use crate::check::{Site, is_elsewhere, place};
use crate::fault::Fault;

/// The loads of a page that leave the book or find nothing, and images that say nothing to who cannot see them.
pub(super) fn check_page(site: &Site, path: &Path, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for tag in &page.tags {
        for address in addresses(tag) {
            faults.extend(check_load(site, path, &format!("<{}>", tag.name), address));
        }
        if let Some(style) = tag.attribute("style") {
            faults.extend(check_style(site, path, style));
        }
        if tag.name == "img" && tag.attribute("alt").is_none_or(|alt| alt.trim().is_empty()) {
            let source = tag.attribute("src").unwrap_or("");
            faults.push(Fault::new(place(path), format!("the image '{source}' has no alt text")));
        }
        let classes = tag.attribute("class").unwrap_or("");
        if classes.split(' ').any(|class| class == "playground") {
            let what = "a listing for the playground: such a page calls another host";
            faults.push(Fault::new(place(path), what));
        }
    }
    faults.extend(check_style(site, path, &page.styles));
    faults
}

/// The loads of a style sheet.
pub(super) fn check_style(site: &Site, path: &Path, style: &str) -> Vec<Fault> {
    let style = without_comments(style);
    let mut faults = Vec::new();
    for (at, _) in style.match_indices("url(") {
        let rest = &style[at + 4..];
        let address = rest.split(')').next().unwrap_or("").trim().trim_matches(['"', '\'']);
        faults.extend(check_load(site, path, "url()", address));
    }
    for (at, _) in style.match_indices("@import") {
        let rest = style[at + 7..].trim_start();
        // The form with url() was seen above.
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let address = rest[1..].split(quote).next().unwrap_or("");
            faults.extend(check_load(site, path, "@import", address));
        }
    }
    faults
}

fn check_load(site: &Site, path: &Path, by: &str, address: &str) -> Option<Fault> {
    let address = address.trim();
    // A data address holds what it names; a fragment is a part of the page.
    if address.is_empty() || address.starts_with("data:") || address.starts_with('#') {
        return None;
    }
    if is_elsewhere(address) {
        return Some(Fault::new(place(path), format!("{by} loads '{address}' from another host")));
    }
    site.resolve(path, address)
        .is_none()
        .then(|| Fault::new(place(path), format!("{by} loads '{address}', which is not there")))
}

/// The addresses that a browser loads when it sees this tag.
fn addresses(tag: &Tag) -> Vec<&str> {
    let names: &[&str] = match &*tag.name {
        "link" | "image" | "use" => &["href", "xlink:href"],
        "video" => &["src", "poster"],
        "object" => &["data"],
        "img" | "script" | "iframe" | "embed" | "source" | "audio" | "track" | "input" => &["src"],
        _ => &[],
    };
    let mut found: Vec<&str> = names.iter().filter_map(|name| tag.attribute(name)).collect();
    if let Some(set) = tag.attribute("srcset") {
        found.extend(set.split(',').filter_map(|one| one.split_whitespace().next()));
    }
    found
}

fn without_comments(style: &str) -> String {
    let mut parts = style.split("/*");
    let mut kept = parts.next().unwrap_or("").to_owned();
    for part in parts {
        kept.push_str(part.split_once("*/").map_or("", |(_, after)| after));
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    fn faults(html: &str) -> Vec<String> {
        let site = Site { root: PathBuf::from("/nowhere"), pages: BTreeMap::new(), styles: BTreeMap::new() };
        let page = Page::parse(html);
        check_page(&site, Path::new("a.html"), &page).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn whatever_calls_another_host_is_found() {
        for html in [
            r#"<script src="https://cdn.example/x.js"></script>"#,
            r#"<link rel="stylesheet" href="//cdn.example/x.css">"#,
            r#"<img alt="a" src="b.png" srcset="http://cdn.example/x.png 2x">"#,
            r#"<p style="background: url('https://cdn.example/x.png')">"#,
            r#"<style>@import "https://cdn.example/x.css";</style>"#,
            r#"<pre><code class="language-rust playground"></code></pre>"#,
        ] {
            assert!(faults(html).iter().any(|fault| fault.contains("another host")), "{html}");
        }
    }

    #[test]
    fn links_data_and_comments_load_nothing() {
        let html = r#"<a href="https://example.org">x</a><img alt="a" src="data:image/png;base64,AA">
            <style>/* url(https://example.org) */</style><script>"<img src='http://x/'>"</script>"#;
        assert_eq!(faults(html), Vec::<String>::new());
    }

    #[test]
    fn an_image_needs_words() {
        assert_eq!(faults(r#"<img src="data:,">"#).len(), 1);
        assert_eq!(faults(r#"<img alt=" " src="data:,">"#).len(), 1);
    }
}
