//! Which cases to run.

/// Cases with this in front of their name fail on purpose. They run only if the filter asks for
/// them by this prefix.
const SELFTEST: &str = "selftest::";

/// A choice among cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Parts of names, separated by commas; a case must contain one. `None`: all cases.
    pub filter: Option<&'a str>,
    /// Parts of names, separated by commas; a case must contain none.
    pub skip: Option<&'a str>,
    /// Whether the filter's parts are whole names.
    pub is_exact: bool,
}

impl Selection<'_> {
    /// Whether the case of that name is chosen.
    pub fn includes(&self, name: &str) -> bool {
        let on_purpose = name.starts_with(SELFTEST);
        let fits = |part| if self.is_exact { name == part } else { name.contains(part) };
        let is_asked_for = match self.filter {
            None => !on_purpose,
            Some(filter) => {
                let may = |part: &str| !on_purpose || part.starts_with(SELFTEST);
                parts(filter).any(|part| fits(part) && may(part))
            }
        };
        let is_skipped = self.skip.is_some_and(|skip| parts(skip).any(|part| name.contains(part)));
        is_asked_for && !is_skipped
    }
}

/// The parts of a list with commas.
fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filter: Option<&str>) -> Vec<&'static str> {
        let names = [
            "frames::counts",
            "faults::null_page",
            "faults::guard_page",
            "selftest::panic",
            "selftest::page_fault",
        ];
        names
            .into_iter()
            .filter(|name| (Selection { filter, ..Selection::default() }).includes(name))
            .collect()
    }

    #[test]
    fn without_a_filter_everything_but_the_selftests() {
        assert_eq!(chosen(None), ["frames::counts", "faults::null_page", "faults::guard_page"]);
    }

    #[test]
    fn any_part_of_the_filter_will_do() {
        assert_eq!(chosen(Some("counts,null")), ["frames::counts", "faults::null_page"]);
        assert_eq!(chosen(Some(" guard , ,")), ["faults::guard_page"]);
        assert_eq!(chosen(Some("nothing")), [""; 0]);
        assert_eq!(chosen(Some("")), [""; 0]);
    }

    #[test]
    fn selftests_must_be_named() {
        assert_eq!(chosen(Some("page")), ["faults::null_page", "faults::guard_page"]);
        assert_eq!(chosen(Some("selftest::panic,null")), ["faults::null_page", "selftest::panic"]);
        assert_eq!(chosen(Some("selftest::")), ["selftest::panic", "selftest::page_fault"]);
    }

    #[test]
    fn whole_names_and_names_that_are_skipped() {
        let exact = Selection { filter: Some("a::b,c"), is_exact: true, skip: None };
        assert_eq!(["a::b", "a::bc", "c"].map(|name| exact.includes(name)), [true, false, true]);
        let but = Selection { skip: Some("b, c"), ..Selection::default() };
        assert_eq!(["a", "ab", "cd"].map(|name| but.includes(name)), [true, false, false]);
    }
}
