//! Links inside the book, down to the heading.

use std::path::Path;

use crate::check::html::Page;
use crate::check::{Site, is_elsewhere, percent_decoded, place};
use crate::fault::Fault;

/// The links of a page that lead nowhere. Links to other hosts are the reader's to follow, not ours to try.
pub(super) fn check(site: &Site, path: &Path, page: &Page) -> Vec<Fault> {
    let mut faults = Vec::new();
    for tag in page.tags.iter().filter(|tag| tag.name == "a") {
        let Some(address) = tag.attribute("href") else { continue };
        if is_elsewhere(address) {
            continue;
        }
        let (file, anchor) = address.split_once('#').unwrap_or((address, ""));
        let target = if file.is_empty() { Some(path.to_owned()) } else { site.resolve(path, file) };
        let Some(target) = target else {
            faults.push(Fault::new(place(path), format!("the link '{address}' leads to no file")));
            continue;
        };
        let anchor = percent_decoded(anchor);
        if anchor.is_empty() {
            continue;
        }
        if let Some(page) = site.pages.get(&target)
            && !page.has_anchor(&anchor)
        {
            let what = format!("the link '{address}' leads to no heading: '{anchor}' is not there");
            faults.push(Fault::new(place(path), what));
        }
    }
    faults
}
