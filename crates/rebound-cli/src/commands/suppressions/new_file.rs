//! A file that is written beside the one that it replaces: what was there stays until all of the new one is written.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rebound_dev::commands::CommandError;
use rebound_dev::progress::on_ctrl_c;

/// A file that is being written.
pub(super) struct NewFile {
    pub(super) file: File,
    /// Where it is written, until it is whole, and what it replaces then. `None`: it is no regular file, and is written in place.
    beside: Option<(PathBuf, PathBuf)>,
}

impl NewFile {
    /// Begins it.
    pub(super) fn create(name: &Path) -> Result<Self, CommandError> {
        // A link stays one.
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
            format!("{whole} is as it was")
        });
        Ok(Self { file, beside: Some((beside, target)) })
    }

    /// Puts it in its place, whole.
    pub(super) fn keep(mut self) -> Result<(), CommandError> {
        if let Some((beside, target)) = self.beside.take() {
            let failed = |error| format!("{}: {error}; the list is in {}", target.display(), beside.display());
            fs::rename(&beside, &target).map_err(failed)?;
        }
        Ok(())
    }
}

/// What was not written to its end is of no use.
impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}
