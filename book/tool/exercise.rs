//! Exercises on a page: the stubs for the reader, the command that tells when they are done, and the solutions, folded
//! away. All of it is from one file, whose tests run with both.

use std::path::Path;

use crate::fence::fenced;
use crate::listing::{escape, keep_hashes, load};
use crate::name::{canonical, nearest};
use crate::source::{Docs, SourceFile};

const STUB: &str = "#[cfg(not(feature = \"solutions\"))]";
const SOLUTION: &str = "#[cfg(feature = \"solutions\")]";

/// Where the files of the exercises are; each is called `chapter-N.rs`.
pub(crate) const TESTS: &str = "book/exercises/tests/";

/// The markdown that stands for a fence of exercises, or what is wrong with each of its lines.
pub(crate) fn render(root: &Path, body: &str) -> Result<String, Vec<String>> {
    let mut exercise: Option<(&str, SourceFile)> = None;
    let (mut stubs, mut solutions, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let found = (|| {
            let (path, query) = line.split_once(' ').ok_or("a line like 'book/exercises/tests/chapter-2.rs name'")?;
            if exercise.is_none() {
                target(path)?;
                exercise = Some((path, load(root, path)?));
            }
            let (of, source) = exercise.as_ref().ok_or("no file")?;
            if *of != path {
                return Err("the exercises of one fence are from one file".to_owned());
            }
            halves(source, query)
        })();
        match found {
            Ok((stub, solution)) => {
                stubs.push(stub);
                solutions.push(solution);
            }
            Err(what) => faults.push(format!("exercise '{line}': {what}")),
        }
    }
    let Some((path, _)) = exercise.filter(|_| faults.is_empty()) else {
        if faults.is_empty() {
            faults.push("an exercise without a line like 'book/exercises/tests/chapter-2.rs name'".into());
        }
        return Err(faults);
    };
    let stub = fenced("rust", &keep_hashes(&stubs.join("\n")));
    let solution = fenced("rust", &keep_hashes(&solutions.join("\n")));
    let target = target(path).map_err(|what| vec![what])?;
    let command = format!("cargo test -p pollywog-exercises --test {target}");
    Ok(format!(
        "<p class=\"listing\"><code>{}</code> · yours to change, until this passes: <code>{command}</code></p>\n\n{stub}\n\
         <details class=\"solution\">\n<summary>A solution</summary>\n\n{solution}\n</details>\n",
        escape(path)
    ))
}

/// What cargo calls the tests of a file.
fn target(path: &str) -> Result<&str, String> {
    path.strip_prefix(TESTS)
        .and_then(|name| name.strip_suffix(".rs"))
        .filter(|name| !name.contains('/'))
        .ok_or_else(|| format!("exercises are in {TESTS}"))
}

/// The stub and the solution of that name.
fn halves(source: &SourceFile, query: &str) -> Result<(String, String), String> {
    let wanted = canonical(query).map_err(|error| format!("'{query}' is no name: {error}"))?;
    let half = |condition: &str| {
        let texts = source.items().iter().filter(|item| item.name == wanted || item.full == wanted);
        let mut texts =
            texts.map(|item| source.excerpt(item, Docs::Keep).text).filter(|text| is_under(text, condition));
        texts.next().map(|text| {
            let kept = text.lines().filter(|line| *line != condition).collect::<Vec<_>>();
            kept.join("\n") + "\n"
        })
    };
    match (half(STUB), half(SOLUTION)) {
        (Some(stub), Some(solution)) => Ok((stub, solution)),
        (None, None) => {
            let names = source.items().iter().map(|item| item.name.as_str());
            Err(format!(
                "no stub and no solution '{query}'; the nearest are '{}'",
                nearest(&wanted, names).join("', '")
            ))
        }
        (None, _) => Err(format!("'{query}' has no stub, under {STUB}")),
        (_, None) => Err(format!("'{query}' has no solution, under {SOLUTION}")),
    }
}

/// Whether the condition is among the attributes at the head of an item.
fn is_under(text: &str, condition: &str) -> bool {
    text.lines().take_while(|line| line.starts_with("#[") || line.starts_with("//")).any(|line| line == condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/// 1: answer.\n#[cfg(not(feature = \"solutions\"))]\nfn answer() -> u8 {\n    todo!()\n}\n\n\
                          /// As always.\n#[cfg(feature = \"solutions\")]\nfn answer() -> u8 {\n    42\n}\n\n\
                          #[cfg(feature = \"solutions\")]\nfn half() {}\n\n#[test]\nfn t() {}\n";

    #[test]
    fn stub_and_solution_are_told_apart() {
        let source = SourceFile::parse(SOURCE).unwrap();
        let (stub, solution) = halves(&source, "answer").unwrap();
        assert_eq!(stub, "/// 1: answer.\nfn answer() -> u8 {\n    todo!()\n}\n");
        assert_eq!(solution, "/// As always.\nfn answer() -> u8 {\n    42\n}\n");
    }

    #[test]
    fn half_an_exercise_is_a_fault() {
        let source = SourceFile::parse(SOURCE).unwrap();
        assert!(halves(&source, "half").unwrap_err().contains("no stub"));
        assert!(halves(&source, "anser").unwrap_err().contains("'answer'"));
        assert!(target("book/exercises/src/lib.rs").is_err() && target("book/exercises/tests/chapter-2.rs").is_ok());
    }
}
