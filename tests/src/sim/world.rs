//! A router and the providers around it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leverframe_router::{BreakerState, Builder, Router};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    Arrivals, Call, Counts, Latency, Load, Report,
    clock::WorldClock,
    ledger::{Departures, Watch},
    load::Caller,
    provider::{Internet, Scripted},
    report::MAX_PROVIDERS,
    script::Script,
};

/// How long calls may go on after the last that came: more than any call may take.
pub const PATIENCE: Duration = Duration::from_secs(900);

/// A router, the providers it talks to, and who watches both.
#[derive(Debug)]
pub struct World {
    /// What is tested.
    pub router: Router,
    providers: Vec<Arc<Scripted>>,
    names: Arc<[String]>,
    watch: Arc<Watch>,
    departures: Arc<Departures>,
    numbers: Arc<AtomicU64>,
    seed: u64,
    born: Instant,
}

impl World {
    /// These providers, which fall back in this order, and a router with its
    /// own defaults but for what `change` changes.
    ///
    /// # Panics
    /// When there are too many providers or the router cannot be built.
    pub fn new(seed: u64, scripts: Vec<Script>, change: impl FnOnce(Builder) -> Builder) -> Self {
        assert!(scripts.len() <= MAX_PROVIDERS, "{} are too many providers", scripts.len());
        let (born, departures) = (Instant::now(), Arc::<Departures>::default());
        let names: Arc<[String]> = scripts.iter().map(|script| script.name.to_owned()).collect();
        let watch = Arc::new(Watch::new(Arc::clone(&names)));
        let mut seeds = fastrand::Rng::with_seed(seed);
        let mut builder = Router::builder().seed(seeds.u64(..)).recorder(Arc::clone(&watch) as _);
        builder = builder.clock(Arc::new(WorldClock(born)));
        let mut providers = Vec::with_capacity(scripts.len());
        for script in scripts {
            builder = builder.provider(script.provider.clone());
            providers.push(Arc::new(Scripted::new(script, seeds.u64(..), born, Arc::clone(&departures))));
        }
        let builder = builder.carrier(Arc::new(Internet(providers.clone())));
        let router = change(builder).build().expect("a valid configuration");
        Self { router, providers, names, watch, departures, numbers: Arc::default(), seed, born }
    }

    /// Plays some traffic to its end and waits for all answers.
    ///
    /// # Panics
    /// When calls go on for more than [`PATIENCE`] after the last that came.
    pub async fn run(&self, load: Load) -> Report {
        #[expect(clippy::disallowed_methods, reason = "says how long the simulation took, and no more")]
        let real = std::time::Instant::now();
        let before = self.numbers.load(Ordering::Relaxed);
        let mut rng = fastrand::Rng::with_seed(self.seed.wrapping_add(before));
        let (arrivals, until) = (load.arrivals, Instant::now() + load.lasts);
        let caller = Caller {
            router: self.router.clone(),
            load: Arc::new(load),
            names: Arc::clone(&self.names),
            watch: Arc::clone(&self.watch),
            departures: Arc::clone(&self.departures),
            numbers: Arc::clone(&self.numbers),
            born: self.born,
        };
        let calling = async {
            match arrivals {
                Arrivals::Closed { callers, think } => {
                    closed_loop(&caller, callers, think, until, &mut rng).await
                }
                Arrivals::Steady { .. } | Arrivals::Poisson { .. } => {
                    open_loop(&caller, arrivals, until, &mut rng).await
                }
            }
        };
        // Virtual time would go on for ever with a call that does not end.
        let mut calls = timeout_at(until + PATIENCE, calling).await.expect("every call ends");
        // Tasks end in no particular order.
        calls.sort_by_key(|call| call.at);
        Report {
            calls,
            providers: self.names.iter().cloned().zip(self.providers.iter().map(|p| p.counts())).collect(),
            virtual_time: self.born.elapsed(),
            real_time: real.elapsed(),
        }
    }

    /// What a provider has seen.
    ///
    /// # Panics
    /// For a provider that is not there.
    pub fn counts(&self, name: &str) -> Counts {
        self.find(name).counts()
    }

    /// Where a provider's breaker stands for the model it is asked for.
    ///
    /// # Panics
    /// For a provider that is not there.
    pub fn breaker(&self, name: &str) -> BreakerState {
        let model = self.find(name).script.model;
        self.router.breaker_state(name, model).expect("every provider is configured")
    }

    /// Time since the beginning.
    pub fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// What must hold whenever nobody is asking: no exchange is open, none
    /// was begun for a caller who had left, nothing is held on any route, every
    /// call handed in one record whose journal replays, and the records say
    /// what the providers saw.
    ///
    /// # Panics
    /// When it does not.
    pub fn settle(&self) {
        assert_eq!(self.watch.records(), self.numbers.load(Ordering::Relaxed), "one record for each call");
        assert_eq!(self.watch.illegal(), 0, "journals that do not replay to an end");
        for route in self.router.routes() {
            assert_eq!(route.in_flight, 0, "{}: requests under way", route.provider);
        }
        for (provider, sent) in self.providers.iter().zip(self.watch.sent()) {
            let (name, counts) = (provider.script.name, provider.counts());
            assert_eq!(counts.open, 0, "{name}: exchanges are open");
            assert_eq!(counts.too_late, 0, "{name}: requests came after their callers had left");
            assert_eq!(sent, counts.arrivals.len() as u64, "{name}: recorded and seen");
            let dropped = counts.cancelled + counts.abandoned.len() as u64;
            let over = counts.answered + counts.refused + counts.failed + dropped;
            assert_eq!(sent, over, "{name}: begun and over");
        }
    }

    fn find(&self, name: &str) -> &Arc<Scripted> {
        self.providers.iter().find(|p| p.script.name == name).expect("one of the providers")
    }
}

/// Callers that wait for their answers.
async fn closed_loop(
    caller: &Caller,
    callers: usize,
    think: Latency,
    until: Instant,
    rng: &mut fastrand::Rng,
) -> Vec<Call> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (caller, rng) = (caller.clone(), rng.fork());
        tasks.spawn(async move { caller.on_and_on(rng, think, until).await });
    }
    tasks.join_all().await.concat()
}

/// Calls arrive whatever becomes of the earlier ones.
async fn open_loop(
    caller: &Caller,
    arrivals: Arrivals,
    until: Instant,
    rng: &mut fastrand::Rng,
) -> Vec<Call> {
    let (mut tasks, mut calls) = (JoinSet::new(), Vec::new());
    let mut next = Instant::now();
    while let Some(gap) = arrivals.gap(rng) {
        next += gap;
        if next > until {
            break;
        }
        sleep_until(next).await;
        let (caller, rng) = (caller.clone(), rng.fork());
        tasks.spawn(async move { caller.once(rng).await });
        while let Some(done) = tasks.try_join_next() {
            calls.push(done.expect("a call does not panic"));
        }
    }
    calls.extend(tasks.join_all().await);
    calls
}
