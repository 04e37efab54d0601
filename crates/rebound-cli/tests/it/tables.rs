//! Every table of every program is tested at three widths: this looks for those that escape.
//!
//! A table is made by `Table::new`, and there is no other way: the library that draws them is named in one file. Each file that makes tables
//! asks as often for their faults (`Table::faults`, which draws a table at the three widths) as it makes some.

use std::path::{Path, PathBuf};

/// The one module that may name the library.
const DRAWS: &str = "crates/rebound-dev/src/output/table";

/// Files whose tables are tested in another file: all on one page, which is tested whole, or each.
const PAGES: [(&str, &str); 5] = [
    ("crates/rebound-dev/src/commands/demo/print.rs", "crates/rebound-dev/src/commands/demo/tests.rs"),
    ("crates/rebound-dev/src/commands/demo/print_consent.rs", "crates/rebound-dev/src/commands/demo/tests.rs"),
    ("crates/rebound-dev/src/commands/demo/print_engage.rs", "crates/rebound-dev/src/commands/demo/tests.rs"),
    ("crates/rebound-dev/src/commands/demo/print_followups.rs", "crates/rebound-dev/src/commands/demo/tests.rs"),
    ("crates/rebound-dev/examples/contract/main.rs", "crates/rebound-dev/examples/contract/tests.rs"),
];

/// The root of the project, and the Rust files of its programs.
fn programs() -> (PathBuf, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut folders = vec![root.join("benches"), root.join("crates"), root.join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["target", "tests"].contains(&name) {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort_unstable();
    (root, files)
}

#[test]
fn no_table_escapes_the_test_of_its_widths() {
    let (root, files) = programs();
    let text = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let mut tables = 0;
    let mut escaped = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(DRAWS)) {
        let text_here = text(file);
        // Not `ByTable::new(`, and no type of another library, which would be asked for without columns.
        let is_made = |(at, _): &(usize, &str)| {
            !text_here[..*at].ends_with(char::is_alphanumeric)
                && !text_here[at + "Table::new(".len()..].starts_with(')')
        };
        let made = text_here.match_indices("Table::new(").filter(is_made).count();
        let tested_in = PAGES.iter().find(|(page, _)| page == file);
        let is_tested = match tested_in {
            Some((_, test)) => {
                let test = text(test);
                test.contains("for table in page.tables()") || test.matches(".faults()").count() >= made
            }
            None => text_here.matches(".faults()").count() >= made,
        };
        tables += made;
        if !is_tested {
            escaped.push(format!("{file} makes {made} tables; their faults are not asked for as often"));
        }
        if text_here.contains("comfy_table") {
            escaped.push(format!("{file} draws tables by itself"));
        }
        let draws = ["─", "│", "═", "| --- "]
            .iter()
            .any(|frame| text_here.lines().any(|line| line.contains(frame) && line.contains("println!")));
        if draws && file != "benches/measured/micro/compare.rs" {
            escaped.push(format!("{file} prints a table as text"));
        }
    }
    assert!(tables > 20, "{tables} tables were found: has it another name now?");
    assert_eq!(escaped, Vec::<String>::new());
}
