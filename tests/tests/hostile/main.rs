//! Hostile input from both sides of the gateway, over real sockets: clients
//! that are slow, silent, too large or wrong, and providers that never end,
//! break off or lie.
//!
//! Whatever comes, three things hold: memory stays within bounds, whoever can
//! be answered is told one clear error in their dialect, and the next request
//! is answered as if nothing had been.
//!
//! Every server runs in this process, so the tests run one at a time, and
//! measure the most bytes that were allocated meanwhile, by either side. What
//! the system holds for sockets is not among them; see
//! [`Settings::send_buffer`](leverframe_gateway::server::Settings::send_buffer).
//!
//! Floods are of a few hundred connections, so that all takes seconds.
//! `HOSTILE_FULL=1` (`make hostile`) makes it thousands, as many as the limit
//! of open files has room for.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

mod bodies;
mod clients;
mod framing;
mod http2;
mod providers;
mod streams;
mod support;
