//! Guess about agents that Crawlerdex does not list: programs and bots name themselves, and most name no browser
//! engine.
//!
//! Words are compared as a whole, by beginning or end. Some phones have names like "M bot 60" or "CUBOT SPIDER" in
//! their agents. So if an agent names Android, only a product with a version (`somebot/1.0`) is a program's name.

/// Names of browser engines, and of browsers that name no engine.
const ENGINES: &[&str] = &[
    "gecko",
    "webkit",
    "msie",
    "trident",
    "goanna",
    "opera",
    "konqueror",
    "links",
    "icab",
    "netfront",
    "lynx",
    "mosaic",
    "netsurf",
];

/// Endings of programs' names, without digits.
const ENDS: &[&str] = &[
    "bot",
    "bots",
    "crawl",
    "crawler",
    "crawlers",
    "spider",
    "spiders",
    "checker",
    "fetch",
    "fetcher",
    "monitor",
    "monitoring",
    "preview",
    "previewer",
    "ptst",
];

/// Beginnings of programs' names.
const BEGINNINGS: &[&str] = &["crawl", "feed"];

/// Returns true if an agent, in lower case, seems to be a program or a bot. `is_mail_program`: a person's agent without
/// an engine.
pub(super) fn is_program(agent: &str, is_mail_program: bool) -> bool {
    let has_an_engine = is_mail_program || ENGINES.iter().any(|engine| agent.contains(engine));
    !has_an_engine || has_a_link(agent) || has_an_address(agent) || names_a_program(agent)
}

fn has_a_link(agent: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| agent.contains(scheme))
}

/// Returns true if an agent has an email address, as bots have. `ios@3.1` is a version.
fn has_an_address(agent: &str) -> bool {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    agent.match_indices('@').any(|(at, _)| {
        let (before, after) = agent.split_at(at);
        let domain = after.get(1..).unwrap_or_default();
        let end = domain.find(ends).unwrap_or(domain.len());
        // A domain does not continue with another sign such as an underscore.
        let goes_on = domain.get(end..).and_then(|rest| rest.chars().next()).is_some_and(|c| matches!(c, '_' | '@'));
        let top = domain.get(..end).unwrap_or_default().trim_end_matches('.').rsplit_once('.').map(|(_, top)| top);
        before.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !goes_on
            && top.is_some_and(|top| top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_lowercase()))
    })
}

fn names_a_program(agent: &str) -> bool {
    let is_a_phones = agent.contains("android");
    let mut rest = agent;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        rest = rest.get(begin..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_a_programs = ENDS.iter().any(|word| name.ends_with(word))
            || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
        if is_a_programs && (!is_a_phones || after.starts_with('/')) {
            return true;
        }
        rest = after;
    }
    false
}
