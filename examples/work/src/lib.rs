//! What each example does with its heap. It writes a line for each case, as `cargo test` does, and
//! the most bytes that were in use.

#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

/// Exit status that says that all went well, and one that says that something did not.
pub const PASSED: i32 = 33;
/// See [`PASSED`].
pub const FAILED: i32 = 35;

/// The heap that an example has as its global allocator.
pub struct Heap {
    /// Returns the bytes of live blocks.
    pub live: fn() -> usize,
    /// Returns the most bytes that were in use at a time.
    pub peak: fn() -> usize,
    /// Returns whether every invariant holds.
    pub is_whole: fn() -> bool,
    /// Bytes that the heap itself may need for a case, and keep: arenas of other threads.
    pub keeps: usize,
    /// Bytes that the cases may use at a time.
    pub budget: usize,
    /// Bytes that the heap cannot have.
    pub too_much: usize,
}

/// A case of one example.
pub type Case<'a> = (&'a str, &'a mut dyn FnMut());

/// Runs the cases that all examples have, then those of this one, on `heap`; writes the verdicts to
/// `out`. A case that does not hold panics.
pub fn run(out: &mut dyn Write, heap: &Heap, more: &mut [Case<'_>]) {
    // The first blocks may bring what the heap itself needs.
    drop(vec![1_u8; heap.budget / 4]);
    let budget = heap.budget;
    let case = |out: &mut dyn Write, name: &str, case: &mut dyn FnMut()| {
        let _ = write!(out, "test {name} ... ");
        let before = (heap.live)();
        case();
        assert!((heap.is_whole)(), "the heap is whole after {name}");
        let after = (heap.live)();
        assert!(
            after <= before + heap.keeps,
            "{name} leaves nothing behind: {after} after {before} bytes"
        );
        let _ = writeln!(out, "ok");
    };
    let _ = writeln!(out, "\nrunning {} tests", 4 + more.len());
    case(out, "a_vector_grows", &mut || a_vector_grows(budget));
    case(out, "strings_in_a_map", &mut || strings_in_a_map(budget));
    case(out, "memory_is_used_again", &mut || memory_is_used_again(budget));
    case(out, "out_of_memory_is_an_error", &mut || out_of_memory_is_an_error(heap.too_much));
    for (name, run) in more.iter_mut() {
        case(out, name, run);
    }
    let _ = writeln!(out, "peak live bytes: {}", (heap.peak)());
    let passed = 4 + more.len();
    let _ = writeln!(
        out,
        "\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"
    );
}

fn a_vector_grows(budget: usize) {
    let mut numbers = Vec::new();
    let most = budget / 4 / size_of::<u32>();
    for number in 0..most as u32 {
        numbers.push(number);
    }
    let boxes: Vec<_> = numbers.iter().take(most / 16).map(|&number| Box::new(number)).collect();
    assert!(boxes.iter().zip(&numbers).all(|(boxed, number)| **boxed == *number));
}

fn strings_in_a_map(budget: usize) {
    let mut map = BTreeMap::new();
    let most = (budget / 256).min(500) as u32;
    for number in 0..most {
        map.insert(number, format!("number {number}"));
    }
    map.retain(|number, _| number % 2 == 0);
    assert_eq!(map.len() as u32, most.div_ceil(2));
    assert_eq!(map.get(&2).map(|text| text.as_str()), Some("number 2"));
}

/// More bytes in all than there are, but never many at once.
fn memory_is_used_again(budget: usize) {
    for round in 0..200_usize {
        let bytes = vec![round as u8; budget / 2];
        assert_eq!(bytes[budget / 2 - 1], round as u8);
    }
}

fn out_of_memory_is_an_error(too_much: usize) {
    let mut bytes = Vec::<u8>::new();
    assert!(bytes.try_reserve_exact(too_much).is_err());
    assert!(bytes.try_reserve_exact(100).is_ok());
}
