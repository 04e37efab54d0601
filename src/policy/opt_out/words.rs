//! Opt-out words: words that are enough alone, words that need another one, and words that are allowed beside them.
//!
//! All words are in lower case, without accents, as [`words_of`] returns them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Part of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkPart {
    /// A label of the host.
    Label,
    /// A part of the path.
    Part,
    /// Two consecutive parts of the path.
    Pair,
    /// A name in the query.
    Name,
}

/// Words and phrases that are enough alone, language by language. A phrase may also be written as one word.
const OPT_OUT: &str = "
unsubscribe, un subscribe, unsub, unsubs, unsubscription, opt out, opting out, do not email, do not contact, stop email,
stop emails, stop mail, stop mails, stop mailing, stop newsletter, remove me, take me off, remove from list, leave list,
do not sell, manage subscription, manage subscriptions, subscription preferences, subscription management, subscription center,
subscription centre, preference center, preference centre, preferences center, preferences centre, manage preferences,
update preferences, edit preferences, change preferences, set preferences, your preferences, my preferences, email preference,
email preferences, mail preferences, mailing preferences, contact preferences, communication preferences,
communications preferences, marketing preferences, newsletter preferences, notification preferences, notifications preferences,
user preferences, consent preferences, subscriber preferences, email settings, mail settings, mailing settings,
newsletter settings, notification settings, notifications settings, communication settings, manage emails, manage email,
manage newsletters, manage notifications, manage consent, email options, email subscription, email subscriptions, email prefs,
mail prefs, list unsubscribe,
abmelden, abmeldung, abbestellen, abbestellung, austragen, newsletterabmeldung, newsletter einstellungen, email einstellungen,
mail einstellungen, benachrichtigungseinstellungen,
desinscription, desinscrire, desinscris, desabonner, desabonnement, desabonnez, preferences email, preferences courriel,
gerer mes preferences, mes preferences, gerer abonnement, gerer mon abonnement,
darse de baja, darme de baja, dar de baja, cancelar suscripcion, desuscribir, desuscribirse, desuscribirme, anular suscripcion,
preferencias de correo, mis preferencias, baja newsletter, baja boletin,
descadastrar, descadastre, descadastro, cancelar inscricao, cancelar subscricao, cancelar assinatura, anular subscricao,
desinscrever, remover inscricao, gerenciar preferencias, preferencias de email,
disiscriviti, disiscrizione, disiscrivere, disiscrivi, annulla iscrizione, cancella iscrizione, cancellazione iscrizione,
gestisci preferenze, preferenze email,
afmelden, afmelding, uitschrijven, uitschrijving, email voorkeuren, mail voorkeuren, voorkeuren beheren,
avregistrera, avregistrering, avprenumerera, avanmala, avanmalan, avsluta prenumeration, afmeld, frameld, frameldning, avmeld,
avmelding, meld av, avslutt abonnement,
peruuta tilaus, peru tilaus, poistu listalta, lopeta tilaus, peruuta uutiskirje,
wypisz, wypisz sie, wypisanie, anuluj subskrypcje, rezygnacja z subskrypcji, wyrejestruj, odhlasit, odhlaseni, odhlasenie,
zrusit odber,
leiratkozas, leiratkozom, leiratkozni, dezabonare, dezabonati, dezaboneaza, abonelikten cik, abonelikten ayril, abonelik iptal,
abonelik iptali, listeden cik,
отписаться, отписка, отпишись, otpisatsya, otpiska, відписатися, vidpysatysya, отписване, απεγγραφη, διαγραφη,
配信停止, 購読解除, 登録解除, 退订, 退訂, 取消订阅, 取消訂閱, 수신거부, 구독취소, 구독 취소,
الغاء الاشتراك, הסרה מרשימה, הסרה מרשימת תפוצה, huy dang ky, berhenti berlangganan, ยกเลิกการสมัคร,
";

/// Words that are enough if a part of the path, or a label of the host, has no other word.
const ALONE: &str = "
preferences, preference, prefs, emailprefs, baja, optouts, voorkeuren, preferencias, preferenze, abmeldelink,
";

/// Words that are enough before or after one of [`EMAIL`]: `/newsletter/stop`, `/settings/notifications`.
const WITH_EMAIL: &str = "
stop, cancel, remove, leave, manage, preferences, preference, prefs, settings, baja, annuler, cancelar, annulla, kuendigen,
kundigen, verwalten, einstellungen, parametres, gerer, stopp, stoppen,
";

/// Words for email.
const EMAIL: &str = "
email, emails, mail, mails, mailing, mailings, newsletter, newsletters, subscription, subscriptions, notification,
notifications, communication, communications, boletin, courriel, courriels, correo, correos, nyhetsbrev, nieuwsbrief,
nyhedsbrev, infolettre,
";

/// Words that are allowed beside opt-out words, any number of them.
const BESIDE: &str = "
a, all, and, api, app, click, confirm, confirmation, confirmed, contact, contacts, do, form, from, global, here, html, htm, id,
in, index, link, list, lists, me, my, now, of, one, our, page, php, process, request, success, subscriber, subscribers, the,
these, this, to, token, user, users, your, you, v, aspx, asp, jsp, cgi, de, del, der, des, die, den, du, el, hier, la, las, le,
les, los, mich, moi, se, si, vom, von, zum, zur, auto, automatic, easy, instant, public, web, www, w, e, marketing, lista,
liste, key, hash, code, center, centre,
";

/// Words of titles: a link with one of these is an article, and not an opt-out link.
const TITLES: &str = "
how, why, what, when, who, rate, rates, guide, tips, best, practices, benchmark, benchmarks, reduce, people, customers,
reasons, examples, wie, warum, comment, pourquoi, como,
";

