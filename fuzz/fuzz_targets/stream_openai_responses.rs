//! See [`leverframe_fuzz::stream_openai_responses`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::stream_openai_responses(input));
