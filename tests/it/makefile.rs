//! The commands of the Makefile, as the pages and the messages name them.

use std::collections::BTreeSet;
use std::path::PathBuf;

const MAKEFILE: &str = include_str!("../../Makefile");

/// Programs that `make` installs into a folder of the project, which is in nobody's path.
const OWN_TOOLS: [&str; 3] = ["sam ", "cargo lambda ", "cargo-lambda "];

/// The targets that `make help` names.
fn helped() -> BTreeSet<&'static str> {
    let targets = MAKEFILE.lines().filter(|line| line.contains("## ")).filter_map(|line| line.split_once(':'));
    targets
        .map(|(target, _)| target)
        .filter(|target| target.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The pages, and each one's text.
fn pages() -> Vec<(PathBuf, String)> {
    let in_docs = std::fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().path());
    let pages = in_docs
        .chain(["README.md", "samconfig.toml", "template.yaml", "scripts/deploy.py"].map(|name| root().join(name)));
    let pages = pages.filter(|file| file.extension().is_some_and(|extension| extension != "json"));
    pages.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// The lines of code that are to be run.
fn lines_to_run(text: &str) -> impl Iterator<Item = &str> {
    text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines).map(str::trim_start)
}

/// The words after `make` where it is a command: in a code span, in a line to run, or with a variable after it.
fn commands(text: &str) -> Vec<&str> {
    let command = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
    let in_prose = text.match_indices("make ").filter_map(|(at, make)| {
        let (name, after) = text[at + make.len()..].split_at(command(&text[at + make.len()..]));
        let is_set = after
            .strip_prefix(' ')
            .and_then(|after| after.split_whitespace().next())
            .is_some_and(|next| next.contains('='));
        (text[..at].ends_with('`') || is_set).then_some(name)
    });
    let to_run = lines_to_run(text).filter_map(|line| line.strip_prefix("make ")).map(|rest| &rest[..command(rest)]);
    in_prose.chain(to_run).collect()
}

#[test]
fn make_help_names_each_command() {
    let phony = MAKEFILE.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    // Of these, `benched` is a part of others.
    let commands: BTreeSet<&str> = phony.split_whitespace().filter(|name| *name != "benched").collect();
    assert_eq!(commands, helped());
}

#[test]
fn every_make_that_a_page_names_is_there() {
    let helped = helped();
    let mut named = 0;
    for (page, text) in pages() {
        for command in
            commands(&text).into_iter().filter(|command| command.starts_with(|c: char| c.is_ascii_lowercase()))
        {
            assert!(helped.contains(command), "{}: make {command}", page.display());
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn no_page_has_a_command_that_needs_the_projects_own_tools() {
    for (page, text) in pages() {
        for line in lines_to_run(&text) {
            assert!(!OWN_TOOLS.iter().any(|tool| line.starts_with(tool)), "{}: {line}", page.display());
        }
    }
}
