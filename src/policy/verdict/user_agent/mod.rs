//! Classification of user agents.
//!
//! The agent's own text is external and untrusted. A [`Class`] has a fixed text, so it can be shown where the agent
//! must not be.

use strum::{IntoStaticStr, VariantArray};

mod guess;

/// Class of a user agent. A machine may claim to be a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
pub enum Class {
    /// A browser, or an app's own browser, on a phone.
    #[strum(serialize = "browser on a phone")]
    Phone,
    /// A browser on a tablet. An iPad mostly claims to be a Mac.
    #[strum(serialize = "browser on a tablet")]
    Tablet,
    /// A browser on a computer.
    #[strum(serialize = "browser on a computer")]
    Desktop,
    /// A browser on another device.
    #[strum(serialize = "browser")]
    Browser,
    /// Outlook, Thunderbird, Apple Mail and so on, which display images themselves.
    #[strum(serialize = "mail program")]
    MailProgram,
    /// Google's image proxy, which fetches when a person looks
    /// (<https://www.scientiamobile.com/what-is-google-image-proxy/>).
    #[strum(serialize = "Google's image proxy")]
    GoogleProxy,
    /// Gmail's prefetch before a person looks, if the recipient has Gmail open
    /// (<https://messagebird.com/blog/gmail-prefetching-images>).
    #[strum(serialize = "Gmail's prefetch")]
    GmailPrefetch,
    /// Yahoo's image proxy, which fetches when a person looks.
    #[strum(serialize = "Yahoo's image proxy")]
    YahooProxy,
    /// Apple's Mail Privacy Protection, which fetches the images of every email, read or not
    /// (<https://help.socketlabs.com/docs/identifying-apple-mpp-opens-in-notification-api-events>).
    #[strum(serialize = "Apple's privacy proxy")]
    AppleProxy,
    /// A program or a bot.
    #[strum(serialize = "program or bot")]
    Program,
    /// No agent, an empty one, or one longer than any browser's.
    #[strum(serialize = "unknown")]
    Unknown,
}

impl Class {
    /// All classes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the class as text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns true for a mail provider's machine, which fetches images and never follows a link.
    pub const fn is_proxy(self) -> bool {
        matches!(self, Self::GoogleProxy | Self::GmailPrefetch | Self::YahooProxy | Self::AppleProxy)
    }
}

const GOOGLE_PROXY: &[&str] = &["googleimageproxy", "ggpht.com"];
const GMAIL_PREFETCH: &str = "edge/12.246 mozilla/5.0";
const YAHOO_PROXY: &str = "yahoomailproxy";
const APPLE_PROXY: &str = "mozilla/5.0";

/// Email scanners that name themselves. Crawlerdex lists only one of them, Barracuda Sentinel. Those that also name a
/// browser engine can't be guessed.
const SCANNERS: &[&str] = &[
    "barracuda",
    "mimecast",
    "proofpoint",
    "urldefense",
    "safelinks",
    "messagelabs",
    "symantec",
    "trendmicro",
    "forcepoint",
    "fortiguard",
    "avanan",
    "cloudmark",
    "ironport",
];

/// Patterns of Crawlerdex that people's agents have too, so they prove nothing. The tests have an agent for each.
const SAY_NOTHING: &[&str] = &[
    // Browsers, and apps that show pages.
    "Blackboard",
    "Daum",
    r"Freespoke\/",
    "LieBaoFast",
    "MetaIAB Facebook",
    r"Notion\/",
    "Sogou",
    "Viber",
    "WhatsApp",
    "coccoc",
    // Extensions of Internet Explorer.
    "MDDS",
    "PeoplePal",
    "QQDownload",
    // Phones and tablets: HTC Butterfly, O+ Sonic.
    "Butterfly",
    "Expanse",
    "Fever",
    "Sonic",
];

