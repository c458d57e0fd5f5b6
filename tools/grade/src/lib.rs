//! Hands out the labs of `labs/`, and grades them with the tests of the project.
//!
//! ```text
//!   main.rs      commands: lab, grade, scoreboard, matrix
//!   matrix.rs    the labs' own test: project, stubs, and seeded bugs are graded
//!   grade.rs     builds, runs the tests of a lab, adds up points
//!   score.rs     the scoreboard
//!   student.rs   puts stubs into the student's folder
//!   seen.rs      what a test that failed showed
//!   stub.rs      a stub: a module without the bodies of some functions
//!   program.rs   builds a program of tests, runs one test
//!   tree.rs      a copy of the project with some modules replaced
//!   table.rs     the tables of labs/
//!   fields.rs    entries of a table in TOML
//! ```
//!
//! A reference solution is the project's own module: a lab without a student's folder is graded
//! with it.

pub mod error;
mod fields;
pub mod grade;
pub mod matrix;
pub mod program;
pub mod project;
pub mod score;
pub mod seen;
pub mod stub;
pub mod student;
pub mod table;
pub mod tree;
