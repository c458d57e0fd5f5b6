//! Which claims a tour shows.

use super::Chapter;

/// A choice among claims.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    numbers: Option<&'a str>,
}

impl<'a> Choice<'a> {
    /// The claims with these numbers, separated by commas, in upper or lower case. `None`: all.
    pub const fn new(numbers: Option<&'a str>) -> Self {
        Self { numbers }
    }

    /// Returns whether the claim of this number is chosen.
    pub fn includes(&self, number: &str) -> bool {
        self.numbers.is_none() || self.parts().any(|part| part.eq_ignore_ascii_case(number))
    }

    /// Returns whether a claim of the chapter is chosen.
    pub fn includes_any_of(&self, chapter: &Chapter) -> bool {
        chapter.claims.iter().any(|claim| self.includes(claim.number))
    }

    /// Returns a number that no claim of these chapters has, if there is one among the chosen; an
    /// empty one if there is no number at all.
    pub fn unknown(&self, chapters: &[Chapter]) -> Option<&'a str> {
        let is_known = |number: &str| {
            let claims = chapters.iter().flat_map(|chapter| chapter.claims);
            claims.map(|claim| claim.number).any(|known| known.eq_ignore_ascii_case(number))
        };
        let numbers = self.numbers?;
        match self.parts().find(|part| !is_known(part)) {
            None if self.parts().next().is_none() => Some(numbers),
            unknown => unknown,
        }
    }

    fn parts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.numbers
            .into_iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Claim;
    use super::*;

    const fn claim(number: &'static str) -> Claim {
        Claim { number, text: "", shown_by: "", steps: &[] }
    }

    const CHAPTERS: [Chapter; 2] = [
        Chapter { title: "", claims: &[claim("C1"), claim("C2")] },
        Chapter { title: "", claims: &[claim("C12")] },
    ];

    fn chosen(numbers: Option<&str>) -> Vec<&'static str> {
        let numbers = Choice::new(numbers);
        let claims = CHAPTERS.iter().flat_map(|chapter| chapter.claims);
        claims.map(|claim| claim.number).filter(|number| numbers.includes(number)).collect()
    }

    #[test]
    fn without_numbers_every_claim_is_chosen() {
        assert_eq!(chosen(None), ["C1", "C2", "C12"]);
        assert_eq!(Choice::new(None).unknown(&CHAPTERS), None);
    }

    #[test]
    fn a_number_chooses_one_claim_and_no_other() {
        assert_eq!(chosen(Some("C1")), ["C1"]);
        assert_eq!(chosen(Some(" c12 ,C2,")), ["C2", "C12"]);
        assert!(Choice::new(Some("C12")).includes_any_of(&CHAPTERS[1]));
        assert!(!Choice::new(Some("C12")).includes_any_of(&CHAPTERS[0]));
    }

    #[test]
    fn an_unknown_number_is_found() {
        for (numbers, unknown) in [
            ("C99", Some("C99")),
            ("C1,C,C2", Some("C")),
            ("", Some("")),
            (" ,", Some(" ,")),
            ("c1", None),
        ] {
            assert_eq!(Choice::new(Some(numbers)).unknown(&CHAPTERS), unknown, "{numbers:?}");
        }
    }
}
