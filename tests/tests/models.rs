//! Every server model: `nc` and a probe of several clients get their bytes back.

use std::io::{Read, Write};

use pollywog_tests::program::Program;

#[test]
fn iterative_answers_one_client_after_the_other() {
    let program = Program::start("iterative", &[]);
    let mut first = program.connect();
    let mut second = program.connect();
    second.write_all(b"second\n").unwrap();
    first.write_all(b"first\n").unwrap();
    let mut answer = [0; 6];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"first\n");
    second.set_nonblocking(true).unwrap();
    assert_eq!(second.read(&mut answer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    second.set_nonblocking(false).unwrap();
    drop(first);
    let mut answer = [0; 7];
    second.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"second\n");
}
