//! Which cases to run.

/// Cases with this in front of their name fail on purpose. They run only if the filter asks for
/// them by this prefix.
const SELFTEST: &str = "selftest::";

/// A choice among cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    filter: Option<&'a str>,
}

impl<'a> Selection<'a> {
    /// The cases whose name contains one of the filter's parts, which are separated by commas. No
    /// filter: all cases.
    pub const fn new(filter: Option<&'a str>) -> Self {
        Self { filter }
    }

    /// Whether the case of that name is chosen.
    pub fn includes(&self, name: &str) -> bool {
        let on_purpose = name.starts_with(SELFTEST);
        match self.filter {
            None => !on_purpose,
            Some(filter) => filter
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .any(|part| name.contains(part) && (!on_purpose || part.starts_with(SELFTEST))),
        }
    }
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
        names.into_iter().filter(|name| Selection::new(filter).includes(name)).collect()
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
}
