//! English.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "No more email from {sender}?",
    ask_status: "This address is not unsubscribed yet:",
    ask_button: "Unsubscribe",
    takes_effect: "It takes effect immediately. An email that is already on its way can still arrive in the next two days.",
    unchanged: "If you just close this page, nothing changes.",
    done_title: "{sender} sends you no more email",
    done_status: "Email to this address is now stopped:",
    on_its_way: "An email that is already on its way can still arrive in the next two days.",
    requested: "Emails that you ask for yourself are not affected, for example to reset your password.",
    by_mistake: "By mistake? Ask {sender}.",
    stopped_title: "You no longer get email from {sender}",
    stopped_status: "Email to this address is stopped:",
    nothing_to_do: "You don’t need to do anything else.",
    email_again: "Would you like to get email again? Ask {sender}.",
    not_found: Problem {
        title: "This link does not work",
        happened: "Nothing was changed. Maybe a part of the link is missing: some programs cut long links.",
        to_do: "Please open the link in the email once more, or copy the whole link. If that does not help, ask {sender} to stop the emails.",
    },
    bad_request: Problem {
        title: "That did not work",
        happened: "Nothing was changed: this page did not understand the request.",
        to_do: "Please go back and try it there once more.",
    },
    method_not_allowed: Problem {
        title: "This page can’t do that",
        happened: "Nothing was changed: this page does not know this kind of request.",
        to_do: "Please open the link in your browser.",
    },
    too_large: Problem {
        title: "That was too much for this page",
        happened: "Nothing was changed: the request was too large.",
        to_do: "Please go back and try it there once more.",
    },
    unavailable: Problem {
        title: "This does not work right now",
        happened: "Sorry: a part of this service does not respond.",
        to_do: "Please try again in a minute. If you have already pressed the button, just press it again then. It does no harm to do it twice.",
    },
    back: "Go back",
    again: "Try again",
};
