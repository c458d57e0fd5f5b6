//! The tables of `labs/` fit the project: what builds nothing is checked here, the rest by
//! `grade matrix`.

use std::collections::BTreeSet;

use grade::project::{self, Project};
use grade::student::stubs;
use grade::table::{HUNT, HUNTED, LABS, Tables};

fn tables() -> (Project, Tables) {
    let project = Project::find().unwrap();
    let tables = Tables::read(&project).unwrap();
    (project, tables)
}

#[test]
fn each_lab_has_twenty_points_a_page_and_tests_of_both_kinds() {
    let (project, tables) = tables();
    for number in LABS {
        let lab = tables.lab(number).unwrap();
        let page = project::read(&project.lab(number).join("README.md")).unwrap();
        assert!(page.starts_with(&format!("# Lab {number}: ")), "lab {number}");
        assert!(page.contains(&format!("make grade LAB={number}")), "lab {number}");
        if number == HUNT {
            assert!(lab.cuts.is_empty() && lab.tests.is_empty());
            continue;
        }
        assert_eq!(lab.points(), 20, "lab {number}");
        let hidden = lab.tests.iter().filter(|test| test.hidden).count();
        assert!(hidden > 0 && hidden < lab.tests.len(), "lab {number}");
        for test in lab.tests.iter().filter(|test| !test.hidden) {
            let words = test.name.rsplit("::").find(|part| part.contains('_')).unwrap();
            let words = words.replace('_', " ");
            let text = page.replace(['\'', ',', '\n'], "").replace("  ", " ");
            assert!(text.contains(&words), "lab {number} does not name {words:?}");
        }
    }
}

#[test]
fn each_test_names_what_to_read() {
    let (project, tables) = tables();
    let tests = tables.labs.values().flat_map(|lab| grade::grade::tests(&tables, lab, 1));
    let claims = project::read(&project.path("docs/CLAIMS.md")).unwrap();
    for test in tests {
        assert!(test.read.len() >= 2, "{}", test.name);
        for read in &test.read {
            let is_claim = claims.contains(&format!("<a id=\"{read}\"></a>"));
            assert!(is_claim || project.path(read).is_file(), "{}: {read}", test.name);
        }
    }
}

#[test]
fn a_part_of_a_program_has_its_folder_and_output() {
    let (_, tables) = tables();
    for program in tables.programs.values() {
        let Some(whole) = &program.part_of else { continue };
        let whole = &tables.programs[whole];
        assert_eq!((&program.folder, &program.output), (&whole.folder, &whole.output));
        assert!(whole.part_of.is_none(), "{} is no whole", whole.title);
    }
}

#[test]
fn a_stub_differs_from_its_module_in_each_function_and_is_made_for_each_lab() {
    let (project, tables) = tables();
    for lab in tables.labs.values().filter(|lab| lab.number != HUNT) {
        let stubs = stubs(&project, &tables, lab, 1).unwrap();
        for cut in &lab.cuts {
            let stub = String::from_utf8(stubs[&cut.file].clone()).unwrap();
            let mark = format!("todo!(\"lab {}: {}\")", lab.number, cut.function);
            assert!(stub.contains(&mark), "{mark}");
        }
    }
}

#[test]
fn the_zoo_has_fifty_bugs_with_names_of_their_own_that_can_be_seeded() {
    let (project, tables) = tables();
    assert_eq!(tables.zoo.len(), 50);
    let names: BTreeSet<_> = tables.zoo.iter().map(|bug| &bug.name).collect();
    assert_eq!(names.len(), tables.zoo.len());
    for bug in &tables.zoo {
        let module = project::read(&project.path(&bug.file)).unwrap();
        assert_ne!(bug.seed(&module).unwrap(), module, "{}", bug.name);
        assert!(tables.programs.contains_key(&bug.program), "{}", bug.name);
        assert!(!bug.why.is_empty(), "{}", bug.name);
        let lab = tables.lab(bug.lab).unwrap();
        let is_graded = lab.tests.iter().any(|test| test.name == bug.test);
        assert!(is_graded || bug.lab == HUNT, "{}: its lab does not grade {}", bug.name, bug.test);
    }
}

#[test]
fn each_hunt_has_five_bugs_in_five_modules_and_hands_out_all_of_src() {
    let (project, tables) = tables();
    for seed in 0..100 {
        let drawn = tables.hunt(seed);
        let files: BTreeSet<_> = drawn.iter().map(|bug| &bug.file).collect();
        assert_eq!((drawn.len(), files.len()), (HUNTED, HUNTED), "seed {seed}");
    }
    assert_ne!(tables.hunt(1)[0].name, tables.hunt(2)[0].name);
    let handed = stubs(&project, &tables, tables.lab(HUNT).unwrap(), 1).unwrap();
    let own = project::files(&project.path("src"), &|_| false).unwrap();
    assert_eq!(handed.len(), own.len());
    let differs =
        |file: &std::path::Path, bytes: &[u8]| std::fs::read(project.path(file)).unwrap() != bytes;
    let changed = handed.iter().filter(|(file, bytes)| differs(file, bytes)).count();
    assert_eq!(changed, HUNTED);
}
