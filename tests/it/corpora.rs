//! Replays the fuzzers' inputs: each input of `fuzz/corpus/` runs through its target's body.

use std::path::{Path, PathBuf};
use std::{fs, panic};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[path = "../../fuzz/bodies/mod.rs"]
#[allow(unreachable_pub, reason = "in the fuzzers' own crate they are reached")]
mod bodies;

/// The inputs of a target's corpus: one on each line, in base64.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/{target}.txt"));
    let lines = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    lines.lines().map(|line| STANDARD.decode(line).unwrap()).collect()
}

/// Runs every input, and names the line of one that fails.
fn replay(target: &str) {
    let (_, body) = bodies::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    for (bytes, line) in inputs.iter().zip(1..) {
        assert!(panic::catch_unwind(|| body(bytes)).is_ok(), "fuzz/corpus/{target}.txt, line {line}: see above");
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
fn every_link_holds_only_if_it_is_signed() {
    replay("link");
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
