//! The smallest program: says what the kernel gave it to start with.
//!
//! `hello [word …]` prints its arguments, and checks the start stack against the image that it
//! finds itself in.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;

use runtime::system::process;
use runtime::{Arguments, PAGE, Verdict, claim, println, program};

program!(run);

fn run(arguments: Arguments) -> Verdict {
    println!("hello from: {}", arguments.program());
    println!("process: {}", process::getpid());
    println!("arguments: {}", arguments.count() - 1);
    let mut sentence = String::new();
    for argument in arguments.iter() {
        sentence.push_str(argument);
        sentence.push(' ');
    }
    println!("they say: {}", sentence.trim_end());

    let auxiliary = arguments.auxiliary();
    claim!(auxiliary.page_size == Some(PAGE), "the kernel says how large a page is");
    claim!(auxiliary.entry == Some(_start as *const () as usize), "and where the program begins");
    claim!(
        auxiliary.segments.is_some_and(|address| address % PAGE == size_of_elf_header()),
        "and where its segments are listed"
    );
    Ok(())
}

/// The list of segments follows the header, with which the image begins.
const fn size_of_elf_header() -> usize {
    64
}
