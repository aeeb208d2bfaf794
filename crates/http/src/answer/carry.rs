//! What a client of one dialect carries for a provider of another.
//!
//! A provider may sign its reasoning and want the signature back with the next
//! turn. Where the caller's dialect has a field for a signature, another
//! provider's goes into it under a mark, and is taken out again when the
//! conversation comes back.

use leverframe_core::model::{Block, Dialect, Request, Signature};

/// What a carried signature begins with. No provider's own does: they are base64.
const MARK: &str = "leverframe.";

/// A signature as a client of `dialect` carries it.
pub(super) fn carried(signature: &Signature, dialect: Dialect) -> String {
    match signature.dialect == dialect {
        true => signature.value.clone(),
        false => format!("{MARK}{}.{}", word(signature.dialect), signature.value),
    }
}

/// Gives every signature in a conversation back to whose it is. Whether there
/// was none of another's, and no reasoning without a signature, which may be:
/// only then does the provider of the caller's dialect understand the request as
/// it was written.
pub fn restore(request: &mut Request) -> bool {
    let mut all_its_own = true;
    for block in request.messages.iter_mut().flat_map(|message| &mut message.content) {
        let signature = match block {
            Block::Text(text) => &mut text.signature,
            Block::Thinking(thinking) => {
                let signed = thinking.signature.as_ref().is_some_and(|signature| !signature.value.is_empty());
                all_its_own &= signed;
                &mut thinking.signature
            }
            Block::ToolCall(call) => &mut call.signature,
            _ => continue,
        };
        if let Some(own) = signature.as_ref().and_then(|signature| own(&signature.value)) {
            *signature = Some(own);
            all_its_own = false;
        }
    }
    all_its_own
}

fn own(value: &str) -> Option<Signature> {
    let (dialect, value) = value.strip_prefix(MARK)?.split_once('.')?;
    let dialect = ALL.into_iter().find(|known| word(*known) == dialect)?;
    Some(Signature { dialect, value: value.to_owned() })
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
    use leverframe_core::model::{Message, Role, Thinking};

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
}
