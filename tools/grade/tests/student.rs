//! What a student has written is never lost, and replaces nothing but modules of the copy.

use std::fs;
use std::path::{Path, PathBuf};

use grade::error::Error;
use grade::project::{self, Project};
use grade::student::{self, Handed, hand_out};
use grade::table::{HUNT, Tables};
use grade::tree::{Replaced, Tree, students};

/// A project of this test's own: the tables, and the modules of the allocator.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> (Self, Project, Tables) {
        let root = std::env::temp_dir().join(format!("grade-{name}-{}", std::process::id()));
        let own = Project::find().unwrap();
        for folder in ["labs", "src", "kernel-demo/src"] {
            let skip = |path: &Path| path == own.path("labs/student");
            for path in project::files(&own.path(folder), &skip).unwrap() {
                let file = path.strip_prefix(own.root()).unwrap();
                project::write(&root.join(file), &fs::read(&path).unwrap()).unwrap();
            }
        }
        let project = Project::at(root.clone());
        let tables = Tables::read(&project).unwrap();
        (Self(root), project, tables)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn work_is_moved_aside_before_a_stub_takes_its_place() {
    let (_scratch, project, tables) = Scratch::new("kept");
    let lab = tables.lab(1).unwrap();
    let file = project.student(1).join("src/simple.rs");
    assert!(matches!(hand_out(&project, &tables, lab, 1).unwrap(), Handed::New));
    let stub = project::read(&file).unwrap();
    assert!(matches!(hand_out(&project, &tables, lab, 1).unwrap(), Handed::Unchanged));
    for number in 1..3 {
        fs::write(&file, format!("work {number}")).unwrap();
        let kept = project.path(format!("labs/student/1-kept-{number}"));
        let handed = hand_out(&project, &tables, lab, 1).unwrap();
        assert_eq!(handed, Handed::Kept(kept.clone()));
        assert_eq!(project::read(&kept.join("src/simple.rs")).unwrap(), format!("work {number}"));
        assert_eq!(project::read(&file).unwrap(), stub);
    }
    assert_eq!(
        project::read(&project.path("labs/student/1-kept-1/src/simple.rs")).unwrap(),
        "work 1"
    );
}

#[test]
fn a_hunt_keeps_the_number_from_which_it_was_drawn() {
    let (_scratch, project, tables) = Scratch::new("hunt");
    let lab = tables.lab(HUNT).unwrap();
    assert_eq!(student::seed(&project).unwrap(), None);
    hand_out(&project, &tables, lab, 7).unwrap();
    assert_eq!(student::seed(&project).unwrap(), Some(7));
    let files = students(&project, lab).unwrap();
    assert!(files.keys().all(|file| file.starts_with("src")), "{:?}", files.keys());
}

#[test]
fn a_file_that_replaces_no_module_of_its_lab_is_refused() {
    let (_scratch, project, tables) = Scratch::new("extra");
    let lab = tables.lab(1).unwrap();
    assert!(students(&project, lab).unwrap().is_empty());
    hand_out(&project, &tables, lab, 1).unwrap();
    assert_eq!(students(&project, lab).unwrap().len(), 1);
    for extra in ["src/helper.rs", "src/heap.rs", "labs/1/tests.rs"] {
        let extra = project.student(1).join(extra);
        project::write(&extra, b"").unwrap();
        match students(&project, lab) {
            Err(Error::NoModule(path)) => assert_eq!(path, extra),
            other => panic!("{other:?}"),
        }
        fs::remove_file(extra).unwrap();
    }
    let tests = project.student(HUNT).join("labs/1/tests.rs");
    project::write(&tests, b"").unwrap();
    assert!(students(&project, tables.lab(HUNT).unwrap()).is_err());
}

#[test]
fn the_copy_is_the_project_but_for_what_is_replaced() {
    let (_scratch, project, _) = Scratch::new("copy");
    let tree = Tree::take(&project).unwrap();
    let simple = Path::new("src/simple.rs");
    let own = project::read(&project.path(simple)).unwrap();
    let replaced: Replaced = [(simple.to_owned(), b"mine".to_vec())].into();
    tree.set(&project, &replaced).unwrap();
    assert_eq!(project::read(&tree.root().join(simple)).unwrap(), "mine");
    assert_eq!(project::read(&project.path(simple)).unwrap(), own);
    fs::write(tree.root().join("left-over.rs"), "").unwrap();
    let untouched = tree.root().join("src/heap.rs");
    let before = fs::metadata(&untouched).unwrap().modified().unwrap();
    tree.set(&project, &Replaced::new()).unwrap();
    assert_eq!(project::read(&tree.root().join(simple)).unwrap(), own);
    assert!(!tree.root().join("left-over.rs").exists());
    assert_eq!(fs::metadata(&untouched).unwrap().modified().unwrap(), before, "built again");
}
