//! Chinese, in simplified characters.

use super::{Problem, Texts};

pub(super) static TEXTS: Texts = Texts {
    ask_title: "不再接收 {sender} 的邮件？",
    ask_status: "以下地址尚未退订：",
    ask_button: "退订邮件",
    takes_effect: "立即生效。已经在途中的邮件可能仍会在两天内送达。",
    unchanged: "如果直接关闭此页面，则不会有任何改变。",
    done_title: "{sender} 不会再给您发送邮件",
    done_status: "以下地址现已退订：",
    on_its_way: "已经在途中的邮件可能仍会在两天内送达。",
    requested: "您自己请求的邮件不受影响，例如用于重置密码的邮件。",
    by_mistake: "操作有误？请联系 {sender}。",
    stopped_title: "您已不再收到 {sender} 的邮件",
    stopped_status: "已停止向以下地址发送邮件：",
    nothing_to_do: "您无需再做任何操作。",
    email_again: "希望重新接收邮件？请联系 {sender}。",
    not_found: Problem {
        title: "此链接无法使用",
        happened: "没有任何更改。链接可能不完整：有些程序会截断较长的链接。",
        to_do: "请重新打开邮件中的链接，或复制完整的链接。如果仍然无法使用，请联系 {sender}，要求停止发送邮件。",
    },
    bad_request: Problem {
        title: "操作未成功",
        happened: "没有任何更改：此页面无法理解该请求。",
        to_do: "请返回后重试。",
    },
    method_not_allowed: Problem {
        title: "此页面不支持该操作",
        happened: "没有任何更改：此页面不支持这类请求。",
        to_do: "请在浏览器中打开该链接。",
    },
    too_large: Problem {
        title: "请求内容过大",
        happened: "没有任何更改：请求超出了此页面的大小限制。",
        to_do: "请返回后重试。",
    },
    unavailable: Problem {
        title: "暂时无法使用",
        happened: "很抱歉，该服务的一部分目前没有响应。",
        to_do: "请在一分钟后重试。如果您已经按过按钮，届时再按一次即可，重复操作不会有任何影响。",
    },
    back: "返回",
    again: "重试",
};
