//! Portuguese.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "Deixar de receber e-mails de {sender}?",
    ask_status: "A inscrição deste endereço ainda não foi cancelada:",
    ask_button: "Cancelar inscrição",
    takes_effect: "A mudança é imediata. Um e-mail que já está a caminho ainda pode chegar nos próximos dois dias.",
    unchanged: "Se você simplesmente fechar esta página, nada muda.",
    done_title: "{sender} não enviará mais e-mails para você",
    done_status: "A inscrição deste endereço foi cancelada:",
    on_its_way: "Um e-mail que já está a caminho ainda pode chegar nos próximos dois dias.",
    requested: "Os e-mails que você solicitar não são afetados, por exemplo para redefinir sua senha.",
    by_mistake: "Foi por engano? Fale com {sender}.",
    stopped_title: "Você já não recebe e-mails de {sender}",
    stopped_status: "Não são mais enviados e-mails para este endereço:",
    nothing_to_do: "Você não precisa fazer mais nada.",
    email_again: "Quer voltar a receber e-mails? Fale com {sender}.",
    not_found: Problem {
        title: "Este link não funciona",
        happened: "Nada foi alterado. Talvez falte uma parte do link: alguns programas cortam links longos.",
        to_do: "Abra de novo o link do e-mail, ou copie o link inteiro. Se isso não ajudar, peça a {sender} que não envie mais e-mails para você.",
    },
    bad_request: Problem {
        title: "Não deu certo",
        happened: "Nada foi alterado: esta página não entendeu o pedido.",
        to_do: "Volte e tente de novo.",
    },
    method_not_allowed: Problem {
        title: "Esta página não pode fazer isso",
        happened: "Nada foi alterado: esta página não conhece este tipo de pedido.",
        to_do: "Abra o link no seu navegador.",
    },
    too_large: Problem {
        title: "Isso foi demais para esta página",
        happened: "Nada foi alterado: o pedido era grande demais.",
        to_do: "Volte e tente de novo.",
    },
    unavailable: Problem {
        title: "Não está funcionando no momento",
        happened: "Desculpe: uma parte deste serviço não está respondendo.",
        to_do: "Tente de novo daqui a um minuto. Se você já apertou o botão, é só apertar de novo. Não há problema em fazer isso duas vezes.",
    },
    back: "Voltar",
    again: "Tentar de novo",
};
