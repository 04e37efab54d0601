//! A second and simpler check of Claude's texts that were accepted, word by word.

/// Returns true if a text has nothing that a mail program would show as an address, a tag, or a link to a foreign host.
pub(super) fn is_harmless(text: &str, hosts: &[&str]) -> bool {
    let unseen = ['\u{AD}', '\u{200B}', '\u{200D}', '\u{202E}', '\u{2028}', '\u{2066}', '\u{FEFF}', '\u{E0041}'];
    let marks = ['@', '＠', '﹫'].iter().chain(&unseen).all(|mark| !text.contains(*mark)) && !text.contains("%40");
    let tags = ["<a", "<b", "</", "<!", "&#", "&lt;"].iter().all(|tag| !text.contains(tag));
    marks && tags && text.split_whitespace().all(|word| links_home(word, hosts))
}

/// Returns true if none of these words is in it.
pub(super) fn names_none_of(text: &str, words: &[&str]) -> bool {
    let mut all = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    all.all(|word| !words.iter().any(|other| word.eq_ignore_ascii_case(other)))
}

/// Returns true if nothing in a word looks like a host or a scheme, except the own hosts.
fn links_home(word: &str, hosts: &[&str]) -> bool {
    let mut rest = word.to_lowercase().replace('\\', "/");
    let mut kept = String::new();
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let path = |c: char| c.is_ascii_alphanumeric() || "-._~/?#&=+%".contains(c);
    while let Some((at, host)) = hosts.iter().filter_map(|host| Some((rest.find(host)?, *host))).min() {
        let (before, found) = rest.split_at(at);
        let after = found.strip_prefix(host).unwrap_or_default();
        let dotted = before.ends_with('.') && joins(before.trim_end_matches('.').chars().next_back());
        if joins(before.chars().next_back()) || dotted || joins(after.trim_start_matches('.').chars().next()) {
            return false;
        }
        let end = if after.starts_with('/') { after.find(|c| !path(c)).unwrap_or(after.len()) } else { 0 };
        let (link, beyond) = after.split_at(end);
        if link.contains("//") {
            return false;
        }
        let before = before.strip_suffix("https://").or(before.strip_suffix("http://")).unwrap_or(before);
        kept = kept + before + " ";
        rest = beyond.to_owned();
    }
    rest = kept + &rest;
    let chars: Vec<char> = rest.chars().collect();
    let is_host = |four: &[char]| match four {
        [before, '.', first, second] => {
            before.is_alphanumeric() && first.is_ascii_alphabetic() && second.is_ascii_alphabetic()
        }
        _ => false,
    };
    let opens = |scheme: &str| {
        rest.split_once(scheme).is_some_and(|(_, after)| after.starts_with(|c: char| c.is_alphanumeric() || c == '/'))
    };
    let is_opened = ["javascript:", "mailto:", "http:", "https:"].into_iter().any(opens);
    !chars.windows(4).any(is_host) && !is_opened && !rest.contains("//")
}
