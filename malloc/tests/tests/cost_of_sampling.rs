//! What it costs that blocks are sampled, in instructions of the C++ compiler, as callgrind counts
//! them: exact, and the same each time but for what the compiler does with random names.

use std::path::Path;
use std::process::Command;

use brkmalloc_tests::library::brkmalloc;

/// A program whose compilation needs some hundred thousand blocks.
const SOURCE: &str = "#include <map>\n#include <string>\n\
    int main(int n, char **a) {\n\
        std::map<std::string, int> m;\n\
        while (n) m[a[--n]]++;\n\
        return m.size();\n\
    }\n";

/// Maximum of the share, in a thousandth.
const MOST: u64 = 10;

/// Returns the number of instructions of the compiler.
fn instructions(compiler: &str, source: &Path, rate: &str) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", compiler]);
    command.args(["-quiet", "-O1", "-D_GNU_SOURCE", "-o", "/dev/null"]).arg(source);
    command.env("LD_PRELOAD", brkmalloc().path.expect("the library")).env("BRKALLOC_SAMPLE", rate);
    let output = command.output().expect("valgrind");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split_once("Collected : ")).expect("a count").1;
    count.trim().parse().expect("a number")
}

#[test]
fn sampling_costs_compilers_at_most_one_percent() {
    let compiler = Command::new("c++").arg("-print-prog-name=cc1plus").output();
    let compiler = compiler.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let Some(compiler) = compiler.ok().filter(|path| has_valgrind && Path::new(path).is_file())
    else {
        return eprintln!("left out: this machine has no valgrind, or no C++ compiler");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source.cc");
    std::fs::write(&source, SOURCE).expect("a file");
    let (none, default) = std::thread::scope(|scope| {
        let counts = ["0", "on"].map(|rate| scope.spawn(|| instructions(&compiler, &source, rate)));
        let [none, default] = counts.map(|count| count.join().expect("a count"));
        (none, default)
    });
    let more = default.saturating_sub(none) * 10_000 / none;
    println!(
        "{none} instructions, {default} if blocks are sampled: {}.{:02} % more",
        more / 100,
        more % 100
    );
    assert!(default <= none + none * MOST / 1000, "{none} {default}");
}
