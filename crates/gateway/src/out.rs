//! Standard output and standard error, either of which may be closed.
//!
//! `leverframe logs | head` is no error: once a reader has gone away, what would
//! be written to it is dropped, and a command that would go on for ever asks
//! [`closed`]. Colours are for terminals only; `anstream` sees to that.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether the reader of standard output has gone away.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads standard output any more.
pub(crate) fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Writes to standard output, at once.
pub(crate) fn write(text: Arguments<'_>) {
    if closed() {
        return;
    }
    let mut out = anstream::stdout().lock();
    let written = out.write_fmt(text).and_then(|()| out.flush());
    note(written.err().map(|error| error.kind()));
}

/// Writes bytes to standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    note(written.err().map(|error| error.kind()));
}

/// Writes to standard error. If nobody reads that, there is nobody to tell.
pub(crate) fn tell(text: Arguments<'_>) {
    let _ = anstream::stderr().lock().write_fmt(text);
}

/// A full disk is as much an end as a closed pipe, but one to tell of.
fn note(error: Option<ErrorKind>) {
    let Some(kind) = error else { return };
    CLOSED.store(true, Ordering::Relaxed);
    if kind != ErrorKind::BrokenPipe {
        tell(format_args!("leverframe: cannot write to standard output: {kind}\n"));
    }
}

macro_rules! print_out {
    ($($text:tt)*) => { $crate::out::write(format_args!($($text)*)) };
}

macro_rules! print_line {
    () => { $crate::out::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! tell_line {
    () => { $crate::out::tell(format_args!("\n")) };
    ($($text:tt)*) => { $crate::out::tell(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {print_line as println, print_out as print, tell_line as eprintln};
