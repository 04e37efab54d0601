//! Sizes of the programs and their zips.

use std::path::Path;

use serde::Serialize;

use crate::BoxError;

/// Default level of `zip` and `cargo lambda`.
const LEVEL: u8 = 6;

/// Overhead of a zip with one file named `bootstrap`, in bytes: two headers, and the end.
const ZIP_HEADERS: usize = 30 + 46 + 22 + 2 * "bootstrap".len();

/// Size of a program, in MB.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    /// The program.
    pub(crate) program: &'static str,
    /// The binary that was measured.
    pub(crate) binary_mb: f64,
    /// The binary, deflated.
    pub(crate) zip_mb: f64,
    /// The zip made by `make build`, if there is one.
    pub(crate) built_zip_mb: Option<f64>,
}

/// Returns the sizes of all measured programs. `target` is the folder in which `make build` stores its zips, in
/// `lambda`.
pub(crate) fn sizes(binaries: &Path, target: &Path) -> Result<Vec<Size>, BoxError> {
    let programs = ["receive", "protect", "engage", "consent", "act", "bench-baseline", "bench-hello"];
    programs.into_iter().map(|program| size(binaries, target, program)).collect()
}

fn size(binaries: &Path, target: &Path, program: &'static str) -> Result<Size, BoxError> {
    let path = binaries.join(program);
    let binary = std::fs::read(&path)
        .map_err(|error| format!("{}: {error}; run `make bench`, which builds it", path.display()))?;
    let zip = miniz_oxide::deflate::compress_to_vec(&binary, LEVEL).len() + ZIP_HEADERS;
    let built = std::fs::metadata(target.join("lambda").join(program).join("bootstrap.zip")).ok();
    let mb = |bytes: usize| bytes as f64 / 1e6;
    Ok(Size {
        program,
        binary_mb: mb(binary.len()),
        zip_mb: mb(zip),
        built_zip_mb: built.map(|file| file.len() as f64 / 1e6),
    })
}
