//! The visible tests of the labs, which the grader runs with a student's modules in the place of
//! the project's.

#[path = "../labs/1/tests.rs"]
mod lab1;
#[path = "../labs/2/tests.rs"]
mod lab2;
#[path = "../labs/3/tests.rs"]
mod lab3;
#[path = "../labs/4/tests.rs"]
mod lab4;
#[path = "../labs/small_heap.rs"]
mod small_heap;
