//! Line charts as SVG: numbers in, text out. Equal numbers give equal bytes, so a picture can be kept under version control.
//!
//! A chart is complete in itself: no script, no style sheet, no id, so several of them can stand in one HTML page. It has a white
//! ground of its own and colours that differ for people who do not see red or green.

use std::fmt::Write as _;

/// Distances from the frame of the plot to the edges of the picture: left, right, above and below.
const MARGINS: [f64; 4] = [58.0, 18.0, 30.0, 44.0];
/// The height of a row of the legend.
const ROW: f64 = 16.0;
/// How wide a letter is about, at the size of the texts.
const LETTER: f64 = 6.3;
/// About how many marks an axis has.
const MARKS: f64 = 5.0;
/// Lines take these in turn.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// A picture of lines over two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows; stands above it and is read aloud.
    pub title: String,
    /// Width and height in pixels.
    pub size: [f64; 2],
    /// From left to right.
    pub x: Axis,
    /// From below upwards.
    pub y: Axis,
    /// What is drawn, the first at the bottom.
    pub lines: Vec<Line>,
    /// Values of `y` that a dashed line with a name stands at.
    pub levels: Vec<(f64, String)>,
}

/// One axis. What lies beyond its ends is drawn at them.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it counts.
    pub name: String,
    /// Its least and its greatest value; both above 0 where it is logarithmic.
    pub ends: [f64; 2],
    /// Whether equal distances are equal factors.
    pub logarithmic: bool,
    /// Where it is marked, and with what.
    pub marks: Vec<(f64, String)>,
}

/// One line, with the band around it where it has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What stands in the legend; empty: nothing.
    pub name: String,
    /// x and y in the order of drawing. One that is no number leaves a gap.
    pub points: Vec<[f64; 2]>,
    /// x with the least and the greatest y there.
    pub band: Vec<[f64; 3]>,
    /// Whether every point has a dot.
    pub dotted: bool,
}

impl Axis {
    /// An axis with round marks, shown as they are or as percentages of 1.
    pub fn linear(name: &str, ends: [f64; 2], percent: bool) -> Self {
        let step = round_step((ends[1] - ends[0]) / MARKS);
        let places = |value: f64| usize::from(value < 1.0) * value.log10().floor().abs() as usize;
        let mark = |index: i64| {
            let value = index as f64 * step;
            let text = match percent {
                true => format!("{:.*} %", places(step * 100.0), value * 100.0),
                false => format!("{value:.*}", places(step)),
            };
            (value, text)
        };
        let [first, last] = [(ends[0] / step).ceil() as i64, (ends[1] / step + 1e-9).floor() as i64];
        Self { name: name.to_owned(), ends, logarithmic: false, marks: (first..=last).map(mark).collect() }
    }

    /// A logarithmic axis that is marked at these values.
    pub fn logarithmic(name: &str, ends: [f64; 2], marks: &[f64]) -> Self {
        let marks = marks.iter().map(|value| (*value, value.to_string())).collect();
        Self { name: name.to_owned(), ends, logarithmic: true, marks }
    }

    /// Where a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let place = |value: f64| if self.logarithmic { value.ln() } else { value };
        let [from, to] = self.ends.map(place);
        let width = if to > from { to - from } else { 1.0 };
        ((place(value) - from) / width).clamp(0.0, 1.0)
    }
}

/// The least of 1, 2, 5, 10, … times a power of ten that is no less.
fn round_step(step: f64) -> f64 {
    if step <= 0.0 || !step.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

impl Chart {
    /// The picture as a document of its own, or as an element of an HTML page.
    pub fn svg(&self) -> String {
        let [width, height] = self.size;
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>{title}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text x=\"10\" y=\"18\" font-size=\"13\" font-weight=\"bold\">{title}</text>\n"
        );
        let (legend, rows) = self.legend();
        svg.push_str(&legend);
        let [left, right, above, below] = MARGINS;
        let frame = Frame {
            left,
            right: width - right,
            top: above + rows * ROW,
            bottom: height - below,
            x: &self.x,
            y: &self.y,
        };
        frame.draw(&mut svg);
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            frame.line(&mut svg, line, colour);
        }
        for (value, name) in &self.levels {
            frame.level(&mut svg, *value, name);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The names of lines, in as many rows as they need.
    fn legend(&self) -> (String, f64) {
        let (mut svg, mut rows, mut at) = (String::new(), 0.0_f64, MARGINS[0]);
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            if line.name.is_empty() {
                continue;
            }
            let needs = 34.0 + line.name.chars().count() as f64 * LETTER;
            if rows == 0.0 || at + needs > self.size[0] {
                (rows, at) = (rows + 1.0, MARGINS[0]);
            }
            let y = 18.0 + rows * ROW;
            let name = escaped(&line.name);
            let _ = writeln!(
                svg,
                "<rect x=\"{at:.1}\" y=\"{:.1}\" width=\"14\" height=\"3\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
                y - 5.5,
                at + 19.0
            );
            at += needs;
        }
        (svg, rows)
    }
}

/// Where the plot is in the picture.
struct Frame<'c> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: &'c Axis,
    y: &'c Axis,
}

