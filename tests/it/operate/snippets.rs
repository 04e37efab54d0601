//! The README's own words to other programs: the code that reads suppressions, in each language, run on the embedded DynamoDB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use hmac::{Hmac, KeyInit, Mac};
use rebound::local::stack::{EmbeddedAws, Options};
use rebound::store::Item;
use rebound::time::UnixMillis;
use sha2::Sha256;
use tokio::process::Command;

const README: &str = include_str!("../../../README.md");

/// Which of the languages have to be there, by their names: `python ts go`. The others are skipped, and that is said.
const REQUIRED: &str = "REQUIRE_SNIPPETS";

/// Where Debian has the AWS SDK for Go, which is the only place that it is looked for.
const GO_PATH: &str = "/usr/share/gocode";

const KEY: [u8; 32] = [7; 32];

/// The first block of this language after the section's heading.
fn snippet(language: &str) -> &'static str {
    let section = README.split_once("## Read the list before you send").expect("the section").1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let block = section.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language} in README")).1;
    block.split_once("```").expect("the end of the block").0
}

/// Somebody for each thing that a reader has to mind, and whether they may be written to; before anybody is forgotten, and after.
fn everybody() -> Vec<(&'static str, Option<Item>, [bool; 2])> {
    let later = |ms: i64| AttributeValue::N((UnixMillis::now().0 + ms).to_string());
    let with = |reasons: &[&str], until: Option<AttributeValue>| {
        let mut item = Item::from([("version".to_owned(), AttributeValue::N("1".to_owned()))]);
        if !reasons.is_empty() {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        item.extend(until.map(|until| ("until".to_owned(), until)));
        Some(item)
    };
    vec![
        ("nobody@example.com", None, [true, true]),
        ("complained@example.com", with(&["complaint"], None), [false, false]),
        (" Complained@Example.COM\n", None, [false, false]),
        ("both@example.com", with(&["hard_bounce", "unsubscribed"], None), [false, false]),
        ("lapsed@example.com", with(&["soft_bounce"], Some(later(-1_000))), [true, true]),
        ("lapsing@example.com", with(&["soft_bounce"], Some(later(3_600_000))), [false, false]),
        ("lifted@example.com", with(&[], None), [true, true]),
        ("forgotten@example.com", None, [true, false]),
        ("Forgotten@example.com", None, [true, false]),
    ]
}

async fn put(aws: &EmbeddedAws, recipient: &str, item: Item) {
    let table = aws.variable("SUPPRESSIONS_TABLE").unwrap();
    assert_eq!(table, "rebound-suppressions", "as the README has it");
    let put = aws.clients().unwrap().dynamodb().put_item().table_name(table).set_item(Some(item));
    put.item("recipient", AttributeValue::S(recipient.to_owned())).send().await.unwrap();
}

/// What a program says about each of them: it gets the addresses as its arguments, and prints a JSON array.
async fn answers(aws: &EmbeddedAws, program: &Program) -> Vec<bool> {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).args(everybody().iter().map(|(address, ..)| *address));
    command.current_dir(program.folder.path()).envs(&program.variables).stdin(Stdio::null());
    let aws_variables = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"];
    command.envs(aws_variables.map(|name| (name, aws.variable(name).unwrap())));
    command.env("AWS_DEFAULT_REGION", aws.variable("AWS_REGION").unwrap()).env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.kill_on_drop(true).output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"))
}

/// A snippet, ready to run.
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    variables: BTreeMap<&'static str, String>,
    folder: tempfile::TempDir,
}

