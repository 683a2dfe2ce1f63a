//! `book/recorded/NAME.stamp`: from which sources measured figures came, and on which machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::recorded::manifest::Manifest;
use crate::workspace::Workspace;

/// Fingerprints by path below the workspace.
pub(crate) type Stamp = BTreeMap<String, String>;

/// Where the machine of the measured figures is described.
pub(crate) const MACHINE: &str = "book/recorded/machine.txt";

/// The fingerprints of all that the figures of `name` depend on, and of the figures themselves.
pub(crate) fn take(workspace: &Workspace, name: &str, manifest: &Manifest) -> Result<Stamp, String> {
    let root = workspace.root();
    let mut paths = vec![MACHINE.to_owned(), format!("book/recorded/{name}.toml"), format!("book/recorded/{name}.txt")];
    paths.extend(manifest.figures.iter().map(|figure| format!("book/src/figures/{figure}")));
    for example in &manifest.examples {
        paths.push(source_of(root, example)?);
    }
    for pattern in &manifest.sources {
        paths.extend(expand(root, pattern)?);
    }
    let print = |path: String| {
        let text = fs::read(root.join(&path)).map_err(|error| format!("{path}: {error}"))?;
        Ok((path.clone(), fingerprint(&path, &text)))
    };
    paths.into_iter().map(print).collect()
}

/// The stamp as a file holds it.
pub(crate) fn write(stamp: &Stamp) -> String {
    stamp.iter().fold(String::new(), |text, (path, print)| text + print + "  " + path + "\n")
}

pub(crate) fn parse(text: &str) -> Stamp {
    text.lines().filter_map(|line| line.split_once("  ")).map(|(print, path)| (path.into(), print.into())).collect()
}

/// What changed between two stamps, by path.
pub(crate) fn changed(was: &Stamp, is: &Stamp) -> Vec<String> {
    let mut paths: Vec<String> = was.keys().chain(is.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| was.get(path) != is.get(path));
    paths
}

/// The file that an example begins with.
fn source_of(root: &Path, example: &str) -> Result<String, String> {
    let manifest = fs::read_to_string(root.join("examples/Cargo.toml")).map_err(|error| error.to_string())?;
    let manifest: toml::Table = manifest.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let listed = manifest.get("example").and_then(toml::Value::as_array).into_iter().flatten();
    let mut listed = listed.filter(|entry| entry.get("name").and_then(toml::Value::as_str) == Some(example));
    if let Some(path) = listed.next().and_then(|entry| entry.get("path")).and_then(toml::Value::as_str) {
        return Ok(format!("examples/{path}"));
    }
    let paths = [format!("examples/examples/{example}.rs"), format!("examples/examples/{example}/main.rs")];
    paths.into_iter().find(|path| root.join(path).is_file()).ok_or_else(|| format!("there is no example '{example}'"))
}

/// The files that a path with `*` in its last part stands for.
fn expand(root: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let (before, after) = match name.split_once('*') {
        None => return Ok(vec![pattern.to_owned()]),
        Some(parts) => parts,
    };
    let entries = fs::read_dir(root.join(folder)).map_err(|error| format!("{pattern}: {error}"))?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(before) && name.ends_with(after) && name.len() >= before.len() + after.len())
        .map(|name| format!("{folder}/{name}"))
        .filter(|path| root.join(path).is_file())
        .collect();
    found.sort();
    if found.is_empty() { Err(format!("'{pattern}' stands for no file")) } else { Ok(found) }
}

/// A number for a text (FNV-1a). Of programs, comments on lines of their own, blank lines and indentation count for
/// nothing.
fn fingerprint(path: &str, text: &[u8]) -> String {
    let comment = match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "rs" => "//",
        "py" | "toml" => "#",
        _ => return hash(text),
    };
    let text = String::from_utf8_lossy(text);
    let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(comment));
    hash(code.collect::<Vec<_>>().join("\n").as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_do_not_make_figures_stale() {
        let code = fingerprint("a.rs", b"fn a() {\n    b();\n}\n");
        assert_eq!(code, fingerprint("a.rs", b"/// Why.\nfn a() {\n\n    // Now.\n        b();\n}\n"));
        assert_ne!(code, fingerprint("a.rs", b"fn a() {\n    c();\n}\n"));
        assert_ne!(fingerprint("a.txt", b"a\n"), fingerprint("a.txt", b"a\n\n"));
    }

    #[test]
    fn a_stamp_says_what_changed() {
        let was = parse("01  a\n02  b\n");
        assert_eq!(write(&was), "01  a\n02  b\n");
        assert_eq!(changed(&was, &parse("01  a\n03  b\n04  c\n")), ["b", "c"]);
    }
}
