//! placeholder: every header and body field that says when to come back
