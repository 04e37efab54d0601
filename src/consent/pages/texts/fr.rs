//! French. A no-break space stands before `?` and `:`.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "Ne plus recevoir d’e-mails de {sender}\u{202f}?",
    ask_status: "Cette adresse n’est pas encore désabonnée\u{a0}:",
    ask_button: "Me désabonner",
    takes_effect: "Votre choix prend effet immédiatement. Un e-mail déjà en route peut encore arriver dans les deux prochains jours.",
    unchanged: "Si vous fermez simplement cette page, rien ne change.",
    done_title: "{sender} ne vous enverra plus d’e-mails",
    done_status: "L’envoi d’e-mails à cette adresse est désormais arrêté\u{a0}:",
    on_its_way: "Un e-mail déjà en route peut encore arriver dans les deux prochains jours.",
    requested: "Les e-mails que vous demandez vous-même ne sont pas concernés, par exemple pour réinitialiser votre mot de passe.",
    by_mistake: "C’était une erreur\u{202f}? Adressez-vous à {sender}.",
    stopped_title: "Vous ne recevez déjà plus d’e-mails de {sender}",
    stopped_status: "L’envoi d’e-mails à cette adresse est arrêté\u{a0}:",
    nothing_to_do: "Vous n’avez rien d’autre à faire.",
    email_again: "Vous souhaitez recevoir de nouveau des e-mails\u{202f}? Adressez-vous à {sender}.",
    not_found: Problem {
        title: "Ce lien ne fonctionne pas",
        happened: "Rien n’a été modifié. Il manque peut-être une partie du lien\u{a0}: certains logiciels coupent les liens longs.",
        to_do: "Veuillez ouvrir de nouveau le lien dans l’e-mail, ou copier le lien en entier. Si cela ne suffit pas, demandez à {sender} de ne plus vous envoyer d’e-mails.",
    },
    bad_request: Problem {
        title: "Cela n’a pas fonctionné",
        happened: "Rien n’a été modifié\u{a0}: cette page n’a pas compris la demande.",
        to_do: "Veuillez revenir en arrière et réessayer.",
    },
    method_not_allowed: Problem {
        title: "Cette page ne permet pas cela",
        happened: "Rien n’a été modifié\u{a0}: cette page ne connaît pas ce type de demande.",
        to_do: "Veuillez ouvrir le lien dans votre navigateur.",
    },
    too_large: Problem {
        title: "C’était trop pour cette page",
        happened: "Rien n’a été modifié\u{a0}: la demande était trop volumineuse.",
        to_do: "Veuillez revenir en arrière et réessayer.",
    },
    unavailable: Problem {
        title: "Cela ne fonctionne pas pour le moment",
        happened: "Nous sommes désolés\u{a0}: une partie de ce service ne répond pas.",
        to_do: "Veuillez réessayer dans une minute. Si vous avez déjà appuyé sur le bouton, appuyez-y simplement une nouvelle fois. Le faire deux fois ne pose aucun problème.",
    },
    back: "Retour",
    again: "Réessayer",
};
