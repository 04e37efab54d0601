//! Opt-out links, and links that only look like one.

use proptest::prelude::*;

use super::is_opt_out;

const YES: &[&str] = &[
    "https://unsubscribe.resend.com/?token=eyJhbGciOi",
    "https://shop.example/unsubscribe",
    "https://shop.example/unsubscribe?u=9",
    "https://shop.example/Unsubscribe.aspx",
    "https://shop.example/email/unsubscribe/9f2ab",
    "https://shop.example/api/v1/newsletter/unsubscribe-me/abc",
    "https://shop.example/unsubscribe-from-this-mailing-list",
    "https://shop.example/one-click-unsubscribe",
    "https://shop.example/unsubscribeme",
    "https://shop.example/unsubscribe-acme",
    "https://shop.example/UNSUBSCRIBE/",
    "https://shop.example/optout",
    "https://shop.example/opt-out",
    "https://shop.example/opt_out/all",
    "https://shop.example/optOut",
    "https://optout.shop.example/",
    "https://optout.example",
    "https://shop.example/?unsubscribe=1",
    "https://shop.example/?a=1&opt_out_token=x",
    "https://shop.example/?a=1;unsub=x",
    "https://us1.list-manage.com/unsubscribe?u=1&id=2",
    "https://manage.kmail-lists.com/subscriptions/unsubscribe?a=b",
    "https://preferences.shop.example/c/1",
    "https://email-preferences.shop.example/",
    "https://shop.example/preferences",
    "https://shop.example/email/preferences",
    "https://shop.example/preferences/email",
    "https://shop.example/emailPreferences/123",
    "https://shop.example/emailpreferences",
    "https://shop.example/preference-center?id=1",
    "https://shop.example/preferencecentre",
    "https://shop.example/settings/notifications",
    "https://shop.example/account/notification-settings",
    "https://shop.example/manage-subscriptions",
    "https://shop.example/subscription/manage/9",
    "https://shop.example/newsletter/stop",
    "https://shop.example/stop-emails",
    "https://shop.example/#/unsubscribe",
    "https://shop.example/app#unsubscribe",
    "https://shop.example/%75nsubscribe",
    "https://shop.example/r/https%3A%2F%2Fnews.example%2Funsubscribe",
    "https://shop.example/un%2573ubscribe",
    "HTTPS://ANN@SHOP.EXAMPLE:8443/UNSUBSCRIBE",
    "mailto:unsubscribe@shop.example?subject=x",
    "/unsubscribe",
    // A dozen languages, and some more.
    "https://shop.example/newsletter/abmelden",
    "https://shop.example/vom-newsletter-abmelden",
    "https://shop.example/newsletter-abbestellen",
    "https://shop.example/d%C3%A9sinscription",
    "https://shop.example/se-desabonner",
    "https://shop.example/darse-de-baja",
    "https://shop.example/baja",
    "https://shop.example/cancelar-suscripci%C3%B3n",
    "https://shop.example/descadastrar",
    "https://shop.example/cancelar-inscri%C3%A7%C3%A3o",
    "https://shop.example/disiscriviti",
    "https://shop.example/annulla-iscrizione",
    "https://shop.example/afmelden",
    "https://shop.example/uitschrijven/nieuwsbrief",
    "https://shop.example/avregistrera",
    "https://shop.example/avanm%C3%A4l/avanm%C3%A4lan",
    "https://shop.example/afmeld",
    "https://shop.example/avmelding",
    "https://shop.example/peruuta-tilaus",
    "https://shop.example/wypisz-si%C4%99",
    "https://shop.example/odhl%C3%A1sit",
    "https://shop.example/leiratkoz%C3%A1s",
    "https://shop.example/dezabonare",
    "https://shop.example/abonelikten-%C3%A7%C4%B1k",
    "https://shop.example/отписаться",
    "https://shop.example/%D0%BE%D1%82%D0%BF%D0%B8%D1%81%D0%B0%D1%82%D1%8C%D1%81%D1%8F",
    "https://shop.example/відписатися",
    "https://shop.example/απεγγραφή",
    "https://shop.example/配信停止",
    "https://shop.example/%E9%80%80%E8%AE%A2",
    "https://shop.example/取消訂閱",
    "https://shop.example/수신거부",
    "https://shop.example/إلغاء-الاشتراك",
    "https://shop.example/hủy-đăng-ký",
    "https://shop.example/berhenti-berlangganan",
    "https://shop.example/ยกเลิกการสมัคร",
];

