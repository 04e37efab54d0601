//! Values of options: what is no such value is refused before anything is done, with how to write it.

use std::io::Read;

/// A URL of HTTP.
pub fn url(text: &str) -> Result<String, String> {
    let parsed =
        reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if parsed.is_some() {
        return Ok(text.to_owned());
    }
    let like = text.trim().trim_start_matches('/');
    let like = if like.is_empty() || like.contains("://") { "127.0.0.1:9000/" } else { like };
    Err(format!("a URL begins with http:// or https://, such as http://{like}"))
}

/// A number that is more than 0.
pub fn more_than_zero(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("more than 0".to_owned()) }
}

/// The file that stands after `--local` and a space, where it would be taken for something else: an address, a name, an email's id.
pub fn misplaced_file(arguments: impl IntoIterator<Item = String>) -> Option<String> {
    let mut arguments = arguments.into_iter().skip_while(|argument| argument != "--local").skip(1);
    arguments.next().filter(|next| !next.starts_with('-') && is_env_file(next))
}

/// Tells whether a file is one that `rebound dev` writes, or at least has such a name.
fn is_env_file(file: &str) -> bool {
    let begins_like_one = || {
        let mut begin = Vec::new();
        let read = std::fs::File::open(file).and_then(|file| file.take(4_096).read_to_end(&mut begin));
        let begin = String::from_utf8_lossy(&begin);
        read.is_ok() && begin.lines().any(|line| line.starts_with("AWS_ENDPOINT_URL") || line.starts_with("REBOUND_"))
    };
    file.ends_with(".env") || begins_like_one()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_its_scheme_is_refused_with_it() {
        assert_eq!(url("http://127.0.0.1:9000/").unwrap(), "http://127.0.0.1:9000/");
        assert!(url("127.0.0.1:9000").unwrap_err().ends_with("such as http://127.0.0.1:9000"));
        assert!(url("localhost:9000/x").unwrap_err().ends_with("such as http://localhost:9000/x"));
        for wrong in ["", "ftp://example.com/", "http://", "example"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_after_local_and_a_space_is_found_and_nothing_else() {
        let found = |line: &str| misplaced_file(line.split(' ').map(str::to_owned));
        assert_eq!(found("rebound check --local .local/dev.env").as_deref(), Some(".local/dev.env"));
        for line in [
            "rebound check --local ann@example.com",
            "rebound campaigns --local",
            "rebound campaigns --local --json",
            "rebound suppressions import --local Cargo.toml",
            "rebound check --local=.local/dev.env ann@example.com",
            "rebound check dev.env",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
