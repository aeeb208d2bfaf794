//! What the scenes play on: an emulator, a router that knows nothing of it,
//! and a log.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use leverframe_emulator::{Emulator, Provider as Fake};
use leverframe_router::{
    Backoff, BreakerConfig, Error, Provider, Record, Request, RetryPolicy, Router, StreamEvent, store::Log,
};

use crate::{
    chain,
    show::{self, Problem},
};

/// How long the breaker of a dead provider stays open here.
pub(super) const OPEN_FOR: Duration = Duration::from_millis(800);

pub(super) struct Stage {
    pub(super) emulator: Emulator,
    pub(super) router: Router,
    log: Arc<Log>,
}

impl Stage {
    pub(super) async fn set(log: Arc<Log>) -> Result<Self, Problem> {
        let emulator = Emulator::start().await.map_err(|error| chain(&error))?;
        let delays = Backoff::new(Duration::from_millis(60), Duration::from_millis(400));
        let router = Router::builder()
            .provider(Provider::anthropic("emulated").base_url(emulator.base_url(Fake::Anthropic)))
            .provider(Provider::gemini("emulated").base_url(emulator.base_url(Fake::Gemini)))
            .provider(
                Provider::openai("emulated").base_url(format!("{}/v1", emulator.base_url(Fake::OpenAi))),
            )
            .retry(RetryPolicy { backoff: delays.map_err(|error| chain(&error))?, ..RetryPolicy::default() })
            .breaker(BreakerConfig {
                consecutive_failures: 3,
                open_for: OPEN_FOR,
                ..BreakerConfig::default()
            })
            .log(Arc::clone(&log))
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { emulator, router, log })
    }

    /// Tells a question's answer as it comes and what became of the attempts.
    pub(super) async fn ask(&self, model: &str, question: &str) -> Result<Arc<Record>, Error> {
        show::speaker("you");
        show::token(question);
        show::end_line();
        let told = tell(&self.router, Request::new(model).user(question)).await;
        match &told {
            Ok(record) => show::attempts(&record.attempts),
            Err(error) => show::attempts(error.attempts()),
        }
        told
    }

    /// Stops the emulator and hands the log back.
    pub(super) async fn strike(self) -> Arc<Log> {
        drop(self.router);
        self.emulator.shutdown().await;
        self.log
    }
}

/// Prints an answer token by token.
pub(super) async fn tell(router: &Router, request: Request) -> Result<Arc<Record>, Error> {
    let mut stream = router.stream(request).await?;
    let speaker = stream.route().map(|route| route.model.clone()).unwrap_or_default();
    show::speaker(&speaker);
    while let Some(event) = stream.next().await {
        match event {
            Ok(StreamEvent::TextDelta { text, .. }) => show::token(&text),
            Ok(_) => {}
            Err(error) => {
                show::end_line();
                return Err(error);
            }
        }
    }
    show::end_line();
    stream.collect().await.map(|answer| Arc::clone(answer.record()))
}
