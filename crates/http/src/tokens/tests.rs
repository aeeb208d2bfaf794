use leverframe_core::model::{Message, StreamEvent};
use proptest::prelude::*;

use super::*;

fn rough(text: &str) -> u64 {
    Estimator::new(Family::OpenAi, "some-model").text(text)
}

#[test]
fn each_script_has_its_price() {
    // Exact counts of o200k_base beside.
    for (text, exact) in [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("fn main() { println!(\"{}\", 42); }", 13),
        ("人人生而自由，在尊严和权利上一律平等。", 17),
        ("Все люди рождаются свободными и равными", 8),
        ("1234567890", 4),
    ] {
        let estimate = rough(text);
        assert!(estimate <= exact * 3 / 2 + 2 && exact <= estimate * 3 / 2 + 2, "{text}: {estimate}");
    }
}

#[test]
fn a_wall_of_anything_is_not_free() {
    for piece in ["a", "A", "7", " ", "\n", "\t", "!", "é", "\u{301}", "\u{200d}", "字", "😀", "\u{e000}"]
    {
        let wall = piece.repeat(10_000);
        assert!(rough(&wall) >= 300, "{piece:?}: {}", rough(&wall));
        assert!(rough(&wall) <= 40_000, "{piece:?}");
    }
}

#[test]
fn a_broken_answer_is_estimated_and_marked_so() {
    let request = Request::new("m").user("Hello there");
    let estimator = Estimator::new(Family::Anthropic, "m");
    let text = |text: &'static str| StreamEvent::TextDelta { index: 0, text: text.into() };
    let fold = |events: Vec<StreamEvent>| {
        let mut partial = Partial::new();
        events.into_iter().for_each(|event| partial.push(event));
        estimator.usage(&request, &partial)
    };
    let long = "A long answer that goes on for quite a while before it breaks off.";

    let usage = fold(vec![text(long)]);
    assert_eq!(usage.input, Tokens::Estimated(estimator.input(&request)));
    assert_eq!(usage.output, Tokens::Estimated(estimator.text(long)));
    assert_eq!(usage.reasoning, Tokens::Unknown);

    // Anthropic reports the input at once, and of the output a placeholder.
    let early = Usage { input: Tokens::Reported(9), output: Tokens::Reported(1), ..Usage::default() };
    let usage = fold(vec![StreamEvent::Usage(early), text(long)]);
    assert_eq!((usage.input, usage.output), (Tokens::Reported(9), Tokens::Estimated(estimator.text(long))));

    let thinking = StreamEvent::ThinkingDelta { index: 1, text: long.into() };
    let usage = fold(vec![StreamEvent::Usage(early), thinking, text("Yes.")]);
    assert_eq!(usage.reasoning, Tokens::Estimated(estimator.text(long)));

    // What is reported of a whole answer is not second-guessed.
    let usage = fold(vec![text(long), StreamEvent::Usage(early), StreamEvent::End]);
    assert_eq!(usage, early);
    // A whole answer without usage is estimated as well.
    let usage = fold(vec![text(long), StreamEvent::End]);
    assert_eq!(usage.output, Tokens::Estimated(estimator.text(long)));
}

#[test]
fn names_point_to_families() {
    for (name, family) in [
        ("claude-sonnet-5", Family::Anthropic),
        ("claude/claude-sonnet-5", Family::Anthropic),
        ("google/gemini-3.6-flash", Family::Google),
        ("gemma-3-27b-it", Family::Google),
        ("gpt-5.5", Family::OpenAi),
        ("llama-3.3", Family::OpenAi),
        ("", Family::OpenAi),
    ] {
        assert_eq!(family_of(name), family, "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_has_an_estimate_within_its_bytes(text in any::<String>()) {
        for family in [Family::Anthropic, Family::Google, Family::OpenAi] {
            let estimate = Estimator::new(family, "m").text(&text);
            prop_assert!(estimate <= 2 * text.len() as u64 + 1);
            prop_assert!(text.trim().is_empty() || estimate > 0);
        }
    }

    #[test]
    fn more_is_never_less(texts in prop::collection::vec(any::<String>(), 0..5)) {
        let estimator = Estimator::new(Family::Google, "m");
        let mut request = Request::new("m");
        let mut before = 0;
        for text in texts {
            request.messages.push(Message::user(text));
            let now = estimator.input(&request);
            prop_assert!(now >= before);
            before = now;
        }
    }
}
