//! Whether the caller has seen any of the answer.

use std::fmt;

use super::{Failed, Lifecycle, RateLimited, Requesting, Sent};
use crate::model::Partial;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unseen {}
    impl Sealed for super::Seen {}
}

/// Whether the caller has seen any of the answer. Sealed: [`Unseen`] or [`Seen`].
pub trait Visibility: sealed::Sealed + fmt::Debug + Sized {
    /// The evidence needed to send again.
    type Resend: fmt::Debug;
    /// The same as a value.
    const SEEN: bool;

    #[doc(hidden)]
    fn resent(self, resend: Self::Resend) -> Self;
    #[doc(hidden)]
    fn shown(&self) -> &str;
}

/// Nothing was handed to the caller: trying again is invisible.
#[derive(Debug)]
pub struct Unseen;

/// Something was handed to the caller, and cannot be taken back.
#[derive(Debug)]
pub struct Seen {
    /// What the current attempt continues: the text earlier routes had shown.
    pub(super) continues: String,
}

impl Visibility for Unseen {
    type Resend = ();
    const SEEN: bool = false;

    fn resent(self, (): ()) -> Self {
        self
    }

    fn shown(&self) -> &str {
        ""
    }
}

impl Visibility for Seen {
    type Resend = ResumePlan;
    const SEEN: bool = true;

    fn resent(self, plan: ResumePlan) -> Self {
        Self { continues: plan.text }
    }

    fn shown(&self) -> &str {
        &self.continues
    }
}

/// How to go on with an answer someone has begun to read: the model is given
/// the text so far and asked to continue it.
///
/// Only [`Lifecycle::resume_plan`] makes one, and only for plain text: a tool
/// call, JSON or thinking cannot be continued by another model.
#[derive(Debug)]
pub struct ResumePlan {
    text: String,
}

impl ResumePlan {
    /// The text the caller has.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Why an answer that broke off cannot be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotResume {
    /// It has other content than plain text.
    #[error("only plain text can be continued, and the answer has other content")]
    NotPlainText,
    /// It has no text yet.
    #[error("there is no text to continue")]
    Empty,
}

/// A state from which a seen answer may be sent again.
pub trait Resumable {
    #[doc(hidden)]
    fn broken_off(&self) -> Option<&Partial>;
}

impl Resumable for Failed {
    fn broken_off(&self) -> Option<&Partial> {
        self.partial()
    }
}

impl Resumable for Requesting<Sent> {
    fn broken_off(&self) -> Option<&Partial> {
        None
    }
}

impl Resumable for RateLimited {
    fn broken_off(&self) -> Option<&Partial> {
        None
    }
}

impl<S: Resumable> Lifecycle<S, Seen> {
    /// The evidence needed to send again what the caller has begun to read.
    ///
    /// # Errors
    /// [`CannotResume`] when the answer so far is not plain text.
    pub fn resume_plan(&self) -> Result<ResumePlan, CannotResume> {
        let text = match self.state().broken_off() {
            Some(partial) if !partial.is_plain_text() => return Err(CannotResume::NotPlainText),
            // The partial answer began with what earlier routes had shown.
            Some(partial) => partial.text(),
            None => self.visibility().continues.clone(),
        };
        match text.trim_end().is_empty() {
            true => Err(CannotResume::Empty),
            false => Ok(ResumePlan { text }),
        }
    }
}