impl Program {
    fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        Self { path: path.into(), arguments, variables: BTreeMap::new(), folder }
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Runs a tool in the folder, before the program. Answers what it says if it fails.
    async fn prepare(&self, tool: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) {
        let mut command = Command::new(tool);
        command.args(arguments).current_dir(self.folder.path()).envs(&self.variables);
        let output = command.kill_on_drop(true).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

async fn runs(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

fn tools(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(path)
}

async fn python() -> Option<Program> {
    for python in [tools("venv/bin/python3"), PathBuf::from("python3")] {
        if runs(&python, &["-c", "import boto3"]).await {
            let program = Program::new(python, &["main.py"]);
            program.write("snippet.py", snippet("python"));
            let main = "import json, sys, snippet\nprint(json.dumps([snippet.may_send_to(a) for a in sys.argv[1:]]))\n";
            program.write("main.py", main);
            return Some(program);
        }
    }
    None
}

async fn typescript() -> Option<Program> {
    let (modules, compiler) = (tools("node/node_modules"), tools("node/node_modules/.bin/tsc"));
    if !compiler.exists() || !modules.join("@aws-sdk/client-dynamodb").exists() || !runs("node", &["--version"]).await {
        return None;
    }
    let program = Program::new("node", &["main.js"]);
    std::os::unix::fs::symlink(modules, program.folder.path().join("node_modules")).unwrap();
    program.write("snippet.ts", snippet("ts"));
    let main = "import { maySendTo } from \"./snippet.js\";\n\
                Promise.all(process.argv.slice(2).map(maySendTo)).then((all) => console.log(JSON.stringify(all)));\n";
    program.write("main.ts", main);
    program.write("package.json", r#"{"type": "module"}"#);
    let strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
    program.prepare(compiler, &[&strict[..], &["--types", "node", "main.ts"]].concat()).await;
    Some(program)
}

async fn go() -> Option<Program> {
    let sdk = Path::new(GO_PATH).join("src/github.com/aws/aws-sdk-go-v2/service/dynamodb");
    if !sdk.exists() || !runs("go", &["version"]).await {
        return None;
    }
    let mut program = Program::new("./may-send", &[]);
    program.path = program.folder.path().join("may-send");
    let own = program.folder.path().to_string_lossy().into_owned();
    program.variables.insert("GOPATH", format!("{own}:{GO_PATH}"));
    program.variables.insert("GO111MODULE", "off".to_owned());
    program.write("src/suppressions/suppressions.go", snippet("go"));
    program.write("src/main/main.go", GO_MAIN);
    program.prepare("go", &["vet", "suppressions"]).await;
    program.prepare("go", &["build", "-o", "may-send", "main"]).await;
    Some(program)
}

/// The client is the caller's own, so what the older SDK needs to find the embedded DynamoDB is here and not in the snippet.
const GO_MAIN: &str = r#"package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"suppressions"
)

type local struct{}

func (local) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
}

func main() {
	db := dynamodb.New(dynamodb.Options{
		Region: os.Getenv("AWS_REGION"), Credentials: local{},
		EndpointResolver: dynamodb.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")),
	})
	var all []bool
	for _, address := range os.Args[1:] {
		may, err := suppressions.MaySendTo(context.Background(), db, address)
		if err != nil {
			panic(err)
		}
		all = append(all, may)
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
"#;

#[tokio::test]
async fn the_readmes_code_says_of_everybody_what_the_list_says() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    for (recipient, item, _) in everybody() {
        if let Some(item) = item {
            put(&aws, recipient, item).await;
        }
    }
    let required = std::env::var(REQUIRED).unwrap_or_default();
    let mut programs = Vec::new();
    for (language, program) in [("python", python().await), ("ts", typescript().await), ("go", go().await)] {
        match program {
            Some(program) => programs.push((language, program)),
            None => {
                let is_required = required.split_whitespace().any(|name| name == language);
                assert!(!is_required, "{REQUIRED} names {language}, and its runtime or its AWS SDK is not here");
                eprintln!(
                    "skipped: README's {language}, whose runtime or AWS SDK is not here; `make lint` installs most"
                );
            }
        }
    }
    for (language, program) in &programs {
        let expected: Vec<bool> = everybody().iter().map(|(.., may)| may[0]).collect();
        assert_eq!(answers(&aws, program).await, expected, "{language}, before anybody was forgotten");
    }
    forget(&aws).await;
    for (language, program) in &programs {
        let expected: Vec<bool> = everybody().iter().map(|(.., may)| may[1]).collect();
        assert_eq!(answers(&aws, program).await, expected, "{language}, after somebody was forgotten");
    }
}

/// As `rebound forget` leaves it.
async fn forget(aws: &EmbeddedAws) {
    put(aws, "#forgotten-key", Item::from([("key".to_owned(), AttributeValue::B(Blob::new(KEY)))])).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(b"forgotten@example.com");
    let hash: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let reasons = AttributeValue::Ss(vec!["opted_out".to_owned()]);
    // Nothing that the item holds besides can end it.
    let until = AttributeValue::N("1".to_owned());
    let item = Item::from([("reasons".to_owned(), reasons), ("until".to_owned(), until)]);
    put(aws, &format!("forgotten#{hash}"), item).await;
}
