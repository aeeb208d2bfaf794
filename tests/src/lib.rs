//! Support for the tests beside this file.