/// Mail programs. Crawlerdex lists some of them as programs, and some name no browser engine.
const MAIL_PROGRAMS: &[&str] = &[
    "ms-office",
    "msoffice",
    "microsoft outlook",
    "microsoft office",
    "macoutlook",
    "oneoutlook",
    "outlook-ios",
    "outlook-android",
    "outlook-express",
    "windows live mail",
    "thunderbird",
    "icedove",
    "postbox",
    "em client",
    "emclient",
    "lotus-notes",
    "yahoomobilemail",
    "mailbird",
    "mailspring",
    "airmail",
    "evolution/",
    "kmail",
    "the bat!",
];

/// Maximum length of an agent that is examined, in bytes. The longest of 19,897 browser agents has 359.
const MAX_AGENT_BYTES: usize = 480;

/// Returns the class of a user agent.
pub fn class(agent: Option<&str>) -> Class {
    let written = agent.unwrap_or_default().trim();
    let agent = written.to_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    if agent.is_empty() {
        return Class::Unknown;
    }
    if agent == APPLE_PROXY {
        return Class::AppleProxy;
    }
    if names(GOOGLE_PROXY) {
        return Class::GoogleProxy;
    }
    if agent.ends_with(GMAIL_PREFETCH) {
        return Class::GmailPrefetch;
    }
    if names(&[YAHOO_PROXY]) {
        return Class::YahooProxy;
    }
    let is_named_mail_program = names(MAIL_PROGRAMS);
    if names(SCANNERS) || !is_named_mail_program && is_listed(written) {
        return Class::Program;
    }
    if agent.len() > MAX_AGENT_BYTES {
        return Class::Unknown;
    }
    let is_mail_program = is_named_mail_program || is_apple_mail(&agent);
    if guess::is_program(&agent, is_mail_program) {
        return Class::Program;
    }
    if is_mail_program { Class::MailProgram } else { device(&agent) }
}

/// Loads Crawlerdex's list, which takes about 35 ms of CPU and 18 MB: better before the first open or click than during
/// it.
pub fn load() {
    // The first lookup loads the list.
    let _ = iscrawl::crawler_info("");
}

/// Returns true if Crawlerdex lists the agent. Case matters.
fn is_listed(agent: &str) -> bool {
    iscrawl::crawler_info(agent)
        .is_some_and(|info| !SAY_NOTHING.contains(&info.pattern.as_str()) && begins_a_word(&info.pattern, agent))
}

/// Returns true if a pattern begins at the beginning of a word in the agent: `Mail/` does not match `BlueMail/`. A
/// regular expression always returns true.
fn begins_a_word(pattern: &str, agent: &str) -> bool {
    let plain = pattern.replace('\\', "");
    if plain.contains(['.', '^', '$', '*', '+', '?', '{', '}', '[', ']', '|', '(', ')']) {
        return true;
    }
    let is_within = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let begins_with_a_letter = is_within(plain.chars().next());
    agent.match_indices(&plain).any(|(at, _)| {
        let before = agent.get(..at).and_then(|before| before.chars().next_back());
        !(begins_with_a_letter && is_within(before))
    })
}

/// Returns true for Apple Mail, which displays emails in WebKit and says so, but does not name Safari.
fn is_apple_mail(agent: &str) -> bool {
    let apple = ["macintosh", "iphone", "ipad"].iter().any(|device| agent.contains(device));
    let Some((_, rest)) = agent.split_once("(khtml, like gecko)") else { return false };
    let mut words = rest.split_whitespace();
    let (first, second) = (words.next(), words.next());
    apple && second.is_none() && first.is_none_or(|word| word.starts_with("mobile/"))
}

fn device(agent: &str) -> Class {
    let names = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    if names(&["windows nt"]) {
        Class::Desktop
    } else if names(&["ipad", "tablet", "kindle"]) || names(&["android"]) && !names(&["mobile"]) {
        Class::Tablet
    } else if names(&["iphone", "ipod", "mobile", "windows phone", "blackberry", "opera mini"]) {
        Class::Phone
    } else if names(&["windows", "macintosh", "x11", "linux"]) {
        Class::Desktop
    } else {
        Class::Browser
    }
}

#[cfg(test)]
mod tests;
