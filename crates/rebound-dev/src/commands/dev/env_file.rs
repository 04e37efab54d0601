//! The file with which other commands reach `rebound dev`.

use std::path::{Path, PathBuf};

use aws_local::dynamodb::is_local;

use crate::commands::{CommandError, variable};
use crate::stack::EmbeddedAws;

/// The environment file for other commands. It is deleted when this is dropped.
pub(super) struct EnvFile(PathBuf);

impl EnvFile {
    /// Writes the file, with these lines first.
    pub(super) fn write(file: &Path, aws: &EmbeddedAws, mut lines: String) -> Result<Self, CommandError> {
        let failed = |error| format!("{}: {error}; name another file with --env-file", file.display());
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        for (name, value) in shared(aws) {
            lines.push_str(&format!("{name}={value}\n"));
        }
        // A program that waits for the file never reads a part of it.
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

/// The variables for other commands. The shell's secrets are not copied to the file.
///
/// Key id and secret are written together, or not at all. If every endpoint is on this machine, no endpoint checks the secret, but some
/// engines have separate tables for each key id: so the file has the key id, with a dummy secret. If an endpoint is elsewhere, other
/// commands find their credentials as they do for AWS.
fn shared(aws: &EmbeddedAws) -> Vec<(&str, &str)> {
    let is_shells = |name: &str, value: &str| variable(name).as_deref() == Some(value);
    let all = || aws.variables().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let is_near = all().filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL")).all(|(_, url)| is_local(url));
    all()
        .filter_map(|(name, value)| match name {
            _ if !is_shells(name, value) => Some((name, value)),
            "RESEND_WEBHOOK_SECRET" | "CONSENT_KEY" | "RESEND_API_KEY" | "ANTHROPIC_API_KEY" | "AWS_SESSION_TOKEN" => {
                None
            }
            "AWS_ACCESS_KEY_ID" => is_near.then_some((name, value)),
            "AWS_SECRET_ACCESS_KEY" => is_near.then_some((name, "local")),
            _ => Some((name, value)),
        })
        .collect()
}
