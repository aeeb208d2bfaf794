//! See [`leverframe_fuzz::sse`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::sse(input));
