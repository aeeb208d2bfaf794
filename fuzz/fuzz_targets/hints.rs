//! See [`leverframe_fuzz::hints`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leverframe_fuzz::hints(input));
