//! What the fuzzers found, and what they were started from, once more: each file of `fuzz/corpus/` through its target's body.

use std::path::{Path, PathBuf};
use std::{fs, panic};

#[path = "../../fuzz/bodies/mod.rs"]
#[allow(unreachable_pub, reason = "in the fuzzers' own crate they are reached")]
mod bodies;

/// The files of a target's corpus, in order.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// Every file holds; one that doesn't is named.
fn replay(target: &str) {
    let (_, body) = bodies::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let files = corpus(target);
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        assert!(panic::catch_unwind(|| body(&bytes)).is_ok(), "{}: see above", file.display());
    }
}

#[test]
fn every_address_is_read_as_it_must_be() {
    replay("address");
}

#[test]
fn every_answer_of_claudes_keeps_to_its_bounds_or_is_refused() {
    replay("answer");
}

#[test]
fn every_envelope_is_answered() {
    replay("envelope");
}

#[test]
fn every_event_body_is_stored_without_loss() {
    replay("event");
}

#[test]
fn every_signature_is_accepted_only_if_it_is_right() {
    replay("signature");
}

#[test]
fn every_stream_record_is_handled_or_reported() {
    replay("stream");
}

#[test]
fn every_target_has_a_corpus_and_a_program_and_is_replayed() {
    let names = |folder: &str| -> Vec<String> {
        let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = files.map(|file| stem(file.unwrap().path())).collect();
        names.sort();
        names
    };
    let all = bodies::ALL.map(|(name, _)| name);
    assert_eq!(names("fuzz/targets"), all);
    assert_eq!(names("fuzz/corpus"), all);
    let this = include_str!("corpora.rs");
    for name in all {
        assert!(this.contains(&format!("replay(\"{name}\");")), "{name} is not replayed");
    }
}
