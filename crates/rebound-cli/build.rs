//! Tells the command which commit it is of: `rebound --version`.
//!
//! The commit is the only thing that it takes from outside, so two builds of one commit are the same. Outside of a checkout, as in an archive of
//! the sources, even one that is unpacked within another checkout, there is none, and the version says so.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = root().and_then(|root| commit(&root)).unwrap_or_else(|| "no commit".to_owned());
    println!("cargo::rustc-env=REBOUND_COMMIT={commit}");
}

/// The folder of the workspace, two above this package.
fn root() -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")?;
    Path::new(&package).ancestors().nth(2)?.canonicalize().ok()
}

/// The commit that is checked out in this folder, if it is a checkout of its own.
fn commit(root: &Path) -> Option<String> {
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top != root {
        return None;
    }
    // What changes when another commit is checked out, or made.
    for name in ["HEAD", "logs/HEAD", "packed-refs"] {
        let file = root.join(git(root, &["rev-parse", "--git-path", name])?);
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// What `git` answers, if it is there and knows.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // Git's hooks set these for a repository of their own.
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").arg("-C").arg(root).args(arguments);
    let output = git.output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
