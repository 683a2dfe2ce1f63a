//! Opens every page in headless Chromium and looks at what a reader would get: the text, a silent console, and no call
//! to another host.

mod chromium;
mod phone;
mod proxy;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::check::html::Page;
use crate::fault::Fault;
use crate::workspace::Workspace;

use self::chromium::{Chromium, Scheme};
use self::proxy::Proxy;

/// How the pages are looked at.
#[derive(Debug, Clone, Default)]
pub struct BrowserOptions {
    /// Where to leave pictures of every page: light, dark, and as wide as a phone.
    pub screenshots: Option<PathBuf>,
}

/// Opens the pages of `book/out` in Chromium. Where it is not installed, says so and finds nothing, unless `CI=true`.
///
/// # Errors
///
/// When Chromium cannot be started or does not end.
pub fn check_in_browser(workspace: &Workspace, options: &BrowserOptions) -> io::Result<Vec<Fault>> {
    let proxy = Proxy::start()?;
    let Some(chromium) = Chromium::find(proxy.address())? else {
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            return Ok(vec![Fault::new("browser", "CI=true, and Chromium is not installed")]);
        }
        println!("browser check skipped: Chromium is not installed");
        return Ok(Vec::new());
    };
    let pages = pages(&workspace.out())?;
    let mut faults = Vec::new();
    for name in &pages {
        let page = workspace.out().join(name);
        let place = format!("book/out/{name} in the browser");
        let seen = chromium.open(&page)?;
        let called = proxy.take()?;
        let found = look(&fs::read_to_string(&page)?, &seen.html)
            .into_iter()
            .chain(seen.console.iter().map(|line| format!("the console says {line}")))
            .chain(called.iter().map(|host| format!("the page calls '{host}'")));
        faults.extend(found.map(|what| Fault::new(place.as_str(), what)));
        if let Some(directory) = &options.screenshots {
            picture(&chromium, &page, directory)?;
        }
    }
    faults.extend(phone::check(&chromium, &workspace.out(), &pages)?);
    println!("{} pages opened in {}", pages.len(), chromium.name());
    Ok(faults)
}

/// Compares what was written with what the browser made of it.
fn look(written: &str, seen: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (written_text, seen_text) = (main_text(written), main_text(seen));
    if seen_text.is_empty() || !seen_text.contains(&written_text[..first_words(&written_text)]) {
        faults.push("the text of the page is not there".to_owned());
    }
    let figures = |html: &str| {
        let page = Page::parse(html);
        page.tags.iter().filter(|tag| tag.name == "svg" && tag.attribute("role") == Some("img")).count()
    };
    if figures(written) != figures(seen) {
        faults.push("a figure is not there".to_owned());
    }
    // The page for printing has no list of chapters; elsewhere a script puts it in.
    let has_sidebar = written.contains("<mdbook-sidebar-scrollbox");
    if has_sidebar && !seen.contains("class=\"chapter-item") {
        faults.push("the list of chapters is not there: the scripts did not run".to_owned());
    }
    faults
}

/// The text of the `<main>` element, without its tags and with single spaces.
fn main_text(html: &str) -> String {
    let main = html.split_once("<main>").map_or("", |(_, rest)| rest);
    let main = main.split_once("</main>").map_or(main, |(main, _)| main);
    let mut text = String::new();
    for piece in main.split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The end of the first words: further on, the scripts add buttons and colour the listings.
fn first_words(text: &str) -> usize {
    text.char_indices().nth(40).map_or(text.len(), |(at, _)| at)
}

/// The pages that readers open; `toc.html` is only for browsers without scripts.
fn pages(out: &Path) -> io::Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(out)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".html") && name != "toc.html" && name != "print.html" {
            pages.push(name);
        }
    }
    pages.sort();
    Ok(pages)
}

fn picture(chromium: &Chromium, page: &Path, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let directory = directory.canonicalize()?;
    let stem = page.file_stem().unwrap_or_default().to_string_lossy();
    for (scheme, width, suffix) in
        [(Scheme::Light, 1200, "light"), (Scheme::Dark, 1200, "dark"), (Scheme::Light, 390, "phone")]
    {
        chromium.picture(page, scheme, width, &directory.join(format!("{stem}-{suffix}.png")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_the_browser_lost_is_a_fault() {
        let written = "<main><h1>Title</h1>\n<p>Some words.</p></main>";
        assert_eq!(look(written, written), Vec::<String>::new());
        assert_eq!(look(written, "<main></main>").len(), 1);
        let figure = "<main><h1>T</h1><svg role=\"img\"></svg></main>";
        assert_eq!(look(figure, "<main><h1>T</h1></main>"), ["a figure is not there"]);
    }
}