const NO: &[&str] = &[
    "",
    "https://shop.example/",
    "https://shop.example/tulips?utm_source=mail&to=ann@example.com",
    "https://shop.example/unsubscribed-podcast-launch",
    "https://shop.example/unsubscribed",
    "https://shop.example/the-unsubscribables",
    "https://shop.example/subscribe",
    "https://shop.example/resubscribe",
    "https://shop.example/newsletter",
    "https://shop.example/newsletter/issue-12",
    "https://shop.example/subscription/plans",
    "https://shop.example/why-people-unsubscribe",
    "https://shop.example/blog/how-to-unsubscribe",
    "https://shop.example/unsubscribe-rates-by-industry",
    "https://shop.example/unsubscribe-podcast-launch",
    "https://shop.example/opt-out-of-ordinary-travel-ideas",
    "https://shop.example/stopwatch",
    "https://shop.example/stop",
    "https://shop.example/bus/stop/12",
    "https://shop.example/shopping-out",
    "https://shop.example/laptop-outlet",
    "https://shop.example/top-outfits",
    "https://laptopoutlet.example/",
    "https://shop.example/consumer-preferences-2026",
    "https://shop.example/manage",
    "https://shop.example/settings",
    "https://shop.example/cancel",
    "https://shop.example/hotels/baja-california",
    "https://shop.example/email-marketing-course",
    "https://shop.example/remove-stains",
    "https://shop.example/sale?ref=unsubscribe",
    "https://shop.example/sale?next=/unsubscribe",
    "https://shop.example/sale?url=https%3A%2F%2Fnews.example%2Funsubscribe",
    "https://unsubscribe@shop.example/sale",
    "https://unsubscribers.example/",
    "https://preferencesfurniture.example/chairs",
    "https://shop.example/unsubtle-colours",
    "https://shop.example/mailbox",
    "mailto:ann@unsubscribe.example?subject=unsubscribe",
    "not a link",
];

#[test]
fn opt_out_and_preference_links_are_known() {
    let missed: Vec<&&str> = YES.iter().filter(|link| !is_opt_out(link)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn links_that_only_look_like_one_are_none() {
    let wrong: Vec<&&str> = NO.iter().filter(|link| is_opt_out(link)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_very_long_link_is_read_by_its_beginning() {
    let long = format!("https://shop.example/unsubscribe/{}", "ä".repeat(1_000_000));
    assert!(is_opt_out(&long));
    assert!(!is_opt_out(&format!("https://shop.example/{}/unsubscribe", "ä".repeat(1_000_000))));
}

proptest! {
    #[test]
    fn any_text_is_read(link in ".{0,300}") {
        let _ = is_opt_out(&link);
    }

    #[test]
    fn neither_case_nor_encoding_nor_values_hide_one(
        link in proptest::sample::select(vec!["unsubscribe", "opt-out", "abmelden", "preference-center"]),
        upper in any::<bool>(),
        encoded in any::<proptest::sample::Index>(),
        host in "[a-z]{3,8}\\.example",
        token in "[0-9a-f]{8,40}",
        name in "[a-z]{1,4}",
    ) {
        let at = encoded.index(link.len());
        let path: String = link
            .chars()
            .enumerate()
            .map(|(index, c)| {
                let c = if upper { c.to_ascii_uppercase() } else { c };
                if index == at { format!("%{:02X}", u32::from(c)) } else { c.to_string() }
            })
            .collect();
        for link in [format!("https://{host}/{path}?{name}={token}"), format!("https://{host}/{token}/{path}/{token}")] {
            prop_assert!(is_opt_out(&link), "{}", link);
        }
    }

    #[test]
    fn a_value_says_nothing(host in "[b-d]{3,8}\\.example", path in "[b-d/]{0,12}", name in "[b-d]{1,4}") {
        for value in ["unsubscribe", "opt-out", "preferences", "%75nsubscribe"] {
            let link = format!("https://{host}/{path}?{name}={value}&{name}2={value}");
            prop_assert!(!is_opt_out(&link), "{}", link);
        }
    }
}
