//! See [`leverframe_fuzz::response`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::response(input));