/// A phrase: its words, and all of them as one word.
struct Phrase {
    words: Vec<&'static str>,
    glued: String,
}

/// The parsed lists.
struct Lists {
    opt_out: Vec<Phrase>,
    alone: HashSet<&'static str>,
    with_email: HashSet<&'static str>,
    email: HashSet<&'static str>,
    beside: HashSet<&'static str>,
    titles: HashSet<&'static str>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists {
    opt_out: entries(OPT_OUT)
        .map(|phrase| Phrase { words: phrase.split(' ').collect(), glued: phrase.replace(' ', "") })
        .collect(),
    alone: entries(ALONE).collect(),
    with_email: entries(WITH_EMAIL).collect(),
    email: entries(EMAIL).collect(),
    beside: entries(BESIDE).collect(),
    titles: entries(TITLES).collect(),
});

fn entries(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty())
}

/// Maximum number of unknown words beside opt-out words: a brand's name, but not a title.
const UNKNOWN: usize = 1;

/// Returns true if a part of a link is about opting out of email, or changing email preferences.
pub(super) fn is_about_opting_out(kind: LinkPart, part: &str) -> bool {
    let words = words_of(part);
    let Some(said) = said(kind, &words) else { return false };
    let beside = words.iter().enumerate().filter(|(index, _)| !said.contains(index)).map(|(_, word)| word.as_str());
    let others: Vec<&str> = beside.filter(|word| !may_stand_beside(word) && !is_id(word)).collect();
    !others.iter().any(|word| LISTS.titles.contains(word))
        && match kind {
            LinkPart::Label | LinkPart::Name | LinkPart::Pair => others.is_empty(),
            LinkPart::Part => others.len() <= UNKNOWN,
        }
}

fn may_stand_beside(word: &str) -> bool {
    LISTS.beside.contains(word) || LISTS.email.contains(word)
}

/// Returns the range of the opt-out words.
fn said(kind: LinkPart, words: &[String]) -> Option<Range<usize>> {
    if let ([word], LinkPart::Part | LinkPart::Label) = (words, kind)
        && LISTS.alone.contains(word.as_str())
    {
        return Some(0..1);
    }
    (0..words.len()).find_map(|from| {
        let rest = words.get(from..)?;
        let phrase = LISTS.opt_out.iter().filter_map(|phrase| begins_with(rest, phrase)).max();
        let length = phrase.or_else(|| (kind != LinkPart::Name && begins_with_a_pair(rest)).then_some(2))?;
        Some(from..from + length)
    })
}

fn begins_with_a_pair(words: &[String]) -> bool {
    let [one, other, ..] = words else { return false };
    let is =
        |act: &String, email: &String| LISTS.with_email.contains(act.as_str()) && LISTS.email.contains(email.as_str());
    is(one, other) || is(other, one)
}

/// Returns the number of words at the beginning that are this phrase. It may be written as several words or as one,
/// also joined with an allowed word (`unsubscribeme`, `newsletterabmelden`).
fn begins_with(words: &[String], phrase: &Phrase) -> Option<usize> {
    let length = phrase.words.len();
    if words.len() >= length && phrase.words.iter().zip(words).all(|(of_phrase, word)| of_phrase == word) {
        return Some(length);
    }
    let word = words.first()?;
    let is_beside = |rest: &str| rest.len() > 1 && may_stand_beside(rest);
    let glued = phrase.glued.as_str();
    let is_glued = word == glued
        || word.strip_prefix(glued).is_some_and(is_beside)
        || word.strip_suffix(glued).is_some_and(is_beside);
    is_glued.then_some(1)
}

/// Returns true if a word is an id: it has digits, or is a single letter.
fn is_id(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit()) || word.chars().count() == 1
}

/// Returns the words of a text in lower case, without accents. `optOut` is two words.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = None;
    for c in without_accents(text).chars() {
        let begins = before.is_some_and(char::is_lowercase) && c.is_uppercase();
        if !c.is_alphanumeric() && !is_mark(c) || begins {
            words.push(String::new());
        }
        if (c.is_alphanumeric() || is_mark(c))
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns true for marks of Thai, Hindi and others that belong to the letter before.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0900}'..='\u{0DFF}' | '\u{0E00}'..='\u{0EFF}' | '\u{05B0}'..='\u{05C7}')
}

/// Returns a text without the accents of Latin, Greek, Cyrillic and Arabic letters.
fn without_accents(text: &str) -> String {
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let bare: String = apart
        .chars()
        .filter(|c| !matches!(c, '\u{0300}'..='\u{036F}' | '\u{064B}'..='\u{065F}'))
        .map(special)
        .collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(&bare).into_owned()
}

/// Replaces letters whose accent is not a separate mark.
fn special(c: char) -> char {
    match c {
        'ł' => 'l',
        'Ł' => 'L',
        'ø' => 'o',
        'Ø' => 'O',
        'ı' => 'i',
        'đ' => 'd',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_lists_is_as_links_are_read() {
        for phrase in [OPT_OUT, ALONE, WITH_EMAIL, EMAIL, BESIDE, TITLES].into_iter().flat_map(entries) {
            assert_eq!(words_of(phrase).join(" "), phrase);
        }
    }

    #[test]
    fn words_are_split_at_signs_and_before_capitals() {
        assert_eq!(words_of("emailPreferences_for.Ann-2"), ["email", "preferences", "for", "ann", "2"]);
        assert_eq!(words_of("UNSUBSCRIBE"), ["unsubscribe"]);
        assert_eq!(words_of("Désinscription"), ["desinscription"]);
        assert_eq!(words_of("配信停止"), ["配信停止"]);
        assert!(words_of("//--").is_empty());
    }
}
