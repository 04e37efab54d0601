//! Completions and version of an installed command.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::operate::{CommandOutput, command};

async fn rebound(arguments: &[&str]) -> CommandOutput {
    command(&BTreeMap::new(), arguments, "").await
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
    let output = command.env("CARGO_MANIFEST_DIR", folder.join("crates/rebound-cli")).output().unwrap();
    assert!(output.status.success(), "{program:?} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn each_shell_gets_completions_of_every_command_and_flag() {
    for (shell, words) in [
        ("bash", ["suppressions", "import", "--time-column", "doctor", "complete -F"]),
        ("zsh", ["suppressions", "import", "--time-column", "doctor", "#compdef rebound"]),
        ("fish", ["suppressions", "import", "time-column", "doctor", "complete -c rebound"]),
        ("powershell", ["suppressions", "import", "--time-column", "doctor", "Register-ArgumentCompleter"]),
    ] {
        let said = rebound(&["completions", shell]).await;
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{shell}");
        let missing: Vec<&str> = words.into_iter().filter(|word| !said.stdout.contains(word)).collect();
        assert!(missing.is_empty(), "{shell}: {missing:?}");
    }
    let said = rebound(&["completions", "basch"]).await;
    assert!(said.code == 2 && said.stderr.contains("bash"), "{said:?}");
}

#[tokio::test]
async fn bash_completes_what_was_begun() {
    let script = rebound(&["completions", "bash"]).await.stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rebound.bash");
    std::fs::write(&file, script).unwrap();
    for (words, expected) in [
        ("rebound supp", "suppressions"),
        ("rebound suppressions ex", "export"),
        ("rebound suppressions import --time", "--time-column"),
        ("rebound completions power", "powershell"),
    ] {
        let begun = words.split(' ').count() - 1;
        let (last, before) = (words.rsplit(' ').next().unwrap(), words.split(' ').nth(begun - 1).unwrap());
        let asks = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={begun}; _rebound rebound {last} {before}; echo \"${{COMPREPLY[*]}}\"",
            file.display()
        );
        assert_eq!(run(Path::new("bash"), folder.path(), &["-c", &asks]), expected, "{words}");
    }
}

#[tokio::test]
async fn the_version_has_the_commit_that_was_built() {
    let said = rebound(&["--version"]).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let is_checkout = root.join(".git").exists();
    let commit = if is_checkout {
        run(Path::new("git"), root, &["rev-parse", "--short=12", "HEAD"])
    } else {
        "no commit".into()
    };
    assert_eq!(said.stdout, format!("rebound {} ({commit})\n", env!("CARGO_PKG_VERSION")));
}

/// The build script itself, in folders as they are after unpacking an archive, and after a clone.
#[test]
fn sources_from_an_archive_have_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc).arg("--edition=2024").arg(&source).arg("-o").arg(&script).status().unwrap();
    assert!(compiled.success());
    let commit_in = |root: &Path| {
        std::fs::create_dir_all(root.join("crates/rebound-cli")).unwrap();
        let said = run(&script, root, &[]);
        let commit = said.lines().find_map(|line| line.strip_prefix("cargo::rustc-env=REBOUND_COMMIT="));
        (commit.unwrap().to_owned(), said.matches("rerun-if-changed").count())
    };
    let archive = folder.path().join("archive");
    assert_eq!(commit_in(&archive), ("no commit".to_owned(), 1));

    let clone = folder.path().join("clone");
    std::fs::create_dir_all(&clone).unwrap();
    let git = |arguments: &[&str]| run(Path::new("git"), &clone, arguments);
    git(&["init", "--quiet"]);
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    git(&[&identity[..], &["commit", "--quiet", "--allow-empty", "-m", "first"]].concat());
    let (commit, watched) = commit_in(&clone);
    assert_eq!(commit, git(&["rev-parse", "--short=12", "HEAD"]));
    assert!(watched > 1, "another commit is noticed");
    assert_eq!(commit_in(&clone).0, commit, "the same twice");
    assert_eq!(commit_in(&clone.join("unpacked")).0, "no commit", "not that of the checkout around it");
}
