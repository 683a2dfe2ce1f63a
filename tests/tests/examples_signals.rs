//! Two signals to a server among the examples: the first ends it in good order, the second at once.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;

use pollywog_tests::program::{Program, Signal};
use rustix::process::{Pid, kill_process};

/// Both are there before the loop can turn again: it is the handler that ends the process.
#[test]
fn a_second_signal_kills() {
    let echo = Program::start("echo", &[]);
    let mut stream = echo.connect();
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    for signal in [Signal::STOP, Signal::INT, Signal::TERM] {
        kill_process(Pid::from_raw(echo.id() as i32).unwrap(), signal).unwrap();
    }
    let ended = echo.end(Signal::CONT);
    let killed_by = ended.status.signal();
    assert!([Signal::INT, Signal::TERM].map(|signal| Some(signal.as_raw())).contains(&killed_by), "{ended:?}");
    assert_eq!(ended.said, "", "and does not end in good order");
}
