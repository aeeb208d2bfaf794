//! The real router against scripted providers, in virtual time.
//!
//! A [`World`] has a router and the providers it talks to: no sockets, no
//! threads, no waiting. Time is tokio's paused clock, which jumps to the next
//! timer whenever nothing else can happen, so an hour of traffic takes as long
//! as the work in it. Every world begins at the same instant, and everything
//! random comes from one seed.
//!
//! - A [`Script`] says how a provider behaves ([`Behaviour`]: latencies, faults,
//!   limits) and how that changes over time.
//! - A [`Load`] says who asks: arrivals, streamed or not, who leaves early.
//! - [`World::run`] plays one against the other and returns a [`Report`].
//!
//! The providers write raw JSON and share no code with the codecs. They count
//! by themselves, so that [`World::settle`] can compare what the router says
//! it did with what it did.
//!
//! To be run on a current-thread runtime whose clock is paused; on any other
//! it would run too, in real time and not repeatably.

mod clock;
mod exchange;
mod latency;
mod ledger;
mod limiter;
mod load;
mod provider;
mod report;
mod script;
mod wire;
mod world;

pub use latency::Latency;
pub use limiter::Limit;
pub use load::{Arrivals, Leave, Load};
pub use provider::{Arrival, Counts, Dropped};
pub use report::{Call, Ended, Percentiles, Report};
pub use script::{Behaviour, Fault, Hint, Script, Stragglers};
pub use world::{PATIENCE, World};
