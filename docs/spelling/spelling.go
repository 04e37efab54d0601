// Package suppressions asks Rebound's list. This file has one spelling for an address. It is a file to copy; it needs
// golang.org/x/text/unicode/norm and golang.org/x/net/idna.
package suppressions

import (
	"regexp"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

var (
	// Default_Ignorable_Code_Point (https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point) but the two joiners.
	invisible = regexp.MustCompile(`[\x{AD}\x{34F}\x{61C}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{200B}\x{200E}\x{200F}` +
		`\x{202A}-\x{202E}\x{2060}-\x{206F}\x{3164}\x{FE00}-\x{FE0F}\x{FEFF}\x{FFA0}\x{FFF0}-\x{FFF8}\x{1BCA0}-\x{1BCA3}` +
		`\x{1D173}-\x{1D17A}\x{E0000}-\x{E0FFF}]`)
	whiteSpace        = regexp.MustCompile(`[\t-\r\x{85}\x{1680}\x{2028}\x{2029}]`) // what NFKC leaves of it
	joiners           = regexp.MustCompile(`[\x{200C}\x{200D}]`)
	joinersAfterASCII = regexp.MustCompile(`(^|[\x00-\x7F])[\x{200C}\x{200D}]+`)
	comment           = regexp.MustCompile(`\([^()]*\)`)
	noText            = regexp.MustCompile(`[\x00-\x1F\x{7F}-\x{9F}\x{FFFD}]`)
	quotedOnly        = regexp.MustCompile(`[ ()<>\[\]:;@\\,"]|^\*$`)
	notInDomains      = regexp.MustCompile(`[ ()<>;@\\,"']`)
	ascii             = regexp.MustCompile(`^[\x00-\x7F]*$`)
	asciiLabel        = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// Spell gives the key of an address, however it is written, and whether there is one. False means that it is no address: do not send.
// One letter with more than 30 accents is refused too, as norm can't compare it.
func Spell(address string) (string, bool) {
	if len(address) > 4096 {
		return "", false
	}
	text := nfkc(invisible.ReplaceAllString(strings.ToValidUTF8(address, "\uFFFD"), ""))
	// ToLower makes a plain i of the first. It knows no sigma for the end of a word.
	text = strings.ToLower(strings.ReplaceAll(text, "\u0130", "i\u0307"))
	text = whiteSpace.ReplaceAllString(strings.ReplaceAll(text, "\u3002", "."), " ")
	text = joinersAfterASCII.ReplaceAllString(text, "$1")
	for before := ""; before != text; {
		before, text = text, comment.ReplaceAllString(text, " ")
	}
	if closed := strings.LastIndex(text, ">"); closed >= 0 {
		if opened := strings.LastIndex(text[:closed], "<"); opened >= 0 {
			text, _, _ = strings.Cut(text[opened+1:], ">")
		}
	}
	if link := strings.TrimLeft(text, " "); strings.HasPrefix(link, "mailto:") {
		text, _, _ = strings.Cut(strings.TrimPrefix(link, "mailto:"), "?")
	}
	at := strings.LastIndex(text, "@")
	if at < 0 {
		return "", false
	}
	local, isLocal := localPart(strings.Trim(text[:at], " "))
	domain, isDomain := domainPart(strings.Trim(text[at+1:], " "))
	key := local + "@" + domain
	if !isLocal || !isDomain || len(key) > 320 {
		return "", false
	}
	return key, true
}

// nfkc gives the text in the form that Unicode calls NFKC. Where norm parts a long row of accents, by U+034F, the place is marked
// as one where text was lost.
func nfkc(text string) string {
	return strings.ReplaceAll(norm.NFKC.String(text), "\u034F", "\uFFFD")
}

// localPart gives what comes before the @, in quotes only if it needs them.
func localPart(written string) (string, bool) {
	quoted := len(written) > 1 && strings.HasPrefix(written, `"`) && strings.HasSuffix(written, `"`)
	if noText.MatchString(written) || (!quoted && quotedOnly.MatchString(written)) {
		return "", false
	}
	bare := written
	if quoted {
		bare = written[1 : len(written)-1]
	}
	bare = joiners.ReplaceAllString(strings.ReplaceAll(bare, `\`, ""), "")
	bare = nfkc(strings.ReplaceAll(bare, "ς", "σ"))
	if bare == "" || noText.MatchString(bare) {
		return "", false
	}
	if quotedOnly.MatchString(bare) {
		return `"` + bare + `"`, true
	}
	return bare, true
}

// domainPart gives what comes after the @, in the form that the DNS has.
func domainPart(written string) (string, bool) {
	if noText.MatchString(written) || notInDomains.MatchString(written) {
		return "", false
	}
	domain := strings.TrimRight(written, ".\u200C\u200D")
	labels := strings.Split(domain, ".")
	for n, label := range labels {
		if label == "" {
			return "", false
		}
		labels[n] = encoded(label)
	}
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		return domain, true
	}
	for _, label := range labels {
		if ascii.MatchString(label) && !asciiLabel.MatchString(label) {
			return "", false
		}
	}
	return strings.Join(labels, "."), true
}

// encoded gives a label in ASCII, by its raw Punycode (RFC 3492): any other profile would refuse some labels, and change others. Where
// that can't be made, it is what no domain has.
func encoded(written string) string {
	label := nfkc(written)
	lost := noText.MatchString(label)
	if ascii.MatchString(label) || (strings.HasPrefix(label, "xn--") && !lost) {
		return label
	}
	label, err := idna.Punycode.ToASCII(label)
	if err != nil || lost {
		return " "
	}
	return label
}
