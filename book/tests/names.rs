//! The book of this workspace: whichever item of its listings is renamed, the book does not build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pollywog_book::{SourceFile, Workspace};

/// The items that `rust,item` fences list, by file.
fn listings(workspace: &Workspace) -> BTreeMap<String, BTreeSet<String>> {
    let mut listings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for page in pages(&workspace.text()) {
        let text = fs::read_to_string(page).unwrap();
        for fence in text.split("```rust,item").skip(1) {
            let lines = fence.lines().skip(1).take_while(|line| !line.trim_start().starts_with("```"));
            for (path, name) in lines.filter_map(|line| line.trim().split_once(' ')) {
                listings.entry(path.to_owned()).or_default().insert(name.trim().to_owned());
            }
        }
    }
    listings
}

fn pages(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The last word of a name: of `<Lent as Drop>::drop` it is `drop`, of `Debug for Key` it is `Key`.
fn word(name: &str) -> &str {
    let name = name.split('<').next().filter(|head| !head.is_empty()).unwrap_or(name);
    let end = name.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
    end.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(end)
}

/// The text with that word renamed wherever it stands alone.
fn renamed(text: &str, word: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut new = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let end = at + word.len();
        let alone = !rest[..at].ends_with(is_part) && !rest[end..].starts_with(is_part);
        new.push_str(&rest[..end]);
        if alone {
            new.push_str("_renamed");
        }
        rest = &rest[end..];
    }
    new + rest
}

#[test]
fn an_item_that_is_renamed_is_not_found_any_more() {
    let workspace = Workspace::here();
    let listings = listings(&workspace);
    assert!(listings.values().map(BTreeSet::len).sum::<usize>() > 100, "the listings of the book were not found");
    for (path, names) in listings {
        let text = fs::read_to_string(workspace.root().join(&path)).unwrap();
        let source = SourceFile::parse(&text).unwrap();
        for name in &names {
            source.find(name).unwrap_or_else(|what| panic!("{path} {name}: {what}"));
        }
        let words: BTreeSet<&str> = names.iter().map(|name| word(name)).collect();
        let new = words.into_iter().fold(text.clone(), |text, word| renamed(&text, word));
        let source = SourceFile::parse(&new).unwrap_or_else(|what| panic!("{path} does not parse any more: {what}"));
        for name in &names {
            assert!(source.find(name).is_err(), "{path}: {name} is still found when it is renamed");
        }
    }
}
