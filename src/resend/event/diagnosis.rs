//! Replies of the receiving servers about an outcome: they say if an address is blocked or gone. All of it is external
//! text.

use super::{Event, EventRecipients};
use crate::resend::recipient::Recipient;

/// Maximum length of a server's reply that is kept or shown, in characters.
const MAX_CHARS: usize = 300;

impl Event<'_> {
    /// Returns the receiving servers' replies, each as one line of limited length.
    pub fn servers_said(&self) -> Vec<String> {
        self.diagnostics().iter().map(|text| in_one_line(text)).filter(|line| !line.is_empty()).collect()
    }

    /// Returns the receiving servers' replies about this recipient, in one line. For an email to several recipients,
    /// only replies that mention this one are returned.
    pub fn servers_said_of(&self, recipient: &Recipient) -> Option<String> {
        let all = self.servers_said();
        let named: Vec<String> = all.iter().filter(|line| recipient.is_mentioned_in(line)).cloned().collect();
        let theirs = match self.recipients() {
            EventRecipients::One(_) if named.is_empty() => all,
            _ => named,
        };
        (!theirs.is_empty()).then(|| in_one_line(&theirs.join("; ")))
    }
}

fn in_one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(to: &str, code: &str, who: &str) -> Option<String> {
        let data = format!(r#"{{"to":{to},"bounce":{{"type":"Permanent","diagnosticCode":{code}}}}}"#);
        let body = format!(r#"{{"type":"email.bounced","data":{data}}}"#);
        Event::read(body.as_bytes()).unwrap().servers_said_of(&Recipient::parse(who).unwrap())
    }

    #[test]
    fn a_servers_reply_is_one_line_and_about_one_recipient() {
        let ann = "ann@example.com";
        let one = r#"["ann@example.com"]"#;
        let said = said_of(one, r#"["550-5.1.1 No such\r\n550 5.1.1 user\u001b[31m"]"#, ann);
        assert_eq!(said.as_deref(), Some("550-5.1.1 No such 550 5.1.1 user [31m"));
        assert_eq!(said_of(one, r#""554 5.7.1 blocked""#, ann).as_deref(), Some("554 5.7.1 blocked"));
        assert_eq!(said_of(one, "[]", ann), None);
        let both = r#"["ann@example.com","bob@example.com"]"#;
        let codes = r#"["550 <ann@example.com> gone","554 <bob@example.com> blocked"]"#;
        assert_eq!(said_of(both, codes, ann).as_deref(), Some("550 <ann@example.com> gone"));
        assert_eq!(said_of(both, r#"["550 gone"]"#, ann), None, "about one of them, and it is unknown which");
        assert_eq!(said_of(one, &format!("[{:?}]", "x".repeat(9_000)), ann).unwrap().len(), 300);
    }
}
