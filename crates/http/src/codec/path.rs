//! Where in a request something is, for messages to people.

use std::fmt;

/// A path such as `messages[2].content[0].signature`. Nothing is allocated
/// until somebody wants to read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Root,
    Field(&'p str),
    Nth(usize),
}

impl Path<'static> {
    /// The whole request.
    pub(super) const ROOT: Self = Self { parent: None, step: Step::Root };
}

impl<'p> Path<'p> {
    /// A field of what is here.
    pub(super) const fn field(&'p self, name: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Field(name) }
    }

    /// An element of what is here.
    pub(super) const fn nth(&'p self, nth: usize) -> Self {
        Self { parent: Some(self), step: Step::Nth(nth) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Nth(nth) => write!(f, "[{nth}]"),
            Step::Field(name) => {
                let first = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root));
                write!(f, "{}{name}", if first { "" } else { "." })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_in_code() {
        let messages = Path::ROOT.field("messages");
        let (second, signature) = (messages.nth(2), "signature");
        let content = second.field("content");
        assert_eq!(content.nth(0).field(signature).to_string(), "messages[2].content[0].signature");
        assert_eq!(Path::ROOT.field("seed").to_string(), "seed");
    }
}
