//! Reads lines from its input until the end, and writes them.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use runtime::system::io;
use runtime::{Arguments, Verdict, ensure, println, program};

program!(run);

fn run(_: Arguments) -> Verdict {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 8];
        match io::read(io::INPUT, &mut piece)? {
            0 => break,
            len => text.extend_from_slice(&piece[..len]),
        }
    }
    let text = String::from_utf8_lossy(&text);
    text.lines().for_each(|line| println!("read: {line}"));
    println!("lines: {}", text.lines().count());
    ensure!(io::read(io::INPUT, &mut [0])? == 0, "the end of the input stays where it is");
    Ok(())
}
