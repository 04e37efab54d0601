//! The code of docs/reading-the-list.md, README and docs/spelling, made into programs: `program may`, `program spell` and so on, with a
//! JSON array on its standard input, prints a JSON array of answers. For `may` the array has an object for each question: `address`,
//! `transactional`, `topic`, `now`. For the others it has texts.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const README: &str = include_str!("../../../../../../README.md");
pub(super) const PAGE: &str = include_str!("../../../../../../docs/reading-the-list.md");
pub(super) const SPELLING_PY: &str = include_str!("../../../../../../docs/spelling/spelling.py");
pub(super) const SPELLING_TS: &str = include_str!("../../../../../../docs/spelling/spelling.ts");
pub(super) const SPELLING_GO: &str = include_str!("../../../../../../docs/spelling/spelling.go");

/// Where Debian has Go's packages, which is the only place that they are looked for.
pub(super) const GO_PATH: &str = "/usr/share/gocode";

/// Which code is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The page's, unchanged.
    Page,
    /// The page's without its short `spell`, with the file of docs/spelling beside it.
    PageWithFile,
    /// The file of docs/spelling by itself.
    File,
}

impl Code {
    /// The page's code in this language; without its short rule, where the file has the whole one. `None` where nothing of the page is
    /// used. `from` begins the short rule, and `to` follows it.
    fn page(self, language: &str, [from, to]: [&str; 2]) -> Option<String> {
        let block = block(PAGE, "## The code", language);
        let (before, rest) = block.split_once(from).expect("the short rule");
        let (_, after) = rest.split_once(to).expect("what follows the short rule");
        match self {
            Self::Page => Some(block.to_owned()),
            Self::PageWithFile => Some(format!("{before}{to}{after}")),
            Self::File => None,
        }
    }
}

/// The first block of this language after the section's heading.
pub(super) fn block<'a>(page: &'a str, heading: &str, language: &str) -> &'a str {
    let section = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no section {heading}")).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let start = format!("```{language}\n");
    let block = section.split_once(&start).unwrap_or_else(|| panic!("no {language} under {heading}")).1;
    block.split_once("```").expect("the end of the block").0
}

/// README's Python code that reads the list, and the page's.
pub(super) fn pythons_of_both_pages() -> [&'static str; 2] {
    [block(README, "## Read the list before you send", "python"), block(PAGE, "## The code", "python")]
}

/// Code, ready to run.
pub(super) struct Program {
    pub(super) path: PathBuf,
    arguments: Vec<String>,
    pub(super) variables: BTreeMap<&'static str, String>,
    pub(super) folder: tempfile::TempDir,
}

impl Program {
    pub(super) fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        Self { path: path.into(), arguments, variables: BTreeMap::new(), folder }
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        let file = self.folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Runs a tool in the folder, before the program. Panics with what it says if it fails.
    pub(super) async fn prepare(&self, tool: impl AsRef<OsStr>, arguments: &[&str]) {
        let mut command = Command::new(tool);
        command.args(arguments).current_dir(self.folder.path()).envs(&self.variables);
        let output = command.kill_on_drop(true).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }

    /// Returns the program's output for a JSON array of texts.
    pub(super) async fn answers(
        &self,
        question: &str,
        variables: &[(impl AsRef<OsStr> + Clone, String)],
        texts: &str,
    ) -> Vec<Value> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).arg(question).current_dir(self.folder.path());
        // Nothing of the shell's own: what is needed has to be among the variables.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(&self.variables);
        command.envs(variables.iter().cloned()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that fails before it has read them says why on its standard error.
        let _ = stdin.write_all(texts.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout} {stderr}"))
    }
}

