//! The pages of `consent` in a real browser: Chromium visits those of `rebound dev`, by keyboard alone. `scripts/browse_consent.mjs` says
//! what it looks at.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::operate::Dev;

/// If it is 1, a browser and the packages have to be there. Otherwise the visit is skipped without them, and that is said.
const REQUIRED: &str = "REQUIRE_BROWSER";

/// A folder for the screenshots. Without it, they are deleted.
const PICTURES: &str = "PICTURES";

/// The packages that the visit needs.
const PACKAGES: [&str; 3] = ["puppeteer-core", "axe-core", "@aws-sdk/client-dynamodb"];

fn root(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// The path of the browser: `CHROMIUM`, else the first that is installed.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").filter(|path| !path.is_empty()).map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let installed = std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    named.or_else(|| installed.into_iter().find(|path| path.is_file()))
}

async fn is_here(modules: &Path) -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    node.is_ok_and(|status| status.success()) && PACKAGES.iter().all(|package| modules.join(package).exists())
}

#[tokio::test]
async fn a_person_opts_out_in_a_browser_by_keyboard_alone() {
    let modules = root(".tools/node/node_modules");
    let (Some(chromium), true) = (chromium(), is_here(&modules).await) else {
        assert_ne!(std::env::var(REQUIRED).as_deref(), Ok("1"), "Chromium, node or a package is not here");
        return eprintln!(
            "skipped: Chromium, node, puppeteer-core or axe-core is not here; `make browse` installs the packages"
        );
    };
    let dev = Dev::start_with(&[("SENDER_NAME", "Bloom & Søn")]).await;
    // The local Secrets Manager has no such secret: there is no key yet.
    let keyless = Dev::start_with(&[("CONSENT_KEYS_ARN", "rebound/nothing")]).await;
    let folder = tempfile::tempdir().unwrap();
    let pictures = std::env::var_os(PICTURES).map_or_else(|| folder.path().to_owned(), PathBuf::from);
    let mut visit = Command::new("node");
    visit.arg(root("scripts/browse_consent.mjs")).args([&modules, &chromium, &pictures]).env_clear();
    visit.envs(["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    visit.envs(dev.variables()).env("KEYLESS_URL", &keyless.variables()["CONSENT_URL"]);
    let output = visit.kill_on_drop(true).output().await.unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{failed}");
    let counted: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap();
    eprintln!("visited: {counted}, pictures in {}", pictures.display());
    // 6 languages, 2 widths, 2 colour schemes; 8 pages each, and the button with the focus.
    assert_eq!(counted, json!({ "pages": 24 * 8, "optedOut": 24, "pictures": 24 * 9 }));
}
