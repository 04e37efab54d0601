//! German.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "Keine E-Mails mehr von {sender}?",
    ask_status: "Für diese Adresse sind E-Mails noch nicht abbestellt:",
    ask_button: "E-Mails abbestellen",
    takes_effect: "Das gilt sofort. Eine E-Mail, die schon unterwegs ist, kann in den nächsten zwei Tagen noch ankommen.",
    unchanged: "Wenn Sie diese Seite einfach schließen, ändert sich nichts.",
    done_title: "{sender} schickt Ihnen keine E-Mails mehr",
    done_status: "Für diese Adresse sind die E-Mails jetzt abbestellt:",
    on_its_way: "Eine E-Mail, die schon unterwegs ist, kann in den nächsten zwei Tagen noch ankommen.",
    requested: "E-Mails, die Sie selbst anfordern, sind nicht betroffen, zum Beispiel um Ihr Passwort zurückzusetzen.",
    by_mistake: "Das war ein Versehen? Wenden Sie sich an {sender}.",
    stopped_title: "Sie bekommen bereits keine E-Mails mehr von {sender}",
    stopped_status: "An diese Adresse gehen keine E-Mails mehr:",
    nothing_to_do: "Sie müssen nichts weiter tun.",
    email_again: "Möchten Sie wieder E-Mails bekommen? Wenden Sie sich an {sender}.",
    not_found: Problem {
        title: "Dieser Link funktioniert nicht",
        happened: "Es wurde nichts geändert. Vielleicht fehlt ein Teil des Links: Manche Programme kürzen lange Links.",
        to_do: "Bitte öffnen Sie den Link in der E-Mail noch einmal, oder kopieren Sie den ganzen Link. Wenn das nicht hilft, bitten Sie {sender}, Ihnen keine E-Mails mehr zu schicken.",
    },
    bad_request: Problem {
        title: "Das hat nicht geklappt",
        happened: "Es wurde nichts geändert: Diese Seite hat die Anfrage nicht verstanden.",
        to_do: "Bitte gehen Sie zurück, und versuchen Sie es dort noch einmal.",
    },
    method_not_allowed: Problem {
        title: "Das kann diese Seite nicht",
        happened: "Es wurde nichts geändert: Diese Seite kennt diese Art von Anfrage nicht.",
        to_do: "Bitte öffnen Sie den Link in Ihrem Browser.",
    },
    too_large: Problem {
        title: "Das war zu viel für diese Seite",
        happened: "Es wurde nichts geändert: Die Anfrage war zu groß.",
        to_do: "Bitte gehen Sie zurück, und versuchen Sie es dort noch einmal.",
    },
    unavailable: Problem {
        title: "Das geht im Moment leider nicht",
        happened: "Entschuldigung, ein Teil dieses Dienstes antwortet gerade nicht.",
        to_do: "Bitte versuchen Sie es in einer Minute noch einmal. Wenn Sie schon auf den Knopf gedrückt haben, drücken Sie dann einfach noch einmal. Zweimal schadet nicht.",
    },
    back: "Zurück",
    again: "Noch einmal versuchen",
};