impl Frame<'_> {
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        [self.left + self.x.share(x) * width, self.bottom - self.y.share(y) * height]
    }

    /// The grid with its marks, and the names of both axes.
    fn draw(&self, svg: &mut String) {
        let Self { left, right, top, bottom, .. } = self;
        for (value, text) in &self.y.marks {
            let [_, y] = self.place([self.x.ends[0], *value]);
            let text = escaped(text);
            let _ = writeln!(
                svg,
                "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#dddddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#444444\">{text}</text>",
                left - 6.0,
                y + 4.0
            );
        }
        for (value, text) in &self.x.marks {
            let [x, _] = self.place([*value, self.y.ends[0]]);
            let text = escaped(text);
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {bottom:.1}v4\" stroke=\"#444444\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#444444\">{text}</text>",
                bottom + 17.0
            );
        }
        let (x, y) = (escaped(&self.x.name), escaped(&self.y.name));
        let _ = writeln!(
            svg,
            "<path d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\" fill=\"none\" stroke=\"#444444\"/>\n\
             <text x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{x}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#444444\">{y}</text>",
            bottom + 34.0,
            left + 6.0,
            top - 5.0
        );
    }

    fn line(&self, svg: &mut String, line: &Line, colour: &str) {
        let known = line.band.iter().filter(|band| band.iter().all(|value| value.is_finite()));
        let upper = known.clone().map(|[x, _, high]| [*x, *high]);
        let lower = known.rev().map(|[x, low, _]| [*x, *low]);
        let band = self.path(upper.chain(lower));
        if !band.is_empty() {
            let _ = writeln!(svg, "<path d=\"{band}Z\" fill=\"{colour}\" fill-opacity=\"0.15\"/>");
        }
        let path = self.path(line.points.iter().copied());
        if !path.is_empty() {
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>"
            );
        }
        let dots = line.points.iter().filter(|point| line.dotted && point.iter().all(|at| at.is_finite()));
        for point in dots {
            let [x, y] = self.place(*point);
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }

    /// What is drawn from point to point; a gap where one is no number.
    fn path(&self, points: impl Iterator<Item = [f64; 2]>) -> String {
        let (mut path, mut begins) = (String::new(), true);
        for point in points {
            let whole = point.iter().all(|at| at.is_finite());
            if whole {
                let [x, y] = self.place(point);
                let _ = write!(path, "{}{x:.1} {y:.1}", if begins { 'M' } else { 'L' });
            }
            begins = !whole;
        }
        path
    }

    fn level(&self, svg: &mut String, value: f64, name: &str) {
        let [_, y] = self.place([self.x.ends[0], value]);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"#444444\" stroke-dasharray=\"5 4\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            self.left,
            self.right,
            self.right - 4.0,
            y - 5.0,
            escaped(name)
        );
    }
}

/// Text that no markup begins in; what XML has no letter for is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<[f64; 2]>) -> Chart {
        Chart {
            title: "a <b> & c\u{7}".to_owned(),
            size: [320.0, 200.0],
            x: Axis::logarithmic("cases", [10.0, 1_000.0], &[10.0, 100.0, 1_000.0]),
            y: Axis::linear("rate", [0.0, 1.0], true),
            lines: vec![Line { name: "one".to_owned(), points, ..Line::default() }],
            levels: vec![(0.5, "half".to_owned())],
        }
    }

    #[test]
    fn points_lie_where_the_axes_say_and_never_outside() {
        let check = |points: &[[f64; 2]], expected: &str| {
            let svg = chart(points.to_vec()).svg();
            assert!(
                svg.contains(&format!("<path d=\"{expected}\" fill=\"none\" stroke=\"#0072b2\"")),
                "{svg}"
            );
        };
        // The frame is from 58 to 302 and from 46 down to 156.
        check(&[[10.0, 0.0], [100.0, 0.5], [1_000.0, 1.0]], "M58.0 156.0L180.0 101.0L302.0 46.0");
        check(&[[1.0, -3.0], [1e9, 7.0]], "M58.0 156.0L302.0 46.0");
        check(&[[10.0, 0.0], [100.0, f64::NAN], [1_000.0, 1.0]], "M58.0 156.0M302.0 46.0");
        assert!(!chart(Vec::new()).svg().contains("#0072b2\" stroke-width"));
    }

    #[test]
    fn marks_are_round() {
        let check = |ends: [f64; 2], percent: bool, expected: &[&str]| {
            let marks = Axis::linear("", ends, percent).marks;
            let texts: Vec<&str> = marks.iter().map(|(_, text)| &**text).collect();
            assert_eq!(texts, expected);
        };
        check([0.0, 1.0], true, &["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        check([0.93, 0.96], true, &["93 %", "94 %", "95 %", "96 %"]);
        check([0.0, 0.02], true, &["0.0 %", "0.5 %", "1.0 %", "1.5 %", "2.0 %"]);
        check([-1.0, 21.0], false, &["0", "5", "10", "15", "20"]);
        check([2.0, 2.0], false, &["2"]);
    }

    #[test]
    fn text_is_no_markup() {
        let svg = chart(Vec::new()).svg();
        assert!(svg.contains("<title>a &lt;b&gt; &amp; c</title>"), "{svg}");
    }
}
