//! Takes a seat and a permit from the platform, where its files come late: a kubelet brings an annotation into a fresh container with its
//! next look at the Pod, a second later. What is taken is written beside the ledger and counts like what the platform's files say; the
//! gate looks at it in the same way, so nothing can start here that could not start there.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use etcdop_guard::{Permit, Seat, replace};

use crate::arguments::HandOver;

/// For one request: nobody may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(1);
/// More than a seat and a permit of the largest cluster.
const LONGEST: u64 = 64 * 1024;

/// Takes whatever is brought, for ever.
pub(crate) fn take(to: &HandOver, listener: &TcpListener) {
    for stream in listener.incoming() {
        // Whoever brings something finds out by its answer, or looks what became of it.
        let _ = stream.and_then(|stream| take_one(stream, to));
    }
}

/// The seat, an empty line, the permit, and the end of what is sent. The answer is `ok`, or what is wrong.
fn take_one(mut stream: TcpStream, to: &HandOver) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    // By its own end mark: a forwarded connection does not tell that one side was closed.
    let mut part = [0; 1024];
    while !text.ends_with(END) && (text.len() as u64) < LONGEST {
        match stream.read(&mut part)? {
            0 => break,
            read => text.push_str(&String::from_utf8_lossy(&part[..read])),
        }
    }
    let answer = match text.strip_suffix(END).and_then(|text| text.split_once("\n\n")) {
        Some((seat, permit)) => written(&format!("{seat}\n"), permit, to),
        None => Err("it is not a seat and a permit".to_owned()),
    };
    stream.write_all(answer.map_or_else(|why| format!("{why}\n"), |()| "ok\n".to_owned()).as_bytes())
}

/// What ends a hand-over.
const END: &str = "\nend\n";

/// The seat first: a permit is looked at together with it.
fn written(seat: &str, permit: &str, to: &HandOver) -> Result<(), String> {
    let permit = format!("{}\n", permit.trim_end());
    Seat::parse(seat).map_err(|error| error.to_string())?;
    Permit::parse(&permit).map_err(|error| error.to_string())?;
    replace(&to.seat, seat).and_then(|()| replace(&to.permit, &permit)).map_err(|error| error.to_string())
}
