//! See [`leverframe_fuzz::error`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::error(input));
