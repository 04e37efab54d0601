//! Spanish.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "¿Dejar de recibir correos de {sender}?",
    ask_status: "Esta dirección todavía no está dada de baja:",
    ask_button: "Darme de baja",
    takes_effect: "El cambio es inmediato. Un correo que ya esté en camino todavía puede llegar en los próximos dos días.",
    unchanged: "Si simplemente cierra esta página, no cambia nada.",
    done_title: "{sender} ya no le enviará más correos",
    done_status: "Esta dirección queda dada de baja:",
    on_its_way: "Un correo que ya esté en camino todavía puede llegar en los próximos dos días.",
    requested: "Los correos que usted solicite no se ven afectados, por ejemplo para restablecer su contraseña.",
    by_mistake: "¿Ha sido un error? Póngase en contacto con {sender}.",
    stopped_title: "Ya no recibe correos de {sender}",
    stopped_status: "Ya no se envían correos a esta dirección:",
    nothing_to_do: "No tiene que hacer nada más.",
    email_again: "¿Quiere volver a recibir correos? Póngase en contacto con {sender}.",
    not_found: Problem {
        title: "Este enlace no funciona",
        happened: "No se ha cambiado nada. Quizá falte una parte del enlace: algunos programas cortan los enlaces largos.",
        to_do: "Abra de nuevo el enlace del correo, o copie el enlace completo. Si eso no ayuda, pida a {sender} que no le envíe más correos.",
    },
    bad_request: Problem {
        title: "No ha funcionado",
        happened: "No se ha cambiado nada: esta página no ha entendido la solicitud.",
        to_do: "Vuelva atrás e inténtelo de nuevo.",
    },
    method_not_allowed: Problem {
        title: "Esta página no puede hacer eso",
        happened: "No se ha cambiado nada: esta página no conoce este tipo de solicitud.",
        to_do: "Abra el enlace en su navegador.",
    },
    too_large: Problem {
        title: "Ha sido demasiado para esta página",
        happened: "No se ha cambiado nada: la solicitud era demasiado grande.",
        to_do: "Vuelva atrás e inténtelo de nuevo.",
    },
    unavailable: Problem {
        title: "En este momento no funciona",
        happened: "Lo sentimos: una parte de este servicio no responde.",
        to_do: "Inténtelo de nuevo dentro de un minuto. Si ya ha pulsado el botón, púlselo otra vez. No pasa nada por hacerlo dos veces.",
    },
    back: "Volver",
    again: "Intentarlo de nuevo",
};
