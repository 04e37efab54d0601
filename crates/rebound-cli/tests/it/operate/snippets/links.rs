//! The code of docs/reading-the-list.md that makes unsubscribe links, in each language: with the page's short rule for addresses, and
//! with the whole rule. Each link is the one that Rebound makes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_local::server::{Server, json_response};
use rebound::policy::consent_link::{ConsentLink, ConsentPurpose, ConsentUrl};
use rebound::resend::recipient::Recipient;
use serde_json::{Value, json};

use super::REQUIRED;
use super::programs::{GO_PATH, PAGE, Program, SPELLING_GO, SPELLING_PY, SPELLING_TS, block, python_with, runs, tools};
use crate::support::any_port;

const URL: &str = "https://mail.example.com";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const HEADING: &str = "## Unsubscribe links";

/// The contract's known answer.
const EMAIL_ID: &str = "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11";
const KNOWN: &str = "https://mail.example.com/u/YW5uQGV4YW1wbGUuY29t.MGI2ZjNkNTItN2ExZS00YzU1LTljMWQtMmY2ZjZmMGE3YzEx.pyDopnch-c-F9tm3lREURQ";

/// Variables of the programs: the first key signs, and a slash at the end of the URL does not count.
fn variables() -> Vec<(&'static str, String)> {
    vec![
        ("CONSENT_KEY", format!(" {KEY} {}", "f".repeat(32))),
        ("CONSENT_URL", format!("{URL}//")),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
    ]
}

/// Pairs of an address and an email id.
fn pairs() -> Vec<[String; 2]> {
    let addresses = ["ann@example.com", " Ann.O'Neill+x@Example.COM\n", "ann@bücher.example", "Ann <ann@example.com>"];
    let wrong = ["", "ann", "ann@", "*@example.com"];
    let long = format!("{}@example.com", "a".repeat(300));
    let ids = ["", EMAIL_ID, "ü", "two\nlines"].map(str::to_owned);
    let addresses: Vec<String> = addresses.into_iter().chain(wrong).map(str::to_owned).chain([long.clone()]).collect();
    let all = addresses.iter().flat_map(|address| ids.iter().map(|id| [address.clone(), id.clone()]));
    // A token of 700 characters is the longest: 312 bytes and 190 are 416 and 254, a signature 22, and two dots.
    all.chain([188, 189, 190, 191, 192, 193, 194, 195].map(|length| [long.clone(), "x".repeat(length)])).collect()
}

fn link([address, email_id]: &[String; 2]) -> Option<String> {
    let email_id = Some(email_id.clone()).filter(|id| !id.is_empty());
    let link = ConsentLink { recipient: Recipient::parse(address)?, email_id };
    let token = link.sign(ConsentPurpose::OptOut, &KEY.parse().unwrap()).ok()?;
    Some(URL.parse::<ConsentUrl>().unwrap().link(ConsentPurpose::OptOut, &token))
}

/// The rule for addresses that a program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Short,
    Whole,
}

async fn python(rule: Rule) -> Option<Program> {
    let program = Program::new(python_with("import boto3").await?, &["main.py"]);
    let code = block(PAGE, HEADING, "python");
    program.write(
        "links.py",
        &if rule == Rule::Whole { code.replace("suppressions import", "spelling import") } else { code.to_owned() },
    );
    program.write("suppressions.py", block(PAGE, "## The code", "python"));
    program.write("spelling.py", SPELLING_PY);
    program.write(
        "main.py",
        "import json, links\n\
         def link(pair):\n\
         \x20   try: return links.unsubscribe_link(*(pair if pair[1] else pair[:1]))\n\
         \x20   except ValueError: return None\n\
         print(json.dumps([link(pair) for pair in json.load(open(0, encoding='utf-8'))]))\n",
    );
    Some(program)
}

