//! What a dialect cannot say of a request.
//!
//! Encoders report every difference between what was asked and what is sent.
//! [`Losses`] says which of them a caller puts up with; the first one beyond
//! that is an error that names the field.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    error::{ErrorKind, Failure},
    model::Losses,
};

/// Something that was asked for and is not sent as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The field, as a path: `messages[2].content[0].signature`.
    pub field: String,
    /// Why, and what is done instead.
    pub why: String,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a loss matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The question stays as it is, and the answer is one to it: signatures
    /// and thinking of other providers, hints to caches, labels, how tokens are
    /// drawn, how hard to think, what comes beside the answer.
    Minor,
    /// Part of the question, or of the form the answer must have.
    Major,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.why)
    }
}

impl From<Loss> for Failure {
    /// This dialect cannot say it; another may.
    fn from(loss: Loss) -> Self {
        Self::new(ErrorKind::Unsupported, loss.to_string())
    }
}

/// The losses of one request, as they are found.
#[derive(Debug)]
pub struct LossReport {
    allowed: Losses,
    found: Vec<Loss>,
}

impl LossReport {
    /// Nothing lost yet.
    pub fn new(allowed: Losses) -> Self {
        Self { allowed, found: Vec::new() }
    }

    /// Notes a loss.
    ///
    /// # Errors
    /// The loss as a failure, if it is more than is allowed.
    pub fn note(
        &mut self,
        weight: Weight,
        field: impl Into<String>,
        why: impl Into<String>,
    ) -> Result<(), Failure> {
        let loss = Loss { field: field.into(), why: why.into(), weight };
        let allowed = match self.allowed {
            Losses::Refuse => false,
            Losses::AllowMinor => weight == Weight::Minor,
            Losses::Allow => true,
        };
        match allowed {
            true => {
                self.found.push(loss);
                Ok(())
            }
            false => Err(loss.into()),
        }
    }

    /// What was lost.
    pub fn into_losses(self) -> Vec<Loss> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_decides_between_a_note_and_an_error() {
        for (allowed, minor, major) in
            [(Losses::Refuse, false, false), (Losses::AllowMinor, true, false), (Losses::Allow, true, true)]
        {
            for (weight, fine) in [(Weight::Minor, minor), (Weight::Major, major)] {
                let mut report = LossReport::new(allowed);
                let noted = report.note(weight, "seed", "is not part of it");
                assert_eq!(noted.is_ok(), fine, "{allowed:?} {weight:?}");
                if let Err(failure) = noted {
                    assert_eq!(
                        (failure.kind, failure.message.as_str()),
                        (ErrorKind::Unsupported, "seed: is not part of it")
                    );
                }
                assert_eq!(report.into_losses().len(), usize::from(fine));
            }
        }
    }
}
