//! What prompts, cases and models say, as Markdown and HTML show it as it stands.

use assay_common::visible::visible;

/// What a reader does not see, and what ends a word for whoever looks for mentions, references and links: GitHub does so after
/// Markdown and character references have been read, so that escaping the signs is not enough.
const BREAK: &str = "&#8203;";

/// Text on one line, also in a table cell.
pub(super) fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
    }
    unlinked(&escaped)
}

/// Text within a tag of HTML that stands on its own line, where Markdown is not read.
pub(super) fn html(text: &str) -> String {
    let text = visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    unlinked(&text.replace(['\n', '\r'], " "))
}

/// The same text, which notifies nobody and leads nowhere.
fn unlinked(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    let mut rest = text;
    // Mentions, issues and pull requests, addresses with and without a scheme.
    while let Some((at, sign)) =
        ["@", "#", "://", "www.", "gh-"].iter().filter_map(|sign| found(rest, sign)).min()
    {
        let (before, after) = rest.split_at(at + sign);
        parted.push_str(before);
        parted.push_str(BREAK);
        rest = after;
    }
    parted.push_str(rest);
    parted
}

/// Where a sign in small letters begins, whatever the case, and after how many bytes of it the text is parted: before the
/// last one.
fn found(text: &str, sign: &str) -> Option<(usize, usize)> {
    let at =
        text.as_bytes().windows(sign.len()).position(|bytes| bytes.eq_ignore_ascii_case(sign.as_bytes()))?;
    Some((at, (sign.len() - 1).max(1)))
}

/// Two texts of several lines side by side, as they stand: in blocks of code nothing is read.
pub(super) fn beside(before: &str, after: &str) -> String {
    let (before, after) = (fenced("text", before), fenced("text", after));
    format!(
        "<table><tr><th>before</th><th>after</th></tr><tr><td>\n\n{before}\n</td><td>\n\n{after}\n</td></tr></table>\n"
    )
}

/// Text as it stands within a line, outside of tables.
pub(super) fn code(text: &str) -> String {
    let text = visible(text).replace(['\n', '\r'], " ");
    if text.trim().is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    format!("{fence} {text} {fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

/// A block of text in a language; no run of backticks in it ends the block.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_case_is_called_stays_text() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text).replace(BREAK, "¦"), expected);
        check(
            "<img src=x onerror=alert(1)> | [x](javascript:1) `code`",
            r"&lt;img src=x onerror=alert(1)&gt; \| \[x\](javascript:1) \`code\`",
        );
        check("a\u{202e}b", r"a\\u{202e}b");
        check("# @team @@x a@b.c", r"\#¦ @¦team @¦@¦x a@¦b.c");
        check("owner/repo#12, GH-12 gh-1", r"owner/repo\#¦12, GH¦-12 gh¦-1");
        check("https://x.y http://www.z WWW.z xwww", "https:/¦/x.y http:/¦/www¦.z WWW¦.z xwww");
    }

    #[test]
    fn in_html_markdown_is_not_read() {
        assert_eq!(html("answer_only <b> & @team").replace(BREAK, "¦"), "answer_only &lt;b&gt; &amp; @¦team");
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a\n@b"), "` a @b `");
        assert_eq!(code("``x`"), "``` ``x` ```");
        assert_eq!(code(" "), "–");
        let both = beside("```\n</td>@team", "https://x");
        assert!(
            both.contains("\n\n````text\n```\n</td>@team\n````\n\n</td><td>\n\n```text\nhttps://x\n```\n"),
            "{both}"
        );
    }

    #[test]
    fn a_block_ends_where_it_should() {
        assert_eq!(fenced("diff", "+a\n"), "```diff\n+a\n```\n");
        assert_eq!(fenced("", "```\n@team"), "````\n```\n@team\n````\n");
    }
}
