//! What a client of one dialect carries for a provider of another.
//!
//! A provider may sign its reasoning and want the signature back with the next
//! turn. Where the caller's dialect has a field for a signature, another
//! provider's goes into it under a mark, and is taken out again when the
//! conversation comes back. The others' places:
//!
//! - Gemini's signatures are bytes to its SDKs: what is no signature of its own
//!   is written in base64 like those that are.
//! - Gemini signs calls of tools. Anthropic and Responses sign reasoning only:
//!   an empty thought goes ahead of the call and carries its signature.
//! - Chat Completions signs nothing: the call has an `extra_content`, where
//!   Google has signatures in its likeness of that dialect.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use leverframe_core::model::{Block, Dialect, Extra, Field, Request, Role, Signature, ToolCall};
use serde::{Deserialize, Serialize};

/// What a carried signature begins with. No provider's own does: they are base64
/// of something else.
const MARK: &str = "leverframe.";

/// What comes after the mark where the signature is that of the call that follows.
const AHEAD: &str = "ahead.";

/// The field of a call in Chat Completions that carries its signature.
const EXTRA_CONTENT: &str = "extra_content";

/// How all signatures begin that are carried in base64: nine bytes are twelve letters.
const MARK_IN_BASE64: &str = "bGV2ZXJmcmFt";

/// Google's SDKs read a signature as bytes and write it again, with padding or
/// without and in the alphabet they like.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signature as a client of `dialect` carries it.
pub(super) fn carried(signature: &Signature, dialect: Dialect) -> String {
    let marked = || format!("{MARK}{}.{}", word(signature.dialect), signature.value);
    match (signature.dialect == dialect, dialect) {
        (true, _) => signature.value.clone(),
        (false, Dialect::Gemini) => BASE64.encode(marked()),
        (false, _) => marked(),
    }
}

/// The signature of a call, as the thought ahead of it carries it.
pub(super) fn carried_ahead(signature: &Signature) -> String {
    format!("{MARK}{AHEAD}{}.{}", word(signature.dialect), signature.value)
}

/// What carries the signature of a call in Chat Completions.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ExtraContent {
    google: OfGoogle,
}

#[derive(Debug, Deserialize, Serialize)]
struct OfGoogle {
    thought_signature: String,
}

impl ExtraContent {
    pub(super) fn of(signature: &Signature) -> Self {
        Self { google: OfGoogle { thought_signature: carried(signature, Dialect::OpenAiChat) } }
    }
}

/// Gives every signature in a conversation back to whose it is. Whether there
/// was none of another's, and no reasoning without a signature, which may be:
/// only then does the provider of the caller's dialect understand the request as
/// it was written.
pub fn restore(request: &mut Request) -> bool {
    let mut all_its_own = true;
    // Of a call that is to come.
    let mut ahead = None;
    let mut emptied = Vec::new();
    for (nth, message) in request.messages.iter_mut().enumerate() {
        if message.role != Role::Assistant {
            ahead = None; // its call was never finished
        }
        let was_empty = message.content.is_empty();
        message.content.retain_mut(|block| {
            let signature = match block {
                Block::Text(text) => &mut text.signature,
                Block::Thinking(thinking) => {
                    let value = thinking.signature.as_ref().map(|signature| signature.value.as_str());
                    if let Some(of_call) = value.and_then(own_ahead) {
                        (ahead, all_its_own) = (Some(of_call), false);
                        return false;
                    }
                    all_its_own &= value.is_some_and(|value| !value.is_empty());
                    &mut thinking.signature
                }
                Block::ToolCall(call) => {
                    if let Some(own) = ahead.take().or_else(|| taken_out(call)) {
                        call.signature = Some(own);
                        all_its_own = false;
                    }
                    &mut call.signature
                }
                _ => return true,
            };
            if let Some(own) = signature.as_ref().and_then(|signature| own(&signature.value)) {
                *signature = Some(own);
                all_its_own = false;
            }
            true
        });
        if message.content.is_empty() && !was_empty {
            emptied.push(nth);
        }
    }
    // A thought may have been all there was to a message.
    for nth in emptied.into_iter().rev() {
        request.messages.remove(nth);
    }
    all_its_own
}

fn own(value: &str) -> Option<Signature> {
    let unpacked = value.starts_with(MARK_IN_BASE64).then(|| unpacked(value)).flatten();
    signature(unpacked.as_deref().unwrap_or(value).strip_prefix(MARK)?)
}

/// What was packed for Google's SDKs.
fn unpacked(value: &str) -> Option<String> {
    let standard = value.replace('-', "+").replace('_', "/");
    String::from_utf8(BASE64.decode(standard).ok()?).ok()
}

fn own_ahead(value: &str) -> Option<Signature> {
    signature(value.strip_prefix(MARK)?.strip_prefix(AHEAD)?)
}

fn signature(marked: &str) -> Option<Signature> {
    let (dialect, value) = marked.split_once('.')?;
    let dialect = ALL.into_iter().find(|known| word(*known) == dialect)?;
    Some(Signature { dialect, value: value.to_owned() })
}

/// The signature that a call of Chat Completions carries, which is then no
/// field of it any more: OpenAI does not know it.
fn taken_out(call: &mut ToolCall) -> Option<Signature> {
    let given = call.extra.get(Dialect::OpenAiChat, EXTRA_CONTENT)?;
    let content: ExtraContent = serde_json::from_str(given.as_str()).ok()?;
    let own = own(&content.google.thought_signature)?;
    let is_other = |field: &Field| field.dialect != Dialect::OpenAiChat || field.name != EXTRA_CONTENT;
    let mut rest = Extra::default();
    rest.extend(call.extra.iter().filter(|field| is_other(field)).cloned());
    call.extra = rest;
    Some(own)
}

