//! What a client of one dialect carries for a provider of another.
//!
//! A provider may sign its reasoning and want the signature back with the next
//! turn. Where the caller's dialect has a field for a signature, another
//! provider's goes into it under a mark, and is taken out again when the
//! conversation comes back.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use leverframe_core::model::{Block, Dialect, Request, Signature};

/// What a carried signature begins with. No provider's own does: they are base64
/// of something else.
const MARK: &str = "leverframe.";

/// How the mark begins in base64.
const PACKED: &str = "bGV2ZXJmcmFt";

/// Google's SDKs read a signature as bytes and write it again, with padding or
/// without and in the alphabet they like.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signature as a client of `dialect` carries it.
pub(super) fn carried(signature: &Signature, dialect: Dialect) -> String {
    if signature.dialect == dialect {
        return signature.value.clone();
    }
    let marked = format!("{MARK}{}.{}", word(signature.dialect), signature.value);
    match dialect {
        Dialect::Gemini => BASE64.encode(marked),
        _ => marked,
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
    let unpacked = value.starts_with(PACKED).then(|| unpacked(value)).flatten();
    let (dialect, value) = unpacked.as_deref().unwrap_or(value).strip_prefix(MARK)?.split_once('.')?;
    let dialect = ALL.into_iter().find(|known| word(*known) == dialect)?;
    Some(Signature { dialect, value: value.to_owned() })
}

/// What was packed for Google's SDKs.
fn unpacked(value: &str) -> Option<String> {
    let standard = value.replace('-', "+").replace('_', "/");
    String::from_utf8(BASE64.decode(standard).ok()?).ok()
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
    use base64::engine::general_purpose::URL_SAFE as BASE64_URL;
    use leverframe_core::model::{Message, Role, Thinking};

    use super::*;

    #[test]
    fn a_signature_comes_back_to_whose_it_is() {
        for of in ALL {
            for carrier in ALL {
                let signature = Signature { dialect: of, value: "c2ln.bmF0dXJl+/8\u{fc}?~".to_owned() };
                let mut value = carried(&signature, carrier);
                if carrier == Dialect::Gemini && of != carrier {
                    // As Google's SDK for Python gives it back.
                    value = BASE64_URL.encode(BASE64.decode(&value).expect("bytes, to them"));
                }
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
