//! Taking up a configuration that changed, without a pause.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::out::eprintln;
use leverframe_gateway::{
    config::{Built, Config, ConfigError},
    metrics::Metrics,
    server::{Door, Handle},
};
use leverframe_router::{Memory, Router, store::Log};

use crate::{chain, show::Problem};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a router is made with, beside the configuration.
pub(crate) struct Parts {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log: Option<Arc<Log>>,
}

impl Parts {
    /// The router and the door of a configuration. The guards begin with `memory`,
    /// if there is one, else with what is in the log.
    pub(crate) fn make(&self, built: Built, memory: Option<Memory>) -> Result<(Router, Door), Problem> {
        let mut builder = built.builder.observer(Arc::clone(&self.metrics) as _);
        if let Some(log) = &self.log {
            builder = builder.log(Arc::clone(log));
        }
        if let Some(memory) = memory {
            builder = builder.memory(memory);
        }
        Ok((builder.build().map_err(|error| chain(&error))?, built.door))
    }
}

/// Watches a file, and on SIGHUP or when it changes puts what it describes in
/// the place of what runs. A file that is wrong changes nothing and is told of.
pub(crate) async fn watch(
    file: PathBuf,
    build: impl Fn(&Config) -> Result<Built, ConfigError>,
    parts: Parts,
    (handle, mut router): (Handle, Router),
) {
    let mut asked = Asked::new();
    let mut seen = changed_at(&file);
    loop {
        let hurry = asked.within(LOOK).await;
        let now = changed_at(&file);
        if !hurry && (now == seen || now.is_none()) {
            continue;
        }
        seen = now;
        let made = Config::read(&file)
            .and_then(|config| build(&config))
            .map_err(|error| Problem(error.to_string()))
            .and_then(|built| {
                let (admin, tls) = (built.admin.clone(), built.tls.clone());
                parts.make(built, Some(router.memory())).map(|made| (made, admin, tls))
            });
        let taken = made.and_then(|((new, door), admin, tls)| {
            handle.reload(new.clone(), door).map_err(|error| chain(&error))?;
            handle.administer(admin);
            if !handle.renew(tls) {
                eprintln!("leverframe: whether clients are spoken to over TLS is settled at the start; start it anew.");
            }
            router = new;
            Ok(())
        });
        match taken {
            Ok(()) => eprintln!("{} is in force; limits and breakers are as they were.", file.display()),
            Err(problem) => eprintln!("leverframe: {problem}\nleverframe goes on as it was."),
        }
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// Whether somebody asked for a reload.
struct Asked {
    #[cfg(unix)]
    hangups: Option<tokio::signal::unix::Signal>,
}

impl Asked {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            hangups: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    /// Waits that long, or until somebody asks. Whether somebody did.
    async fn within(&mut self, time: Duration) -> bool {
        #[cfg(unix)]
        if let Some(hangups) = &mut self.hangups {
            return tokio::time::timeout(time, hangups.recv()).await.is_ok();
        }
        tokio::time::sleep(time).await;
        false
    }
}
