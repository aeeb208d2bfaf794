//! What each class of characters costs, per family of models.

use leverframe_core::model::Family;

use super::classes::Classes;

/// Hundredths of a token for each of a text's [`Classes`].
///
/// The figures are least-squares fits, rounded, of the exact `o200k_base`
/// counts of some 1500 pieces of 200 to 1500 characters: prose in 35
/// languages and 14 scripts, documentation, source code, configuration, JSON,
/// base64, hexadecimal, numbers, emoji. No text of the tests is among them.
#[derive(Clone, Copy, Debug)]
struct Rates {
    words: u64,
    long: u64,
    capitals: u64,
    marked: u64,
    groups: u64,
    digits: u64,
    points: u64,
    more_points: u64,
    breaks: u64,
    indents: u64,
    gaps: u64,
    foreign_words: u64,
    cyrillic: u64,
    foreign: u64,
    indic: u64,
    han: u64,
    kana: u64,
    hangul: u64,
    symbols: u64,
}

const OPENAI: Rates = Rates {
    words: 90,
    long: 50,
    capitals: 30,
    marked: 70,
    groups: 130,
    digits: 0,
    points: 70,
    more_points: 10,
    breaks: 10,
    indents: 100,
    gaps: 100,
    foreign_words: 40,
    cyrillic: 30,
    foreign: 30,
    indic: 40,
    han: 90,
    kana: 70,
    hangul: 75,
    symbols: 170,
};

/// Gemini's vocabulary is larger, but has no numbers: each digit is a token
/// (Gemma's tokenizer, which is Gemini's).
const GOOGLE: Rates = Rates { groups: 0, digits: 100, indents: 60, ..OPENAI };

impl Rates {
    fn hundredths(&self, classes: &Classes) -> u64 {
        [
            (self.words, classes.words),
            (self.long, classes.long),
            (self.capitals, classes.capitals),
            (self.marked, classes.marked),
            (self.groups, classes.groups),
            (self.digits, classes.digits),
            (self.points, classes.points),
            (self.more_points, classes.more_points),
            (self.breaks, classes.breaks),
            (self.indents, classes.indents),
            (self.gaps, classes.gaps),
            (self.foreign_words, classes.foreign_words),
            (self.cyrillic, classes.cyrillic),
            (self.foreign, classes.foreign),
            (self.indic, classes.indic),
            (self.han, classes.han),
            (self.kana, classes.kana),
            (self.hangul, classes.hangul),
            (self.symbols, classes.symbols),
        ]
        .into_iter()
        .fold(0, |sum: u64, (rate, count)| sum.saturating_add(rate.saturating_mul(count)))
    }
}

/// How many hundredths of a token a text of these classes has.
pub(super) fn hundredths(family: Family, classes: &Classes) -> u64 {
    match family {
        Family::OpenAi => OPENAI.hundredths(classes),
        Family::Google => GOOGLE.hundredths(classes),
        // Claude's vocabulary is smaller.
        Family::Anthropic => OPENAI.hundredths(classes).saturating_mul(CLAUDE) / 100,
    }
}

/// Tokens of Claude for every hundred of OpenAI's.
const CLAUDE: u64 = 115;

/// What the providers put around what is said, in tokens.
///
/// Rounded from recorded usage, and where they are documented (Anthropic: tool
/// use, overview; OpenAI: cookbook on counting tokens), from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Around the whole request.
    pub(super) request: u64,
    /// Around a message, and around a system prompt.
    pub(super) message: u64,
    /// Instructions on how to think, if it is to.
    pub(super) thinking: u64,
    /// Instructions on how to use tools, if there are any.
    pub(super) tools: u64,
    /// Around a tool's definition.
    pub(super) tool: u64,
    /// Around a tool call, and around its result.
    pub(super) call: u64,
    /// How the schemas of tools are shown to the model.
    pub(super) schemas: Schemas,
    /// Around the schema of the answer, and how many hundredths of its tokens
    /// as JSON the model is shown; `None` where it is not shown it.
    pub(super) output: Option<(u64, u64)>,
}

/// How a schema is shown to the model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schemas {
    /// As JSON.
    Json,
    /// As a type: names, types, descriptions.
    Types,
}

pub(super) fn frame(family: Family, model: &str) -> Frame {
    match family {
        Family::OpenAi => Frame {
            request: 3,
            message: 4,
            thinking: 0,
            tools: 12,
            tool: 8,
            call: 4,
            schemas: Schemas::Types,
            output: Some((8, 60)),
        },
        Family::Google => Frame {
            request: 1,
            message: 1,
            thinking: 0,
            tools: 0,
            tool: 10,
            call: 4,
            schemas: Schemas::Types,
            output: None,
        },
        Family::Anthropic => Frame {
            request: 4,
            message: 3,
            thinking: 28,
            tools: if is_before_claude_4_5(model) { 310 } else { 480 },
            tool: 20,
            call: 20,
            schemas: Schemas::Json,
            output: Some((150, 100)),
        },
    }
}

/// Claude's instructions on tools have become longer once.
fn is_before_claude_4_5(model: &str) -> bool {
    const NAMES: [&str; 7] = [
        "claude-2",
        "claude-3",
        "claude-sonnet-4-0",
        "claude-sonnet-4-2025",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-2025",
    ];
    let name = model.rsplit('/').next().unwrap_or(model);
    NAMES.iter().any(|older| name.starts_with(older))
}
