//! Hints and flags: what a hint tells to run is about the same Rebound.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{Dev, at_once, command, rebound};
use crate::support::ReceiveHarness;

/// The code of a file: no comments, no tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), code(&std::fs::read_to_string(&path).unwrap())));
        }
    }
}

#[tokio::test]
async fn no_hint_names_a_command_without_the_flags() {
    let help = command(&BTreeMap::new(), &["--help"], "").await.stdout;
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let commands: Vec<String> =
        commands.filter(|name| name.chars().all(|c| c.is_ascii_lowercase())).map(str::to_owned).collect();
    let mut about_a_place = Vec::new();
    for name in commands {
        let help = command(&BTreeMap::new(), &[&name, "--help"], "").await.stdout;
        if help.contains("--region") || name == "suppressions" {
            about_a_place.push(name);
        }
    }
    assert!(about_a_place.len() >= 9 && !about_a_place.contains(&"dev".to_owned()), "{about_a_place:?}");
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 50);
    for (file, code) in files {
        for name in &about_a_place {
            let found = ["`rebound ", ": rebound "]
                .map(|before| format!("{before}{name}"))
                .into_iter()
                .find(|it| code.contains(it));
            assert_eq!(found, None, "{file} has a hint of its own: take it from `TargetArguments::command`");
        }
    }
}

#[tokio::test]
async fn a_hint_carries_the_flags_that_were_given() {
    let dev = Dev::start().await;
    let local = format!("--local={}", dev.folder.path().join("dev.env").display());
    let none = BTreeMap::new();
    let doctor = command(&none, &["doctor", &local, "--json"], "").await.json();
    let webhook =
        doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "webhook at Resend").unwrap();
    assert_eq!(webhook["to_do"], format!("run `rebound connect {local}`"));
    let said = command(&none, &["timeline", "ann@example.com", &local], "").await;
    assert!(said.stderr.contains(&format!("`rebound timeline --address ann@example.com {local}`")), "{said:?}");
    let said = command(&none, &["campaigns", "nobody", &local], "").await;
    assert!(said.stderr.contains(&format!("`rebound campaigns {local}` lists the campaigns")), "{said:?}");

    let elsewhere = ["--stack", "staging", "--region", "eu-west-1"];
    let service = ReceiveHarness::start().await;
    let said = rebound(&service.aws, &[&["campaigns", "nobody"][..], &elsewhere].concat()).await;
    assert!(
        said.stderr.contains("`rebound campaigns --stack staging --region eu-west-1` lists the campaigns"),
        "{said:?}"
    );
    // Tables of another stack: no table, and the hint looks at that very stack.
    let mut variables = service.aws.variables().clone();
    variables.retain(|name, _| !name.ends_with("_TABLE"));
    let said = command(&variables, &[&["check", "ann@example.com"][..], &elsewhere].concat(), "").await;
    assert!(said.code == 2 && said.stderr.contains("`rebound doctor --stack staging --region eu-west-1`"), "{said:?}");
}

#[tokio::test]
async fn dev_with_a_file_of_its_own_says_how_to_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.env");
    let mut dev = Command::new(env!("CARGO_BIN_EXE_rebound"));
    dev.args(["dev", "--listen", "127.0.0.1:0", "--dynamodb", "127.0.0.1:0", "--consent", "127.0.0.1:0", "--env-file"])
        .arg(&file)
        .env_clear();
    let mut dev = dev.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let mut hint = String::new();
    while !hint.contains("rebound simulate") {
        hint = lines.next_line().await.unwrap().expect("it says what to run");
    }
    assert!(hint.ends_with(&format!("/ --local={}", file.display())), "{hint}");
}

#[tokio::test]
async fn a_second_dev_does_not_take_the_first_ones_file() {
    let dev = Dev::start().await;
    let file = dev.folder.path().join("dev.env");
    let before = std::fs::read_to_string(&file).unwrap();
    let named = file.display().to_string();
    let second = ["dev", "--listen", "127.0.0.1:0", "--dynamodb", "127.0.0.1:0", "--env-file", &named];
    let said = command(&BTreeMap::new(), &second, "").await;
    assert!(said.code == 2 && said.stderr.contains("another file with --env-file"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);

    // After a crash of the first one, its file is replaced.
    let folder = dev.kill().await;
    let mut third = Command::new(env!("CARGO_BIN_EXE_rebound"));
    let third = third.args(second).env_clear().stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let began = Instant::now();
    while std::fs::read_to_string(&file).unwrap() == before {
        assert!(began.elapsed() < Duration::from_secs(30), "the third one starts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop((third, folder));
}

#[tokio::test]
async fn flags_of_two_rebounds_are_refused_and_a_variable_is_no_flag() {
    for other in [["--stack", "staging"], ["--profile", "work"], ["--region", "eu-west-1"]] {
        let said =
            command(&BTreeMap::new(), &[&["check", "ann@example.com", "--local"][..], &other].concat(), "").await;
        assert!(said.code == 2 && said.stderr.contains("cannot be used with"), "{other:?}: {said:?}");
    }
    let dev = Dev::start().await;
    let local = format!("--local={}", dev.folder.path().join("dev.env").display());
    let variables = BTreeMap::from([("REBOUND_STACK".to_owned(), "staging".to_owned())]);
    let said = command(&variables, &["check", "ann@example.com", &local], "").await;
    assert_eq!(said.code, 0, "the flag goes before the variable: {said:?}");
}

#[tokio::test]
async fn an_unknown_profile_is_an_error_that_names_the_others() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/config"), "[default]\nregion = eu-west-1\n[profile staging]\n").unwrap();
    let mut variables = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
    let said = command(&variables, &["doctor", "--profile", "nope"], "").await;
    assert!(said.code == 2 && said.stderr.contains("there is no AWS profile nope"), "{said:?}");
    assert!(
        said.stderr.contains("the profiles are default, staging") && !said.stderr.contains("no region"),
        "{said:?}"
    );
    variables.insert("AWS_PROFILE".to_owned(), "nope".to_owned());
    let said = command(&variables, &["check", "ann@example.com"], "").await;
    assert!(said.stderr.contains("there is no AWS profile nope"), "{said:?}");
}

#[tokio::test]
async fn after_a_crash_of_dev_one_line_says_so_and_nothing_is_tried_again() {
    let dev = Dev::start().await;
    let file = dev.folder.path().join("left.env");
    std::fs::copy(dev.folder.path().join("dev.env"), &file).unwrap();
    let folder = dev.kill().await;
    let local = format!("--local={}", file.display());
    for arguments in
        [&["doctor"][..], &["check", "ann@example.com"], &["campaigns"], &["connect"], &["replay", "--all"]]
    {
        let said = at_once(&BTreeMap::new(), &[arguments, &[&local]].concat()).await;
        assert!(said.code == 2 && said.stdout.is_empty(), "{said:?}");
        assert!(said.stderr.lines().count() == 1 && said.stderr.contains("nothing listens at"), "{said:?}");
        assert!(said.stderr.contains("left.env") && said.stderr.contains("start it again"), "{said:?}");
    }
    let said = command(&BTreeMap::new(), &["doctor", &local, "--json"], "").await;
    let checks = said.json()["checks"].as_array().unwrap().clone();
    assert!(said.code == 2 && checks.len() == 1 && checks[0]["name"] == "rebound dev", "{said:?}");
    drop(folder);
}
