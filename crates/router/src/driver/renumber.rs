//! The blocks of an answer that goes on with another one's text.

use leverframe_core::model::StreamEvent;

/// Numbers the blocks of an answer so that its first text goes on with the one
/// the caller has, block 0, and everything else is new.
///
/// The route that goes on counts its blocks from 0 again, and may think before
/// it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Renumber {
    /// Whether there is a text to go on with.
    goes_on: bool,
    /// The block that goes on with it, once it has come.
    text: Option<u32>,
}

impl Renumber {
    pub(super) fn new(goes_on: bool) -> Self {
        Self { goes_on, text: None }
    }

    /// Gives the event's block its number.
    pub(crate) fn apply(&mut self, event: &mut StreamEvent) {
        if !self.goes_on {
            return;
        }
        if let StreamEvent::TextDelta { index, .. } = event {
            self.text.get_or_insert(*index);
        }
        let text = self.text;
        if let Some(index) = event.index_mut() {
            *index = if text == Some(*index) { 0 } else { index.saturating_add(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_goes_on_and_the_rest_is_new() {
        let mut renumber = Renumber::new(true);
        let mut numbers = Vec::new();
        for mut event in [
            StreamEvent::ThinkingDelta { index: 0, text: "hm".into() },
            StreamEvent::TextDelta { index: 1, text: "a".into() },
            StreamEvent::TextDelta { index: 1, text: "b".into() },
            StreamEvent::BlockEnd { index: 1 },
            StreamEvent::TextDelta { index: 2, text: "c".into() },
        ] {
            renumber.apply(&mut event);
            numbers.push(*event.index_mut().expect("a block"));
        }
        assert_eq!(numbers, [1, 0, 0, 0, 3]);
    }

    #[test]
    fn an_answer_of_its_own_keeps_its_numbers() {
        let mut event = StreamEvent::BlockEnd { index: 7 };
        Renumber::new(false).apply(&mut event);
        assert_eq!(event, StreamEvent::BlockEnd { index: 7 });
    }
}
