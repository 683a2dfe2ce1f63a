//! The programs that measure what waiting costs: what they say and draw has the shape that the book tells of. How long
//! anything takes is not tested.

use std::fs;

use pollywog_tests::folder::Folder;
use pollywog_tests::program::run;

/// The numbers of the line that begins with `name`.
fn numbers(said: &str, name: &str) -> Vec<u64> {
    let line =
        said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no '{name}' in:\n{said}"));
    line.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn is_drawing(svg: &str) {
    for part in ["role=\"img\"", "viewBox=\"0 0 720 ", "<title>", "<desc>", "</svg>\n"] {
        assert!(svg.contains(part), "no {part} in:\n{svg}");
    }
}

#[test]
fn waiting_tells_where_the_time_of_four_works_goes() {
    let folder = Folder::new();
    let file = folder.file("bars.svg");
    let ended = run("waiting", &["--svg", file.to_str().unwrap()]);
    assert!(ended.status.success(), "{ended:?}");
    for work in ["compute ", "ask ", "wait ", "converse "] {
        let [wall, user, system, off, _voluntary, _involuntary] = numbers(&ended.said, work)[..] else {
            panic!("{ended:?}")
        };
        assert!(wall.abs_diff(user + system + off) <= 2, "rounded to the millisecond: {ended:?}");
    }
    let slept = numbers(&ended.said, "wait ");
    assert!(slept[0] >= 400, "20 bytes, 20 ms each: {slept:?}");
    is_drawing(&fs::read_to_string(file).unwrap());
}

#[test]
fn not_now_fills_a_pipe_and_counts_what_asking_costs() {
    let folder = Folder::new();
    let ended = run("not_now", &["--svg", folder.path().to_str().unwrap()]);
    assert!(ended.status.success(), "{ended:?}");
    let steps: Vec<_> = ended.said.lines().take_while(|line| !line.is_empty()).collect();
    assert!(steps[0].starts_with("write 40000: 40000 "), "{steps:?}");
    let refused = steps.iter().position(|step| step.starts_with("write 40000: not now")).unwrap();
    assert!(steps[refused + 1].starts_with("read 20000: 20000 "), "{steps:?}");
    assert!(steps[refused + 2].starts_with("write 40000: "), "there is room again: {steps:?}");
    assert!(!steps[refused + 2].contains("not now"), "there is room again: {steps:?}");

    let [blocking, spinning] = ["blocking ", "non-blocking "].map(|name| numbers(&ended.said, name)[0]);
    assert_eq!(blocking, 21, "one for each byte, and one for the end");
    assert!(spinning > blocking, "{ended:?}");
    for name in ["not-now-filling.svg", "not-now-cost.svg"] {
        is_drawing(&fs::read_to_string(folder.file(name)).unwrap());
    }
}
