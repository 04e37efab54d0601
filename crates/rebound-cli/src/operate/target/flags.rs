//! The flags that select the target: every hint that names a command repeats them.

use std::fmt;

/// The flags that select the target, as they were given: `--local`, or `--stack staging --region eu-west-1`.
///
/// A hint without them would name another target: `rebound connect` is about the real stack, and `rebound connect
/// --local` is not. So a hint is never a text that names a command, but comes from [`Flags::command`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<String>);

impl Flags {
    /// Flags that are words of a command line, in their order.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// A command for the same target, as it is typed and as it is quoted in a sentence: `` `rebound connect --local` ``.
    pub fn command(&self, command: &str) -> String {
        format!("`rebound {command}{self}`")
    }
}

/// The flags with a space before each, ready for a shell.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, " {}", quoted(word)))
    }
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_carries_the_flags_and_a_shell_reads_them_back() {
        let flags = |words: &[&str]| Flags::new(words.iter().map(|word| (*word).to_owned()));
        assert_eq!(flags(&[]).command("doctor"), "`rebound doctor`");
        assert_eq!(
            flags(&["--stack", "staging", "--region", "eu-west-1"]).command("connect"),
            "`rebound connect --stack staging --region eu-west-1`"
        );
        let odd = flags(&["--local=it's here/dev.env"]);
        assert_eq!(odd.command("doctor"), r"`rebound doctor '--local=it'\''s here/dev.env'`");
    }
}
