//! Entries of a table in TOML, read one by one: what is left over in the end is unknown.
//!
//! By hand, for what a derive macro needs takes longer to compile than the grader.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// Entries that were not read yet.
pub(crate) struct Fields<'a>(BTreeMap<String, DeValue<'a>>);

/// What is wrong with an entry.
type Read<T> = Result<T, String>;

impl<'a> Fields<'a> {
    /// The entries of a file.
    pub(crate) fn parse(text: &'a str) -> Read<Self> {
        let table = DeTable::parse(text).map_err(|error| error.to_string())?;
        Ok(Self::of(table.into_inner()))
    }

    fn of(table: DeTable<'a>) -> Self {
        let entries = table.into_iter();
        Self(entries.map(|(key, value)| (key.into_inner().into(), value.into_inner())).collect())
    }

    /// Fails if an entry was not read.
    pub(crate) fn end(self) -> Read<()> {
        self.0.into_keys().next().map_or(Ok(()), |key| Err(format!("there is no field {key}")))
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Read<String> {
        self.text_or_none(name)?.ok_or_else(|| format!("{name} is missing"))
    }

    /// A text, if it is there.
    pub(crate) fn text_or_none(&mut self, name: &str) -> Read<Option<String>> {
        self.0.remove(name).map(|value| text(name, &value)).transpose()
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Read<Vec<String>> {
        match self.0.remove(name) {
            Some(DeValue::Array(texts)) => {
                texts.iter().map(|value| text(name, value.get_ref())).collect()
            }
            _ => Err(format!("{name} is no list")),
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Read<u32> {
        let number = match self.0.remove(name) {
            Some(DeValue::Integer(number)) => number.as_str().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| format!("{name} is no number"))
    }

    /// Whether a flag is set, which it is not unless it is there.
    pub(crate) fn flag(&mut self, name: &str) -> Read<bool> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(DeValue::Boolean(flag)) => Ok(flag),
            Some(_) => Err(format!("{name} is neither true nor false")),
        }
    }

    /// The tables of a list, which is empty unless it is there.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Fields<'a>) -> Read<T>,
    ) -> Read<Vec<T>> {
        let Some(value) = self.0.remove(name) else { return Ok(Vec::new()) };
        let DeValue::Array(tables) = value else { return Err(format!("{name} is no list")) };
        let tables = tables.into_iter();
        tables.map(|table| whole(name, table.into_inner(), &read)).collect()
    }

    /// The tables of a table, by name. It is empty unless it is there.
    pub(crate) fn named<T>(
        &mut self,
        name: &str,
        read: impl Fn(&mut Fields<'a>) -> Read<T>,
    ) -> Read<BTreeMap<String, T>> {
        let Some(value) = self.0.remove(name) else { return Ok(BTreeMap::new()) };
        let DeValue::Table(tables) = value else { return Err(format!("{name} is no table")) };
        let tables = Self::of(tables).0.into_iter();
        tables.map(|(key, value)| whole(&key, value, &read).map(|one| (key, one))).collect()
    }

    /// A table of texts, which is empty unless it is there.
    pub(crate) fn texts_by_name(&mut self, name: &str) -> Read<BTreeMap<String, String>> {
        let Some(value) = self.0.remove(name) else { return Ok(BTreeMap::new()) };
        let DeValue::Table(texts) = value else { return Err(format!("{name} is no table")) };
        let texts = Self::of(texts).0.into_iter();
        texts.map(|(key, value)| text(&key, &value).map(|text| (key, text))).collect()
    }
}

fn text(name: &str, value: &DeValue<'_>) -> Read<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{name} is no text"))
}

/// Reads a table of which nothing may be left over.
fn whole<'a, T>(
    name: &str,
    value: DeValue<'a>,
    read: &impl Fn(&mut Fields<'a>) -> Read<T>,
) -> Read<T> {
    let DeValue::Table(table) = value else { return Err(format!("{name} is no table")) };
    let mut fields = Fields::of(table);
    let one = read(&mut fields)?;
    fields.end()?;
    Ok(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 'x'\nb = ['y', 'z']\nc = 7\nd = true\n\
        [[e]]\na = '1'\n[[e]]\na = '2'\n[f.g]\na = '3'\n[h]\ni = '4'\n";

    #[test]
    fn entries_are_read_by_name_and_kind() {
        let mut fields = Fields::parse(TEXT).unwrap();
        assert_eq!(fields.text("a"), Ok("x".to_owned()));
        assert_eq!(fields.text_or_none("a"), Ok(None));
        assert_eq!(fields.texts("b").unwrap(), ["y", "z"]);
        assert_eq!(fields.number("c"), Ok(7));
        assert_eq!((fields.flag("d"), fields.flag("d")), (Ok(true), Ok(false)));
        assert_eq!(fields.list("e", |one| one.text("a")).unwrap(), ["1", "2"]);
        assert_eq!(fields.named("f", |one| one.text("a")).unwrap()["g"], "3");
        assert_eq!(fields.texts_by_name("h").unwrap()["i"], "4");
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn what_is_missing_of_another_kind_or_unknown_is_named() {
        let fields = || Fields::parse(TEXT).unwrap();
        assert_eq!(fields().text("z"), Err("z is missing".to_owned()));
        assert_eq!(fields().text("c"), Err("c is no text".to_owned()));
        assert_eq!(fields().number("a"), Err("a is no number".to_owned()));
        assert_eq!(fields().end(), Err("there is no field a".to_owned()));
        let left_over = fields().list("e", |_| Ok(()));
        assert_eq!(left_over, Err("there is no field a".to_owned()));
        assert!(Fields::parse("a =").is_err());
    }
}
