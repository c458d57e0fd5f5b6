//! Takes and touches memory until it is refused, or killed, or has as much as it wanted.
//!
//! `hungry MiB`

#![no_std]
#![no_main]

use programs::Span;
use runtime::{Arguments, PAGE, Untrue, Verdict, println, program};

program!(run);

const STEP: usize = 1 << 20;

fn run(arguments: Arguments) -> Verdict {
    if arguments.first().is_none() {
        println!("how many MiB?");
        return Err(Untrue::ARGUMENTS);
    }
    let wanted = arguments.number(0, 0);
    for had in 0..wanted {
        match Span::from_break(STEP) {
            Ok(span) => span.touch(0..STEP / PAGE, 1),
            Err(errno) => {
                println!("refused: {errno}");
                println!("had: {had} MiB");
                return Ok(());
            }
        }
    }
    println!("had: {wanted} MiB");
    Ok(())
}
