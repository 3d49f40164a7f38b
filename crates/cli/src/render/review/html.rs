//! A review as a page that needs nothing else: no script, no font, no picture from anywhere, and a policy that forbids them all.

use std::fmt::Write as _;

use assay_common::id::Digest;
use assay_common::visible::visible;
use assay_coordinator::plot::{Axis, Chart, Line};
use assay_coordinator::release::registry::moment;
use assay_coordinator::review::Review;
use assay_coordinator::review::document::PromptTrend;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sections::{NOTHING, Section, sections, title};

const STYLE: &str = "\
body{font-family:sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#1a1a1a;background:#fff}\
table{border-collapse:collapse;margin:.5em 0 1em}th,td{padding:.25em .75em;text-align:left;vertical-align:top;\
border-bottom:1px solid #ddd}th{font-size:.8em}.n{text-align:right;font-variant-numeric:tabular-nums}\
svg{max-width:100%;height:auto}";

/// Width and height of a plot.
const SIZE: [f64; 2] = [720.0, 280.0];
const DAY_US: f64 = 86_400e6;

/// The review as a page.
pub(crate) fn html(review: &Review) -> String {
    let title = escaped(&title(review));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; base-uri 'none'; \
         form-action 'none'\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n",
        hash(STYLE)
    );
    for section in sections(review) {
        put(&mut page, &section);
        if section.title == "Pass rates" {
            for trend in review.prompts.iter().filter(|trend| !trend.points.is_empty()) {
                page.push_str(&plot(review, trend));
                page.push('\n');
            }
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn put(page: &mut String, section: &Section) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "<h2>{}</h2>", section.title);
    for line in &section.said {
        let _ = writeln!(page, "<p>{}</p>", escaped(line));
    }
    if section.rows.is_empty() {
        return;
    }
    let class = |column| if section.right.contains(&column) { " class=\"n\"" } else { "" };
    page.push_str("<table>\n<tr>");
    for (column, head) in section.header.iter().enumerate() {
        let _ = write!(page, "<th{}>{head}</th>", class(column));
    }
    page.push_str("</tr>\n");
    for row in &section.rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(column), escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

/// The pass rates of a prompt over the period, a line for each version and model.
fn plot(review: &Review, trend: &PromptTrend) -> String {
    let micros = |at: &str| moment(at).map_or(f64::NAN, |at| at.0 as f64);
    let from = micros(&review.period.from);
    let days = (micros(&review.period.to) - from) / DAY_US;
    let mut lines: Vec<Line> = Vec::new();
    for point in &trend.points {
        let version = point.version.map_or_else(|| NOTHING.to_owned(), |version| format!("@{version}"));
        let name = visible(&format!("{version} {} · {}", point.model, point.suite)).into_owned();
        let x = (micros(&point.at) - from) / DAY_US;
        let [low, high] = point.interval;
        let line = match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line,
            None => {
                lines.push(Line { name, dotted: true, ..Line::default() });
                let last = lines.len() - 1;
                &mut lines[last]
            }
        };
        line.points.push([x, point.pass_rate]);
        line.band.push([x, low, high]);
    }
    let least = trend.points.iter().map(|point| point.interval[0]).fold(1.0, f64::min);
    let chart = Chart {
        title: visible(&format!("{}: pass rate", trend.prompt)).into_owned(),
        size: SIZE,
        x: Axis::linear("day of the period", [0.0, days], false),
        y: Axis::linear("pass rate", [(least * 10.0).floor() / 10.0, 1.0], true),
        lines,
        levels: Vec::new(),
    };
    chart.svg()
}

/// Text as it stands, wherever a page has text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// What a policy calls a style by.
fn hash(style: &str) -> String {
    let digest = Digest::of(style.as_bytes());
    let digits = digest.as_str();
    let byte = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).filter_map(byte).collect();
    format!("sha256-{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_is_named_as_browsers_do() {
        // Computed with Python's hashlib.
        assert_eq!(hash("p{color:red}"), "sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64=");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escaped("<script>alert('1')</script> & \"x\" \u{202e}"),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot; \\u{202e}"
        );
    }
}
