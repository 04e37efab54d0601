//! How other commands reach `rebound dev`.

use std::path::{Path, PathBuf};

use aws_local::dynamodb::is_local;

use crate::commands::{CommandError, variable};
use crate::stack::EmbeddedAws;

/// The file that tells other commands how to reach this Rebound. It goes when this does.
pub(super) struct EnvFile(PathBuf);

impl EnvFile {
    /// Writes it, with these lines first.
    pub(super) fn write(file: &Path, aws: &EmbeddedAws, mut lines: String) -> Result<Self, CommandError> {
        let failed = |error| format!("{}: {error}; name another file with --env-file", file.display());
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        for (name, value) in shared(aws) {
            lines.push_str(&format!("{name}={value}\n"));
        }
        // Whoever waits for it finds it whole.
        let mut new = file.as_os_str().to_owned();
        new.push(".new");
        std::fs::write(&new, lines).and_then(|()| std::fs::rename(&new, file)).map_err(failed)?;
        Ok(Self(file.to_owned()))
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The variables for other commands. Secrets of the shell's own are not copied to a file.
///
/// Credentials go together, or not at all: half of them is worth nothing. Where every endpoint is on this machine, nobody checks the
/// secret, but some engines keep the tables of each key apart: so the key stays, with a secret that is none. Where one is elsewhere,
/// other commands look for credentials as they do for AWS.
fn shared(aws: &EmbeddedAws) -> Vec<(&str, &str)> {
    let is_shells = |name: &str, value: &str| variable(name).as_deref() == Some(value);
    let all = || aws.variables().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let is_near = all().filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL")).all(|(_, url)| is_local(url));
    all()
        .filter_map(|(name, value)| match name {
            _ if !is_shells(name, value) => Some((name, value)),
            "RESEND_WEBHOOK_SECRET" | "RESEND_API_KEY" | "ANTHROPIC_API_KEY" | "AWS_SESSION_TOKEN" => None,
            "AWS_ACCESS_KEY_ID" => is_near.then_some((name, value)),
            "AWS_SECRET_ACCESS_KEY" => is_near.then_some((name, "local")),
            _ => Some((name, value)),
        })
        .collect()
}
