//! Recorded outputs: `book/recorded/NAME.txt`, made by `record` as `NAME.toml` says, and checked against what makes them.
//!
//! An output that comes out the same again is made again by the check. One that is measured is not: `NAME.stamp` holds
//! the fingerprints of the sources that its figures came from, and when one of them has changed, the figures are stale.

mod drawing;
mod machine;
mod manifest;
mod run;
mod stamp;

use std::env;
use std::fs;
use std::io;

use crate::fault::Fault;
use crate::fence::fenced;
use crate::listing::escape;
use crate::matching;
use crate::workspace::Workspace;

use self::manifest::Manifest;

/// The page that tells about the machine.
const MACHINE_PAGE: &str = "measured.md";

/// The markdown that stands for a whole recording.
pub(crate) fn show(workspace: &Workspace, name: &str, body: &str) -> Result<String, String> {
    if !body.trim().is_empty() {
        return Err(format!(
            "the fence of the recorded output '{name}' has a body: it comes from book/recorded/{name}.txt"
        ));
    }
    let text = read(workspace, name)?;
    if name == "machine" {
        return Ok(fenced("text", &text));
    }
    let manifest = Manifest::read(workspace, name).map_err(|what| format!("recorded output '{name}': {what}"))?;
    let shown = match &manifest.command {
        Some(command) => format!("$ {command}\n{text}"),
        None => text,
    };
    let caption = if manifest.measured {
        format!("<p class=\"listing\">measured on <a href=\"{MACHINE_PAGE}\">this machine</a></p>\n\n")
    } else {
        String::new()
    };
    Ok(caption + &fenced("text", &shown))
}

/// The markdown that stands for lines of a recording.
pub(crate) fn excerpt(workspace: &Workspace, name: &str, body: &str) -> Result<String, String> {
    if body.trim().is_empty() {
        return Err(format!("an excerpt of the recorded output '{name}' without a line"));
    }
    let text = read(workspace, name)?;
    match matching::excerpt(body, &text) {
        Ok(()) => Ok(fenced("text", body)),
        Err((at, line)) => Err(format!(
            "line {} of the excerpt, '{}', is not in book/recorded/{name}.txt, or not there",
            at + 1,
            escape(&line)
        )),
    }
}

fn read(workspace: &Workspace, name: &str) -> Result<String, String> {
    let file = workspace.recorded().join(format!("{name}.txt"));
    fs::read_to_string(file)
        .map_err(|error| format!("recorded output book/recorded/{name}.txt: {error}; `record {name}` makes it"))
}

/// The names of all recordings.
pub(crate) use self::manifest::names;

/// The drawings of a recording.
pub(crate) fn figures(workspace: &Workspace, name: &str) -> Vec<String> {
    let manifest = Manifest::read(workspace, name).unwrap_or_default();
    manifest.figures.iter().map(|figure| format!("figures/{figure}")).collect()
}

/// Makes the recordings of these names, or all of them, and says so.
///
/// # Errors
///
/// When a file cannot be written. What does not run is among the faults.
pub fn record(workspace: &Workspace, names: &[String]) -> io::Result<Vec<Fault>> {
    let known = manifest::names(workspace)?;
    let mut faults = Vec::new();
    for name in if names.is_empty() { &known } else { names } {
        if name == "machine" {
            fs::write(workspace.root().join(stamp::MACHINE), machine::describe())?;
            continue;
        }
        let place = format!("book/recorded/{name}.toml");
        let made = Manifest::read(workspace, name).and_then(|manifest| record_one(workspace, name, &manifest));
        match made {
            Ok(()) => println!("recorded {name}"),
            Err(what) => faults.push(Fault::new(place, what)),
        }
    }
    Ok(faults)
}

fn record_one(workspace: &Workspace, name: &str, manifest: &Manifest) -> Result<(), String> {
    if let Some(program) = run::missing(manifest) {
        return Err(format!("it needs {program}, which is not installed"));
    }
    let output = run::run(workspace, manifest)?;
    let write = |path: String, text: &str| {
        let path = workspace.root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(workspace.root())).map_err(|error| error.to_string())?;
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    write(format!("book/recorded/{name}.txt"), &output.text)?;
    for (figure, svg) in &output.figures {
        write(format!("book/src/figures/{figure}"), svg)?;
    }
    if manifest.measured {
        write(stamp::MACHINE.to_owned(), &machine::describe())?;
        let stamp = stamp::take(workspace, name, manifest)?;
        write(format!("book/recorded/{name}.stamp"), &stamp::write(&stamp))?;
    }
    Ok(())
}

/// Whether each recording is still what its program gives.
///
/// # Errors
///
/// When a file cannot be read.
pub fn check_recorded(workspace: &Workspace) -> io::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for name in manifest::names(workspace)? {
        let checked = Manifest::read(workspace, &name).and_then(|manifest| drift(workspace, &name, &manifest));
        if let Err(what) = checked {
            faults.push(Fault::new(format!("book/recorded/{name}.txt"), what));
        }
    }
    Ok(faults)
}

fn drift(workspace: &Workspace, name: &str, manifest: &Manifest) -> Result<(), String> {
    let recorded = read(workspace, name)?;
    let again = format!("`cargo run -p pollywog-book -- record {name}` makes it anew");
    if manifest.measured {
        let path = workspace.recorded().join(format!("{name}.stamp"));
        let was = fs::read_to_string(path).map_err(|error| format!("book/recorded/{name}.stamp: {error}; {again}"))?;
        let changed = stamp::changed(&stamp::parse(&was), &stamp::take(workspace, name, manifest)?);
        return match changed.as_slice() {
            [] => Ok(()),
            [path] if path == stamp::MACHINE => {
                Err(format!("it was measured on another machine than the rest; {again}"))
            }
            paths => Err(format!("{} changed since it was measured; {again}", paths.join(", "))),
        };
    }
    if let Some(program) = run::missing(manifest) {
        let what = format!("{program} is not installed");
        if env::var("CI").is_ok_and(|value| value == "true") {
            return Err(format!("CI=true, and {what}"));
        }
        println!("recorded output '{name}' not checked: {what}");
        return Ok(());
    }
    let output = run::run(workspace, manifest)?;
    if let Some(difference) = manifest.difference(&recorded, &output.text)? {
        return Err(format!("{difference}; {again}"));
    }
    for (figure, svg) in &output.figures {
        let drawn = fs::read_to_string(workspace.text().join("figures").join(figure));
        if drawn.ok().as_ref() != Some(svg) {
            return Err(format!("the drawing figures/{figure} is another one now; {again}"));
        }
    }
    Ok(())
}
