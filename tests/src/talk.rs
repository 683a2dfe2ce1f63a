//! A client's part, line by line, towards a program that sends back what it gets.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::program::Program;
use crate::queues::{sleeps_over, until};

/// One whole round trip.
#[track_caller]
pub fn answered(mut client: &TcpStream, line: &str) {
    client.write_all(line.as_bytes()).unwrap();
    gets(client, line);
}

/// Waits for `line`, and for no more.
#[track_caller]
pub fn gets(mut client: &TcpStream, line: &str) {
    let mut answer = vec![0; line.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), line);
}

/// Nothing has come.
#[track_caller]
pub fn hears_nothing(mut client: &TcpStream) {
    client.set_nonblocking(true).unwrap();
    let result = client.read(&mut [0; 1]);
    client.set_nonblocking(false).unwrap();
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// Sends `byte` over and over and reads nothing, until the program sleeps and leaves the rest unread. Gives how many
/// went out.
pub fn choke(program: &Program, mut client: &TcpStream, byte: u8) -> usize {
    let mut sent = 0;
    client.set_nonblocking(true).unwrap();
    until("its buffers are full", || {
        match client.write(&[byte; 1 << 16]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        sleeps_over(program, client)
    });
    client.set_nonblocking(false).unwrap();
    sent
}
