//! Enumerations whose variants have a text each.

/// Defines an enumeration that is shown as the text of its variant.
macro_rules! texts {
    (
        $(#[$meta:meta])*
        pub enum $name:ident;

        $($(#[$doc:meta])* $variant:ident = $text:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

pub(crate) use texts;
