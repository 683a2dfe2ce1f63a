//! Every page at the width of a phone: nothing makes the page itself wider than the screen, and the words of the figures
//! can be read. What is wide (a listing, a table, a drawing) is moved within its own frame.

use std::fs;
use std::io;
use std::path::Path;

use crate::browser::chromium::Chromium;
use crate::fault::Fault;

/// The width of a phone, in the pixels of a style sheet.
const WIDTH: u32 = 390;

/// Puts each page into a frame of that width, and measures. It writes one line for each page, `name|width|smallest`:
/// how wide the page is, and how large the smallest words of a figure are.
const SCRIPT: &str = r#"
const measure = (name) => new Promise((done) => {
  const frame = document.createElement('iframe');
  frame.style = 'width: WIDTHpx; height: 800px; border: 0';
  frame.onload = () => {
    const page = frame.contentDocument;
    let smallest = 99;
    for (const text of page.querySelectorAll('figure svg text')) {
      const svg = text.ownerSVGElement;
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      smallest = Math.min(smallest, parseFloat(getComputedStyle(text).fontSize) * scale);
    }
    const width = page.querySelector('main').parentElement.scrollWidth;
    const all = Math.max(width, page.documentElement.scrollWidth);
    document.getElementById('out').textContent += `${name}|${all}|${smallest.toFixed(1)}\n`;
    frame.remove();
    done();
  };
  frame.src = name;
  document.body.append(frame);
});
(async () => { for (const name of PAGES) await measure(name); })();
"#;

/// The smallest words that can be read on a phone, in its pixels.
const SMALLEST: f64 = 10.0;

/// What is too wide or too small.
pub(super) fn check(chromium: &Chromium, out: &Path, pages: &[String]) -> io::Result<Vec<Fault>> {
    let folder = tempfile::tempdir()?;
    let names: Vec<String> = pages.iter().map(|page| format!("\"file://{}\"", out.join(page).display())).collect();
    let script = SCRIPT.replace("WIDTH", &WIDTH.to_string()).replace("PAGES", &format!("[{}]", names.join(",")));
    let file = folder.path().join("phone.html");
    fs::write(&file, format!("<!DOCTYPE html><body><pre id=\"out\"></pre><script>{script}</script></body>"))?;
    let html = chromium.measure(&file)?;
    let measured = html.split_once("<pre id=\"out\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let measured = measured.map_or("", |(measured, _)| measured);
    Ok(pages.iter().filter_map(|page| judge(page, measured).map(|what| fault(page, &what))).collect())
}

fn fault(page: &str, what: &str) -> Fault {
    Fault::new(format!("book/out/{page} on a phone"), what)
}

fn judge(page: &str, measured: &str) -> Option<String> {
    let line = measured.lines().find_map(|line| line.split_once(&format!("/{page}|")));
    let Some((width, smallest)) = line.and_then(|(_, rest)| rest.split_once('|')) else {
        return Some("it could not be measured".to_owned());
    };
    if width.parse::<u32>().is_ok_and(|width| width > WIDTH) {
        return Some(format!("it is {width} wide, and the screen {WIDTH}"));
    }
    (smallest.parse::<f64>().is_ok_and(|smallest| smallest < SMALLEST))
        .then(|| format!("words of a figure are {smallest} large, and {SMALLEST} can be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_pages_and_small_words_are_faults() {
        let measured = "file:///x/a.html|390|11.2\nfile:///x/b.html|500|99\nfile:///x/c.html|390|7.0\n";
        assert_eq!(judge("a.html", measured), None);
        assert!(judge("b.html", measured).unwrap().contains("500 wide"));
        assert!(judge("c.html", measured).unwrap().contains("7.0 large"));
        assert!(judge("d.html", measured).unwrap().contains("not be measured"));
    }
}
