//! See [`leverframe_fuzz::request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::request(input));