pub(super) async fn runs(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

pub(super) fn tools(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(".tools").join(path)
}

pub(super) async fn python(code: Code) -> Option<Program> {
    let snippet = code.page("python", ["PLAIN = ", "def may_send_to"]);
    let needed = if snippet.is_some() { "import boto3" } else { "" };
    let program = Program::new(python_with(needed).await?, &["main.py"]);
    program.write("spelling.py", SPELLING_PY);
    let import = if code == Code::Page { "" } else { "from spelling import spell\n" };
    program.write("snippet.py", &format!("{import}{}", snippet.unwrap_or_default()));
    let main = "import json, sys, snippet\n\
                ask = snippet.spell if sys.argv[1] == 'spell' else lambda asked: snippet.may_send_to(**asked)\n\
                print(json.dumps([ask(text) for text in json.load(open(0, encoding='utf-8'))]))\n";
    program.write("main.py", main);
    Some(program)
}

/// README's code that asks for a campaign's brake: `program volume` and `program send`, with an array of campaigns.
pub(super) async fn brake_in_python() -> Option<Program> {
    let snippet = block(README, "## Check the brake before you send", "python");
    let main = "import json, sys, snippet\n\
                ask = snippet.volume_of if sys.argv[1] == 'volume' else snippet.may_send\n\
                print(json.dumps([ask(text) for text in json.load(open(0, encoding='utf-8'))]))\n";
    let program = Program::new(python_with("import boto3").await?, &["main.py"]);
    program.write("snippet.py", snippet);
    program.write("main.py", main);
    Some(program)
}

/// A Python in which this statement works.
pub(super) async fn python_with(needed: &str) -> Option<PathBuf> {
    for python in [tools("venv/bin/python3"), PathBuf::from("python3")] {
        if runs(&python, &["-c", needed]).await {
            return Some(python);
        }
    }
    None
}

pub(super) async fn typescript(code: Code) -> Option<Program> {
    let snippet = code.page("ts", ["const PLAIN", "export async function maySendTo"]);
    let (modules, compiler) = (tools("node/node_modules"), tools("node/node_modules/.bin/tsc"));
    let needed = if code == Code::Page { "@aws-sdk/client-dynamodb" } else { "punycode" };
    if !compiler.exists() || !modules.join(needed).exists() || !runs("node", &["--version"]).await {
        return None;
    }
    let program = Program::new("node", &["main.js"]);
    std::os::unix::fs::symlink(modules, program.folder.path().join("node_modules")).unwrap();
    // Without the page's code there is nothing but `spell` to ask.
    let (may, import) = if snippet.is_some() { ("maySendTo", "./snippet.js") } else { ("spell", "./spelling.js") };
    let ask_may = if snippet.is_some() {
        "({ address, transactional, topic, now }: any) => may(address, { transactional, topic: topic ?? undefined, now })"
    } else {
        "may"
    };
    let spell = if code == Code::Page { "./snippet.js" } else { "./spelling.js" };
    if let Some(snippet) = snippet {
        let whole = if code == Code::Page { "" } else { "import { spell } from \"./spelling.js\";\n" };
        program.write("snippet.ts", &format!("{whole}{snippet}"));
    }
    if code != Code::Page {
        program.write("spelling.ts", SPELLING_TS);
    }
    let main = format!(
        "import {{ readFileSync }} from \"node:fs\";\n\
         import {{ {may} as may }} from \"{import}\";\n\
         import {{ spell }} from \"{spell}\";\n\
         const ask: any = process.argv[2] === \"spell\" ? spell : {ask_may};\n\
         const texts: any[] = JSON.parse(readFileSync(0, \"utf8\"));\n\
         Promise.all(texts.map((text) => ask(text))).then((all) => console.log(JSON.stringify(all)));\n"
    );
    program.write("main.ts", &main);
    program.write("package.json", r#"{"type": "module"}"#);
    let strict = ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"];
    program.prepare(compiler, &[&strict[..], &["--types", "node", "main.ts"]].concat()).await;
    Some(program)
}

pub(super) async fn go(code: Code) -> Option<Program> {
    let snippet = code.page("go", ["var plain", "func MaySendTo"]);
    let sdk = snippet.as_ref().map(|_| "github.com/aws/aws-sdk-go-v2/service/dynamodb");
    let rule = (code != Code::Page).then_some(["golang.org/x/text/unicode/norm", "golang.org/x/net/idna"]);
    let mut needed = sdk.into_iter().chain(rule.into_iter().flatten());
    if !needed.all(|package| Path::new(GO_PATH).join("src").join(package).exists()) || !runs("go", &["version"]).await {
        return None;
    }
    let mut program = Program::new("./main", &[]);
    program.path = program.folder.path().join("program");
    let own = program.folder.path().to_string_lossy().into_owned();
    program.variables.insert("GOPATH", format!("{own}:{GO_PATH}"));
    program.variables.insert("GO111MODULE", "off".to_owned());
    if code != Code::Page {
        program.write("src/suppressions/spelling.go", SPELLING_GO);
    }
    program.write("src/main/main.go", GO_MAIN);
    if let Some(snippet) = snippet {
        // Go wants to be told too that the short rule is gone.
        let unused = |snippet: String| snippet.replace("\t\"regexp\"\n", "").replace("\t\"strings\"\n", "");
        let snippet = if code == Code::Page { snippet } else { unused(snippet) };
        program.write("src/suppressions/suppressions.go", &snippet);
        program.write("src/main/may.go", GO_MAY);
    }
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

type question struct {
	Address       string
	Transactional bool
	Topic         string
	Now           int64
}

var may func(asked question) interface{}

func read(into interface{}) {
	if err := json.NewDecoder(os.Stdin).Decode(into); err != nil {
		panic(err)
	}
}

func main() {
	all := []interface{}{}
	if os.Args[1] == "may" {
		var questions []question
		read(&questions)
		for _, asked := range questions {
			all = append(all, may(asked))
		}
		json.NewEncoder(os.Stdout).Encode(all)
		return
	}
	var texts []string
	read(&texts)
	for _, text := range texts {
		if key, ok := suppressions.Spell(text); ok {
			all = append(all, key)
		} else {
			all = append(all, nil)
		}
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
"#;

/// The client is the caller's own, so what the older SDK needs to find the embedded DynamoDB is here and not in the snippet.
const GO_MAY: &str = r#"package main

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"suppressions"
)

type local struct{}

func (local) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
}

func init() {
	db := dynamodb.New(dynamodb.Options{
		Region: os.Getenv("AWS_REGION"), Credentials: local{},
		EndpointResolver: dynamodb.EndpointResolverFromURL(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")),
	})
	may = func(asked question) interface{} {
		options := suppressions.Options{Transactional: asked.Transactional, Topic: asked.Topic, Now: asked.Now}
		answer, err := suppressions.MaySendTo(context.Background(), db, asked.Address, options)
		if err != nil {
			panic(err)
		}
		return answer
	}
}
"#;
