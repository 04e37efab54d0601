//! The body of an opt-out: how the recipient asks for it.

use lambda_http::http::HeaderMap;
use lambda_http::http::header::CONTENT_TYPE;

use super::pages::{ACTION, OPT_OUT};
use crate::aws::edge;
use crate::store::opt_out_write::OptOutWay;

/// Media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// Field of a one-click unsubscription (<https://www.rfc-editor.org/rfc/rfc8058#section-3.2>).
const ONE_CLICK: &str = "List-Unsubscribe";

/// A form that asks for something else than an opt-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form's action is not {OPT_OUT}")]
pub(super) struct OtherAction;

/// Returns how the recipient opts out. A mail provider may send any body, in any type, or none. Only a form that names
/// another action is not an opt-out.
pub(super) fn opt_out_way(headers: &HeaderMap, body: &[u8]) -> Result<OptOutWay, OtherAction> {
    let media_type = edge::header(headers, CONTENT_TYPE.as_str()).unwrap_or_default().split(';').next();
    if !media_type.unwrap_or_default().trim().eq_ignore_ascii_case(FORM) {
        return Ok(OptOutWay::OneClick);
    }
    let (mut is_other, mut is_page) = (false, false);
    for (name, value) in form_urlencoded::parse(body) {
        if name.eq_ignore_ascii_case(ONE_CLICK) {
            return Ok(OptOutWay::OneClick);
        }
        if name == ACTION {
            is_page |= value == OPT_OUT;
            is_other |= value != OPT_OUT;
        }
    }
    match (is_page, is_other) {
        (true, _) => Ok(OptOutWay::Page),
        (false, true) => Err(OtherAction),
        (false, false) => Ok(OptOutWay::OneClick),
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn way(content_type: &str, body: &[u8]) -> Result<OptOutWay, OtherAction> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        opt_out_way(&headers, body)
    }

    #[test]
    fn a_mail_provider_may_send_any_body() {
        let multipart =
            b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        for (content_type, body) in [
            (FORM, b"List-Unsubscribe=One-Click".as_slice()),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", b"List-Unsubscribe=One-Click"),
            (FORM, b"list-unsubscribe=one-click"),
            (FORM, b"List-Unsubscribe=One-Click&action=keep"),
            (FORM, b"action=keep&List-Unsubscribe=One-Click"),
            (FORM, b""),
            (FORM, b"&&=&%zz=%"),
            (FORM, b"\xff\xfe"),
            (FORM, b"Action=keep"),
            ("multipart/form-data; boundary=x", multipart),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nkeep"),
            ("application/json", b"{\"action\":\"keep\"}"),
            ("text/plain", b"action=keep"),
            ("", b""),
            ("", b"action=keep"),
        ] {
            assert_eq!(way(content_type, body), Ok(OptOutWay::OneClick), "{content_type}: {body:?}");
        }
    }

    #[test]
    fn the_pages_button_differs_from_a_mail_provider() {
        for body in ["action=opt_out", "a=b&action=opt_out", "action=opt%5Fout", "action=keep&action=opt_out"] {
            assert_eq!(way(FORM, body.as_bytes()), Ok(OptOutWay::Page), "{body}");
        }
    }

    #[test]
    fn another_action_is_not_an_opt_out() {
        for body in ["action=keep", "action=", "action", "action=OPT_OUT", "action=opt_out%20", "x=1&action=undo"] {
            assert_eq!(
                way("application/x-www-form-urlencoded;charset=utf-8", body.as_bytes()),
                Err(OtherAction),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_reading_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = way(FORM, &body);
        }
    }
}
