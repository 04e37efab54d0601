//! How other commands reach `rebound dev`.

use std::path::{Path, PathBuf};

use rebound::local::stack::EmbeddedAws;

use crate::{Failure, variable};

/// The file that tells other commands how to reach this Rebound. It goes when this does.
pub(super) struct EnvFile(PathBuf);

impl EnvFile {
    /// Writes it, with these lines first.
    pub(super) fn write(file: &Path, aws: &EmbeddedAws, mut lines: String) -> Result<Self, Failure> {
        let failed = |error| format!("{}: {error}; name another file with --env-file", file.display());
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        for (name, value) in not_secret(aws) {
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

/// The variables that are not secrets of the shell's own: those are not to be copied to a file.
fn not_secret(aws: &EmbeddedAws) -> impl Iterator<Item = (&String, &String)> {
    let secrets =
        ["RESEND_WEBHOOK_SECRET", "RESEND_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let is_secret = move |name: &str, value: &String| secrets.contains(&name) && variable(name).as_ref() == Some(value);
    aws.variables().iter().filter(move |(name, value)| !is_secret(name, value))
}
