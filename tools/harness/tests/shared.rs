//! The tools share what they are built of: after `make run`, which builds the harness, `make story`
//! and `make grade` compile no crate again because they want other features of it.

use std::collections::BTreeSet;

use harness::cargo;
use harness::project::Project;
use serde_json::Value;

/// Small crates that a tool needs in another form than the harness: the grader asks for places in
/// text, and the records of a story are read and written without std.
const OWN: [(&str, &str); 2] = [("grade", "proc-macro2"), ("story", "bitflags")];

/// What a compiler is run for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Unit {
    package: String,
    target: String,
    mode: String,
    profile: String,
    features: String,
}

/// All that a build of a tool compiles.
fn units(tool: &str) -> BTreeSet<Unit> {
    let project = Project::find().unwrap();
    let mut command = cargo::host(&project, project.root(), "");
    command.args(["build", "--package", tool, "--unit-graph", "-Zunstable-options"]);
    let output = command.env("RUSTC_BOOTSTRAP", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let graph: Value = serde_json::from_slice(&output.stdout).unwrap();
    let units = graph["units"].as_array().unwrap().iter();
    let text = |value: &Value| value.to_string();
    let unit = |unit: &Value| Unit {
        package: text(&unit["pkg_id"]),
        target: text(&unit["target"]["name"]),
        mode: text(&unit["mode"]),
        profile: text(&unit["profile"]),
        features: text(&unit["features"]),
    };
    units.map(unit).collect()
}

#[test]
fn after_the_harness_no_tool_compiles_a_crate_again() {
    let harness = units("harness");
    let has = |package: &str| harness.iter().any(|unit| unit.package == package);
    for tool in ["story", "grade", "heapmap"] {
        let units = units(tool);
        let is_own = |unit: &Unit| {
            OWN.iter().any(|&(of, name)| of == tool && unit.package.contains(&format!("#{name}@")))
        };
        let again: Vec<_> =
            units.difference(&harness).filter(|unit| has(&unit.package) && !is_own(unit)).collect();
        assert!(again.is_empty(), "{tool}: {again:#?}");
        assert!(!units.is_disjoint(&harness), "{tool} shares nothing");
    }
}
