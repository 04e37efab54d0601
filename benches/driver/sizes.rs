//! How large the programs are, and their zips.

use std::path::Path;

use serde::Serialize;

use crate::Failure;

/// As `zip` and `cargo lambda` deflate unless told otherwise.
const LEVEL: u8 = 6;

/// What a zip takes for one file called `bootstrap`, besides its bytes: two headers, and the end.
const ZIP_HEADERS: usize = 30 + 46 + 22 + 2 * "bootstrap".len();

/// How large a program is, in MB.
#[derive(Debug, Serialize)]
pub(crate) struct Size {
    /// Which.
    pub(crate) program: &'static str,
    /// The program as it was measured.
    pub(crate) binary_mb: f64,
    /// The same, deflated.
    pub(crate) zip_mb: f64,
    /// The zip that `make build` made, if it did.
    pub(crate) built_zip_mb: Option<f64>,
}

/// The sizes of everything that was measured. `target`: where `make build` puts its zips, in `lambda`.
pub(crate) fn sizes(binaries: &Path, target: &Path) -> Result<Vec<Size>, Failure> {
    let programs = ["receive", "protect", "engage", "bench-floor", "bench-hello"];
    programs.into_iter().map(|program| size(binaries, target, program)).collect()
}

fn size(binaries: &Path, target: &Path, program: &'static str) -> Result<Size, Failure> {
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
