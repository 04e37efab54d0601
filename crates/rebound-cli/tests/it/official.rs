//! The emulators and stubs, tested by official packages: Resend's for Python and for Node, and Amazon's boto3, where they are
//! installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_local::server::{Server, json_response};
use rebound_dev::resend::{LocalResend, ResendBehaviour};
use rebound_dev::samples;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use tokio::process::Command;

use crate::support::any_port;

/// Which of the packages have to be there: `resend-python resend-node boto3`. The others are skipped, and that is said.
const REQUIRED: &str = "REQUIRE_OFFICIAL";

const KEY: &str = "re_full_access";

/// Every error of Resend's API that the packages may meet (<https://resend.com/docs/api-reference/errors>), and two pages.
const ERRORS: [(u16, &str); 31] = [
    (400, "invalid_idempotency_key"),
    (400, "validation_error"),
    (401, "missing_api_key"),
    (401, "restricted_api_key"),
    (403, "email_above_quota"),
    (403, "html"),
    (403, "invalid_api_key"),
    (403, "invalid_permission"),
    (403, "restricted_api_key"),
    (403, "suspended_api_key"),
    (403, "validation_error"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (409, "concurrent_idempotent_requests"),
    (409, "invalid_idempotent_request"),
    (409, "resource_locked"),
    (422, "invalid_attachment"),
    (422, "invalid_from_address"),
    (422, "invalid_parameter"),
    (422, "invalid_region"),
    (422, "missing_required_field"),
    (422, "missing_required_parameter"),
    (422, "validation_error"),
    (429, "daily_quota_exceeded"),
    (429, "monthly_quota_exceeded"),
    (429, "rate_limit_exceeded"),
    (451, "security_error"),
    (500, "application_error"),
    (500, "internal_server_error"),
    (502, "html"),
    (503, "service_unavailable"),
];

fn root(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

async fn runs(program: &Path, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

/// Says that a package is not here; or fails, if it has to be.
fn missing(package: &str) {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    assert!(!required.split_whitespace().any(|name| name == package), "{REQUIRED} names {package}, which is not here");
    eprintln!("skipped: {package} is not here; `make lint` installs it");
}

/// A Python that has a package.
async fn python(package: &str) -> Option<PathBuf> {
    for python in [root(".tools/venv/bin/python3"), PathBuf::from("python3")] {
        if runs(&python, &["-c", &format!("import {package}")]).await {
            return Some(python);
        }
    }
    None
}

/// Runs a script, which says `ok` if all was as it expects.
async fn says_ok(mut command: Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(said.starts_with(b"ok"), "{}", String::from_utf8_lossy(&said));
}

/// A Resend that a package is let loose on, with a webhook that was to deliver three events, the newest of which was answered 500.
struct Driven {
    resend: LocalResend,
    endpoint: Server,
    webhook: String,
}

impl Driven {
    async fn start() -> Self {
        let resend = LocalResend::start(KEY).await.unwrap();
        resend.limit(10_000);
        let status = Arc::new(AtomicU16::new(200));
        let answers = Arc::clone(&status);
        let endpoint = Server::start(any_port(), move |_| {
            let status = hyper::StatusCode::from_u16(answers.load(Ordering::SeqCst)).unwrap();
            async move { Ok(json_response(status, "application/json", r#"{"status":"handled"}"#)) }
        });
        let endpoint = endpoint.await.unwrap();
        let client = rebound_cli::resend_api::Resend::new(Some(&resend.url()), KEY).unwrap();
        let events = ["email.delivered".to_owned()];
        let (webhook, _) = client.create_webhook(&endpoint.url(), &events).await.unwrap();
        let body = std::str::from_utf8(samples::body("email.delivered").unwrap()).unwrap();
        for answer in [200, 200, 500] {
            status.store(answer, Ordering::SeqCst);
            assert_eq!(resend.deliver("email.delivered", body).await, [answer]);
        }
        status.store(200, Ordering::SeqCst);
        resend.plan(|_, path| {
            let (status, name) = path.strip_prefix("/emails/")?.split_once('-')?;
            let status = status.parse().ok().filter(|status| *status < 600)?;
            let (name, message) = (name.to_owned(), "Because.".to_owned());
            Some(if name == "html" {
                ResendBehaviour::Html(status)
            } else {
                ResendBehaviour::Error { status, name, message }
            })
        });
        Self { resend, endpoint, webhook }
    }

    fn arguments(&self) -> [String; 5] {
        let errors = serde_json::to_string(&ERRORS[..]).unwrap();
        [self.resend.url(), KEY.to_owned(), format!("{}/", self.endpoint.url()), self.webhook.clone(), errors]
    }
}

#[tokio::test]
async fn resends_package_for_python_finds_what_it_expects() {
    let Some(python) = python("resend").await else { return missing("resend-python") };
    let driven = Driven::start().await;
    let mut command = Command::new(python);
    command.arg(root("scripts/drive_resend.py")).args(driven.arguments());
    says_ok(command).await;
    assert!(driven.resend.contact("zoe@example.com").is_none(), "it was removed");
    let subjects: Vec<_> = driven.resend.emails().iter().map(|email| email["subject"].clone()).collect();
    assert_eq!(subjects, ["Hello", "Hello", "Hello"], "each of three once");
}

#[tokio::test]
async fn resends_package_for_node_finds_what_it_expects() {
    let (modules, node) = (root(".tools/node/node_modules"), Path::new("node"));
    let compiler = modules.join(".bin/tsc");
    if !modules.join("resend").exists() || !compiler.exists() || !runs(node, &["--version"]).await {
        return missing("resend-node");
    }
    let (driven, folder) = (Driven::start().await, tempfile::tempdir().unwrap());
    let answers = folder.path().join("answers.ts");
    let mut command = Command::new(node);
    command.arg(root("scripts/drive_resend.mjs")).arg(&modules).args(driven.arguments()).arg(&answers);
    says_ok(command).await;
    // Each answer is of the type that the package says it has, to the last field.
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let mut command = Command::new(&compiler);
    command.args([
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "",
    ]);
    let output = command.arg(&answers).current_dir(folder.path()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn boto3_finds_the_local_aws_as_amazon_describes_it() {
    let Some(python) = python("boto3").await else { return missing("boto3") };
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let mut command = Command::new(python);
    command.arg(root("scripts/drive_aws.py")).envs(aws.variables()).env("AWS_EC2_METADATA_DISABLED", "true");
    says_ok(command).await;
}
