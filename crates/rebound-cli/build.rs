//! Builds the commit into the command, for `rebound --version`.
//!
//! The commit is the only input from outside, so two builds of one commit are identical. Outside a checkout (for example in an archive of the
//! sources, even if it is unpacked inside another checkout) the version says "no commit".

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

/// Returns the commit that is checked out in this folder. Returns `None` if the folder is not the top of a checkout.
fn commit(root: &Path) -> Option<String> {
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top != root {
        return None;
    }
    // These files change when another commit is checked out or made.
    for name in ["HEAD", "logs/HEAD", "packed-refs"] {
        let file = root.join(git(root, &["rev-parse", "--git-path", name])?);
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// Returns the output of `git`. Returns `None` if `git` is missing, fails or prints nothing.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // Git's hooks set these variables, for their own repository.
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").arg("-C").arg(root).args(arguments);
    let output = git.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
