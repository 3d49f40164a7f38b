//! A page of Markdown that fits into a comment on GitHub: where there is too much, what matters least is left out, and it says
//! so.

/// The most characters of a comment, with room for the mark by which an action finds its own.
const MOST: usize = 65_536 - 256;

/// The most characters that the names of what is left out take: there are a handful of them.
const NAMES: usize = 200;

/// The parts of a page, in the order in which they are read.
#[derive(Default)]
pub(super) struct Page(Vec<Part>);

/// A part: as many of its items as there is room for, between what opens and what closes them.
#[derive(Default)]
pub(super) struct Part {
    /// What it is called where some of it is left out.
    pub(super) name: &'static str,
    /// Parts of a lower rank have room first.
    pub(super) rank: u8,
    pub(super) open: String,
    pub(super) items: Vec<String>,
    pub(super) close: String,
}

impl Part {
    /// A part that is there or not.
    pub(super) fn whole(rank: u8, name: &'static str, text: String) -> Self {
        Self { name, rank, items: vec![text], ..Self::default() }
    }

    fn length(&self) -> usize {
        length(&self.open) + length(&self.close) + self.items.iter().map(|item| length(item)).sum::<usize>()
    }
}

impl Page {
    /// Adds a part at the end.
    pub(super) fn add(&mut self, part: Part) {
        self.0.push(part);
    }

    /// The page. `all` is what shows everything, should something be left out.
    pub(super) fn finish(mut self, all: &str) -> String {
        let left_out = self.fit(MOST - NAMES - length(&note(&[], all)));
        let mut text = String::new();
        for part in self.0.iter().filter(|part| !part.items.is_empty()) {
            text.push_str(&part.open);
            part.items.iter().for_each(|item| text.push_str(item));
            text.push_str(&part.close);
        }
        if !left_out.is_empty() {
            text.push_str(&note(&left_out, all));
        }
        text
    }

    /// Takes items away until the rest has `room`; the names of what lost some.
    fn fit(&mut self, mut room: usize) -> Vec<&'static str> {
        if self.0.iter().map(Part::length).sum::<usize>() <= room {
            return Vec::new();
        }
        let mut left_out = Vec::new();
        let mut parts: Vec<&mut Part> = self.0.iter_mut().filter(|part| !part.items.is_empty()).collect();
        parts.sort_by_key(|part| part.rank);
        for part in parts {
            let mut taken = length(&part.open) + length(&part.close);
            let fits = |item: &&String| {
                taken += length(item);
                taken <= room
            };
            let kept = part.items.iter().take_while(fits).count();
            if kept < part.items.len() && !left_out.contains(&part.name) {
                left_out.push(part.name);
            }
            part.items.truncate(kept);
            if kept > 0 {
                room -= part.length();
            }
        }
        left_out
    }
}

fn note(left_out: &[&str], all: &str) -> String {
    format!("\n> ✂ Left out of {}: a comment holds 65,536 characters. {all}\n", left_out.join(", "))
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: usize, size: usize) -> Page {
        let mut page = Page::default();
        page.add(Part::whole(0, "the heading", "# heading\n".to_owned()));
        page.add(Part::whole(2, "the prompts", "é".repeat(size)));
        page.add(Part {
            name: "the rules",
            rank: 1,
            open: "|rules|\n".to_owned(),
            items: (0..items).map(|n| format!("|rule {n}|\n")).collect(),
            close: "\n".to_owned(),
        });
        page.add(Part::whole(0, "the end", "run\n".to_owned()));
        page
    }

    #[test]
    fn what_fits_is_all_there() {
        let expected = "# heading\nééé|rules|\n|rule 0|\n|rule 1|\n\nrun\n";
        assert_eq!(page(2, 3).finish("ask"), expected);
    }

    #[test]
    fn what_matters_least_is_left_out_first_and_named() {
        let check = |items, size, parts: &[&str], not: &[&str]| {
            let text = page(items, size).finish("`assay status` shows it");
            assert!(text.chars().count() <= MOST, "{}", text.chars().count());
            for part in ["# heading\n", "\nrun\n", "`assay status` shows it"].iter().chain(parts) {
                assert!(text.contains(part), "{part} is missing");
            }
            not.iter().for_each(|part| assert!(!text.contains(part), "{part}"));
        };
        check(2, 70_000, &["|rule 1|", "Left out of the prompts:"], &["é", "the rules"]);
        check(2_000, 60_000, &["|rule 1999|", "Left out of the prompts:"], &["é"]);
        check(
            20_000,
            10,
            &["|rules|", "|rule 99|", "Left out of the rules, the prompts:"],
            &["|rule 19999|"],
        );
    }
}