async fn typescript(rule: Rule) -> Option<Program> {
    let (modules, compiler) = (tools("node/node_modules"), tools("node/node_modules/.bin/tsc"));
    let needed = ["@aws-sdk/client-dynamodb", "punycode"].iter().all(|package| modules.join(package).exists());
    if !compiler.exists() || !needed || !runs("node", &["--version"]).await {
        return None;
    }
    let program = Program::new("node", &["main.js"]);
    std::os::unix::fs::symlink(modules, program.folder.path().join("node_modules")).unwrap();
    let code = block(PAGE, HEADING, "ts");
    program.write(
        "links.ts",
        &if rule == Rule::Whole { code.replace("./suppressions.js", "./spelling.js") } else { code.to_owned() },
    );
    program.write("suppressions.ts", block(PAGE, "## The code", "ts"));
    program.write("spelling.ts", SPELLING_TS);
    let main = "import { readFileSync } from \"node:fs\";\n\
                import { unsubscribeLink } from \"./links.js\";\n\
                function link([address, emailId]: [string, string]): string | null {\n\
                \x20 try { return emailId ? unsubscribeLink(address, emailId) : unsubscribeLink(address); } catch { return null; }\n\
                }\n\
                console.log(JSON.stringify(JSON.parse(readFileSync(0, \"utf8\")).map(link)));\n";
    program.write("main.ts", main);
    program.write("package.json", r#"{"type": "module"}"#);
    let strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
    program.prepare(compiler, &[&strict[..], &["--types", "node", "main.ts"]].concat()).await;
    Some(program)
}

async fn go(rule: Rule) -> Option<Program> {
    let packages =
        ["github.com/aws/aws-sdk-go-v2/service/dynamodb", "golang.org/x/text/unicode/norm", "golang.org/x/net/idna"];
    let is_here = |package: &&str| Path::new(GO_PATH).join("src").join(package).exists();
    if !packages.iter().all(is_here) || !runs("go", &["version"]).await {
        return None;
    }
    let mut program = Program::new("./main", &[]);
    program.path = program.folder.path().join("program");
    let own = program.folder.path().to_string_lossy().into_owned();
    program.variables.insert("GOPATH", format!("{own}:{GO_PATH}"));
    program.variables.insert("GO111MODULE", "off".to_owned());
    match rule {
        Rule::Short => program.write("src/suppressions/suppressions.go", block(PAGE, "## The code", "go")),
        Rule::Whole => program.write("src/suppressions/spelling.go", SPELLING_GO),
    }
    program.write("src/suppressions/links.go", block(PAGE, HEADING, "go"));
    program.write("src/main/main.go", GO_MAIN);
    program.prepare("go", &["vet", "suppressions"]).await;
    program.prepare("go", &["build", "-o", "program", "main"]).await;
    Some(program)
}

const GO_MAIN: &str = r#"package main

import (
	"encoding/json"
	"os"

	"suppressions"
)

func main() {
	var pairs [][2]string
	if err := json.NewDecoder(os.Stdin).Decode(&pairs); err != nil {
		panic(err)
	}
	all := []interface{}{}
	for _, pair := range pairs {
		if link, err := suppressions.UnsubscribeLink(pair[0], pair[1]); err == nil {
			all = append(all, link)
		} else {
			all = append(all, nil)
		}
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
"#;

async fn programs(rule: Rule) -> Vec<(&'static str, Program)> {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    let all = [("python", python(rule).await), ("ts", typescript(rule).await), ("go", go(rule).await)];
    let mut here = Vec::new();
    for (language, program) in all {
        match program {
            Some(program) => here.push((language, program)),
            None => {
                let is_required = required.split_whitespace().any(|name| name == language);
                assert!(!is_required, "{REQUIRED} names {language}, and its runtime or a package is not here");
                eprintln!(
                    "skipped: links in {language}, whose runtime or packages are not here; `make lint` installs most"
                );
            }
        }
    }
    here
}

#[tokio::test]
async fn the_pages_links_are_those_that_rebound_makes() {
    let pairs = pairs();
    let links: Vec<Option<String>> = pairs.iter().map(link).collect();
    assert_eq!(links[1].as_deref(), Some(KNOWN));
    assert!(links.iter().filter(|link| link.is_none()).count() > 8, "{links:?}");
    let asked = serde_json::to_string(&pairs).unwrap();
    for (language, program) in programs(Rule::Whole).await {
        let answers = program.answers("link", &variables(), &asked).await;
        assert_eq!(answers, links.iter().map(|link| json!(link)).collect::<Vec<_>>(), "{language}");
    }
    for (language, program) in programs(Rule::Short).await {
        let answers = program.answers("link", &variables(), &asked).await;
        assert_eq!((answers.len(), answers[1].as_str()), (pairs.len(), Some(KNOWN)), "{language}");
        for ((pair, link), answer) in pairs.iter().zip(&links).zip(&answers) {
            assert!(answer.is_null() || *answer == json!(link), "{language}: {pair:?} is {link:?}, and not {answer}");
        }
        assert!(answers.iter().filter(|answer| answer.is_string()).count() >= 12, "{language}");
    }
}

#[tokio::test]
async fn the_command_makes_the_same_links() {
    let shell = [("CONSENT_URL", URL), ("CONSENT_KEY", KEY)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let shell = shell.into_iter().collect();
    let made =
        super::super::command(&shell, &["unsubscribe-link", " Ann@Example.com", "--email-id", EMAIL_ID], "").await;
    assert_eq!((made.code, made.stdout, made.stderr), (0, format!("{KNOWN}\n"), String::new()));
    let json = super::super::command(&shell, &["unsubscribe-link", "ann@example.com", "--json"], "").await.json();
    let url = link(&["ann@example.com".to_owned(), String::new()]).unwrap();
    let headers =
        json!({ "List-Unsubscribe": format!("<{url}>"), "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" });
    assert_eq!(json, json!({ "url": url, "headers": headers }));
}

/// Posts that a server got: path and body.
type Posts = Arc<Mutex<Vec<(String, Value)>>>;

#[tokio::test]
async fn resends_package_sends_the_two_headers() {
    let required = std::env::var(REQUIRED).unwrap_or_default().contains("python");
    let Some(python) = python_with("import boto3, resend").await else {
        assert!(!required, "boto3 and resend are not here");
        return eprintln!("skipped: there is no Python with boto3 and resend; `make lint` installs both");
    };
    let posts = Posts::default();
    let seen = Arc::clone(&posts);
    let server = Server::start(any_port(), move |request| {
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        seen.lock().unwrap().push((request.uri().path().to_owned(), body));
        let answer = json!({ "id": EMAIL_ID }).to_string();
        async { Ok(json_response(hyper::StatusCode::OK, "application/json", answer)) }
    });
    let server = server.await.unwrap();
    let program = Program::new(python, &["main.py"]);
    program.write("links.py", block(PAGE, HEADING, "python"));
    program.write("suppressions.py", block(PAGE, "## The code", "python"));
    program.write("send.py", block(PAGE, "### The link in an email", "python"));
    program.write("main.py", "import resend; resend.api_key = 're_test'; import send; print('[]')\n");
    let mut variables = variables();
    variables.push(("RESEND_API_URL", server.url()));
    program.answers("send", &variables, "[]").await;
    let link = link(&["ann@example.com".to_owned(), String::new()]).unwrap();
    let posts = posts.lock().unwrap().clone();
    let [(path, body)] = posts.as_slice() else { panic!("{posts:?}") };
    assert_eq!(path, "/emails");
    assert_eq!(body["headers"]["List-Unsubscribe"], format!("<{link}>"));
    assert_eq!(body["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
    assert!(body["text"].as_str().unwrap().ends_with(&link), "{body}");
}
