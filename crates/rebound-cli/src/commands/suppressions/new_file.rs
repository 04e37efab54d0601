//! A file that is written next to the file that it replaces. The old file stays until the new one is complete.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rebound_dev::commands::CommandError;
use rebound_dev::progress::on_ctrl_c;

/// An incomplete file.
pub(super) struct NewFile {
    pub(super) file: File,
    /// The temporary path, and the path that it replaces at the end. `None` if the target is not a regular file: it is written in place.
    beside: Option<(PathBuf, PathBuf)>,
}

impl NewFile {
    /// Creates the file.
    pub(super) fn create(name: &Path) -> Result<Self, CommandError> {
        // A symbolic link stays a link.
        let target = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        let failed = |error: std::io::Error| -> CommandError {
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
            match (error.kind(), folder) {
                (ErrorKind::NotFound, Some(folder)) => {
                    let folder = folder.display();
                    format!("there is no folder {folder}: make it, or name another file with --output").into()
                }
                _ => format!("{}: {error}; name another file with --output", name.display()).into(),
            }
        };
        if target.is_dir() {
            return Err(format!("{} is a folder; name a file in it with --output", name.display()).into());
        }
        if target.exists() && !target.is_file() {
            return Ok(Self { file: File::options().write(true).open(&target).map_err(failed)?, beside: None });
        }
        let mut beside = target.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = File::create(&beside).map_err(failed)?;
        let (half, whole) = (beside.clone(), name.display().to_string());
        on_ctrl_c(move || {
            let _ = fs::remove_file(&half);
            format!("{whole} was not changed")
        });
        Ok(Self { file, beside: Some((beside, target)) })
    }

    /// Moves the complete file to its place.
    pub(super) fn keep(mut self) -> Result<(), CommandError> {
        if let Some((beside, target)) = self.beside.take() {
            let failed = |error| format!("{}: {error}; the list is in {}", target.display(), beside.display());
            fs::rename(&beside, &target).map_err(failed)?;
        }
        Ok(())
    }
}

/// Removes an incomplete file.
impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}