const ALL: [Dialect; 4] =
    [Dialect::Anthropic, Dialect::Gemini, Dialect::OpenAiChat, Dialect::OpenAiResponses];

fn word(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
        Dialect::OpenAiChat => "openai_chat",
        Dialect::OpenAiResponses => "openai_responses",
    }
}

#[cfg(test)]
mod tests {
    use leverframe_core::model::{Json, Message, Thinking};

    use super::*;

    #[test]
    fn a_signature_comes_back_to_whose_it_is() {
        for of in ALL {
            for carrier in ALL {
                let signature = Signature { dialect: of, value: "c2ln.bmF0dXJl".to_owned() };
                let value = carried(&signature, carrier);
                let thinking = Thinking {
                    signature: Some(Signature { dialect: carrier, value }),
                    ..Thinking::new("hm")
                };
                let message = Message::new(Role::Assistant, vec![Block::Thinking(thinking)]);
                let mut request = Request::new("m").message(message);
                assert_eq!(restore(&mut request), of == carrier);
                let Block::Thinking(thinking) = &request.messages[0].content[0] else { panic!("thinking") };
                assert_eq!(thinking.signature.as_ref(), Some(&signature));
            }
        }
    }

    fn proof() -> Signature {
        Signature { dialect: Dialect::Gemini, value: "c2ln+m/F0dXJl".to_owned() }
    }

    fn called(block: &Block) -> Option<&Signature> {
        let Block::ToolCall(call) = block else { panic!("{block:?}") };
        call.signature.as_ref()
    }

    /// The official Python SDK reads Gemini's signatures as base64 and writes
    /// them in the alphabet of URLs; a mark in front of one made it refuse the
    /// whole answer.
    #[test]
    fn what_a_client_of_geminis_carries_is_base64() {
        let signature = Signature { dialect: Dialect::Anthropic, value: "c2ln~~~???>>>".to_owned() };
        let value = carried(&signature, Dialect::Gemini);
        let bytes = BASE64.decode(&value).expect("base64");
        assert!(bytes.starts_with(MARK.as_bytes()) && value.starts_with(MARK_IN_BASE64));
        let urls = value.replace('+', "-").replace('/', "_");
        for written in [value, urls.trim_end_matches('=').to_owned(), urls] {
            assert_eq!(own(&written), Some(signature.clone()));
        }
        for others in ["bGV2ZXJmcmFtb3RoZXI=", "bGV2ZXJmcmFt?", "", "leverframe.nobody.x"] {
            assert_eq!(own(others), None, "{others}");
        }
    }

    #[test]
    fn a_thought_ahead_gives_its_signature_to_the_call() {
        let ahead = Thinking {
            signature: Some(Signature { dialect: Dialect::Anthropic, value: carried_ahead(&proof()) }),
            ..Thinking::default()
        };
        let call = |id: &str| Block::ToolCall(ToolCall::new(id, "f", "{}"));
        let ahead = Block::Thinking(ahead);
        for messages in [
            vec![Message::new(Role::Assistant, vec![ahead.clone(), call("1"), call("2")])],
            // Items of Responses, each a message of its own.
            vec![
                Message::new(Role::Assistant, vec![ahead]),
                Message::new(Role::Assistant, vec![call("1"), call("2")]),
            ],
        ] {
            let mut request = Request::new("m");
            request.messages = messages;
            assert!(!restore(&mut request));
            let [message] = request.messages.as_slice() else { panic!("{:?}", request.messages) };
            let signatures: Vec<_> = message.content.iter().map(called).collect();
            assert_eq!(signatures, [Some(&proof()), None]);
        }
    }

    /// A stream may break off between the two; the next call is another one.
    #[test]
    fn a_thought_whose_call_never_came_signs_no_other() {
        let ahead = Thinking {
            signature: Some(Signature { dialect: Dialect::Anthropic, value: carried_ahead(&proof()) }),
            ..Thinking::default()
        };
        let call = Block::ToolCall(ToolCall::new("1", "f", "{}"));
        let mut request = Request::new("m");
        request.messages = vec![
            Message::new(Role::Assistant, vec![Block::Thinking(ahead)]),
            Message::new(Role::User, vec![Block::text("go on")]),
            Message::new(Role::Assistant, vec![call]),
            Message::new(Role::User, vec![]),
        ];
        assert!(!restore(&mut request));
        let [user, assistant, empty] = request.messages.as_slice() else { panic!("{:?}", request.messages) };
        assert_eq!((user.role, called(&assistant.content[0])), (Role::User, None));
        assert!(empty.content.is_empty(), "what was empty before is not ours to drop");
    }

    #[test]
    fn a_call_of_chat_completions_carries_its_signature_itself() {
        let field = |json: String| Field {
            dialect: Dialect::OpenAiChat,
            name: EXTRA_CONTENT.to_owned(),
            value: Json::parse(json).expect("JSON"),
        };
        let content = serde_json::to_string(&ExtraContent::of(&proof())).expect("JSON");
        let google = r#"{"google":{"thought_signature":"c2ln"}}"#.to_owned();
        for (content, expected, is_left) in [(content, Some(proof()), false), (google, None, true)] {
            let mut call = ToolCall::new("1", "f", "{}");
            call.extra.set(field(content));
            let mut request =
                Request::new("m").message(Message::new(Role::Assistant, vec![Block::ToolCall(call)]));
            assert_eq!(restore(&mut request), is_left, "of a server in Google's likeness");
            let Block::ToolCall(call) = &request.messages[0].content[0] else { panic!("a call") };
            assert_eq!((call.signature.clone(), !call.extra.is_empty()), (expected, is_left));
        }
    }
}
