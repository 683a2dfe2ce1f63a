//! The programs in Python: what the table of models does not ask of them.

use std::process::{Command, Stdio};

use pollywog_examples::models::MODELS;
use pollywog_tests::limits::skip;
use pollywog_tests::model::{PYTHON, ask, is_sent_away, python, start};
use pollywog_tests::program::{Program, Signal};
use socket2::SockRef;

fn has_python(test: &str) -> bool {
    let found = Command::new(PYTHON).arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        skip(test, &format!("it needs {PYTHON}"));
    }
    found
}

/// What select's third list is for.
#[test]
fn urgent_data_comes_in_the_third_list_and_is_lost_to_who_reads_past_it() {
    if !has_python("urgent_data_comes_in_the_third_list_and_is_lost_to_who_reads_past_it") {
        return;
    }
    let output = python("select_urgent.py").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "\
eight bytes, an urgent one: exceptional + readable
recv(1, MSG_OOB)          : b'!'
what is left              : readable
recv(100)                 : b'in order'
an urgent one, and seven  : exceptional + readable
recv(100)                 : b'past it'
the end                   : readable b''
"
    );
}

#[test]
fn the_server_of_select_sends_an_urgent_byte_back() {
    const NAME: &str = "the_server_of_select_sends_an_urgent_byte_back";
    let model = MODELS.iter().find(|model| model.name == "select in Python").unwrap();
    let Some(program) = start(NAME, model) else { return };
    let mut stream = program.connect();
    for _ in 0..3 {
        SockRef::from(&stream).send_out_of_band(b"!").unwrap();
        pollywog_tests::model::answer(&mut stream, b"!");
        ask(&mut stream, b"in order");
    }
}

/// `select` has sets of a fixed size, in Python too: who does not fit is sent away, and nobody else.
#[test]
fn the_server_of_select_sends_those_away_whom_its_sets_cannot_hold() {
    const NAME: &str = "the_server_of_select_sends_those_away_whom_its_sets_cannot_hold";
    if !has_python(NAME) {
        return;
    }
    // The listener is the last that fits.
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" -c 'import os, runpy, sys
for number in range(3, 1022): os.dup2(0, number)
sys.path[0] = os.path.dirname(sys.argv[1])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name=\"__main__\")' \"$@\"",
        PYTHON,
    ]);
    command.args(python("select_server.py").get_args().skip(1)).args(["--addr", "127.0.0.1:0"]);
    let program = Program::start_command("select_server.py", command);
    let mut fits = program.connect();
    ask(&mut fits, b"fits");
    assert!(is_sent_away(&mut program.connect()));
    ask(&mut fits, b"still here");
}

#[test]
fn a_server_in_python_refuses_in_one_line_and_ends_without_a_word() {
    if !has_python("a_server_in_python_refuses_in_one_line_and_ends_without_a_word") {
        return;
    }
    let mut command = python("poll_server.py");
    command.args(["--addr", "127.0.0.1:0"]);
    let program = Program::start_command("poll_server.py", command);
    let taken = program.addr().to_string();
    for (addr, line) in [
        (taken.as_str(), format!("poll_server.py: cannot listen on {taken}: Address already in use\n")),
        ("192.0.2.1:7007", "poll_server.py: cannot listen on 192.0.2.1:7007: Cannot assign requested address\n".into()),
    ] {
        let output = python("poll_server.py").args(["--addr", addr]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
    }
    let ended = program.end(Signal::INT);
    assert_eq!(ended.complained, "");
}
