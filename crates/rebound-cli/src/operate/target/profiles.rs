//! The configured AWS profiles, from the files of the `aws` command.
//!
//! Only their names are read here: whether one exists is asked before the SDK looks for its region, which would blame the region.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The names of all profiles, from both files (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>). A file that
/// can't be read has none.
pub(super) fn known(variables: &BTreeMap<String, String>) -> BTreeSet<String> {
    let home = variables.get("HOME").or_else(|| variables.get("USERPROFILE")).map(PathBuf::from).unwrap_or_default();
    let read = |variable: &str, name: &str| {
        let named = variables.get(variable).map(|file| match file.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => PathBuf::from(file),
        });
        std::fs::read_to_string(named.unwrap_or_else(|| home.join(".aws").join(name))).unwrap_or_default()
    };
    let mut names = of_credentials(&read("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    names.extend(of_config(&read("AWS_CONFIG_FILE", "config")));
    names
}

/// The headers of sections: `[name]`, with any text after them.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(line.trim().strip_prefix('[')?.split_once(']')?.0.trim()))
}

fn of_credentials(text: &str) -> BTreeSet<String> {
    sections(text).map(str::to_owned).collect()
}

/// In this file a profile has the word `profile` before its name, except `default`; other sections are none.
fn of_config(text: &str) -> BTreeSet<String> {
    let name = |section: &str| match section.split_once(char::is_whitespace) {
        Some(("profile", name)) => Some(name.trim().trim_matches('"').to_owned()),
        None if section == "default" => Some(section.to_owned()),
        _ => None,
    };
    sections(text).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_from_both_files_and_nothing_else_is_one() {
        let config = "[default]\nregion = eu-west-1\n[ profile staging ] # ours\n[sso-session work]\n[services x]\n";
        assert_eq!(of_config(config), BTreeSet::from(["default".to_owned(), "staging".to_owned()]));
        let credentials = "[default]\naws_access_key_id = a\n; [old]\n[live]\n";
        assert_eq!(of_credentials(credentials), BTreeSet::from(["default".to_owned(), "live".to_owned()]));
    }
}
