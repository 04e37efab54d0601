//! The texts of the pages, in each language. `{sender}` stands for the sender's name.

mod de;
mod en;
mod es;
mod fr;
mod pt;
mod zh;

use super::language::Language;

/// The texts in one language.
pub(super) struct Texts {
    /// Pages about an address: the question.
    pub(super) ask_title: &'static str,
    /// The line above the address: it has not opted out.
    pub(super) ask_status: &'static str,
    /// The label of the button.
    pub(super) ask_button: &'static str,
    /// Time until it takes effect.
    pub(super) takes_effect: &'static str,
    /// Closing the page changes nothing.
    pub(super) unchanged: &'static str,
    /// The title after an opt-out.
    pub(super) done_title: &'static str,
    /// The line above the address: it was opted out.
    pub(super) done_status: &'static str,
    /// Last emails, which are already on their way.
    pub(super) on_its_way: &'static str,
    /// An email that the recipient asks for is not affected.
    pub(super) requested: &'static str,
    /// Whom to ask after a mistake.
    pub(super) by_mistake: &'static str,
    /// The title if email to the address is stopped already.
    pub(super) stopped_title: &'static str,
    /// The line above the address: it gets no email.
    pub(super) stopped_status: &'static str,
    /// The recipient need not do anything.
    pub(super) nothing_to_do: &'static str,
    /// Whom to ask for email again.
    pub(super) email_again: &'static str,
    /// The link in the email is wrong.
    pub(super) not_found: Problem,
    /// The form has an unknown action.
    pub(super) bad_request: Problem,
    /// The method is not GET, HEAD or POST.
    pub(super) method_not_allowed: Problem,
    /// The body is too large.
    pub(super) too_large: Problem,
    /// The list can't be reached.
    pub(super) unavailable: Problem,
    /// The link to the page with the button.
    pub(super) back: &'static str,
    /// The same link, if the page may work a minute later.
    pub(super) again: &'static str,
}

/// The texts of a page about a request that failed.
pub(super) struct Problem {
    pub(super) title: &'static str,
    pub(super) happened: &'static str,
    pub(super) to_do: &'static str,
}

impl Texts {
    /// Returns the texts in a language.
    pub(super) const fn in_language(language: Language) -> &'static Self {
        match language {
            Language::En => &en::TEXTS,
            Language::De => &de::TEXTS,
            Language::Es => &es::TEXTS,
            Language::Fr => &fr::TEXTS,
            Language::Pt => &pt::TEXTS,
            Language::Zh => &zh::TEXTS,
        }
    }
}
