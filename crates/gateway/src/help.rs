//! What `--help` says beside the options: examples, and what the exit code means.

pub(crate) const ALL: &str = r#"Examples:
  See what this does, without a key or a network:
    leverframe demo

  The same first scene against the real providers:
    ANTHROPIC_API_KEY=... leverframe demo --real --prompt 'Why is the sky blue?'

  Point any OpenAI, Anthropic or Google SDK at it:
    leverframe serve --emulated
    curl http://127.0.0.1:4141/v1/chat/completions -d '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}'

  Keep the demo's log and look at it afterwards:
    leverframe demo --log demo.redb
    leverframe logs demo.redb

  Something does not work:
    leverframe doctor

Exit codes:
  0  done
  1  it failed; standard error says why and what to do
  2  the command line is wrong
  130  stopped by Ctrl-C"#;

pub(crate) const DEMO: &str = r#"Examples:
  leverframe demo
  leverframe demo --log demo.redb && leverframe stats demo.redb
  ANTHROPIC_API_KEY=... leverframe demo --real --prompt 'Why is the sky blue?'"#;

pub(crate) const SERVE: &str = r#"Examples:
  leverframe serve --emulated
  leverframe serve --config leverframe.toml --log /var/lib/leverframe/log.redb

Ctrl-C or SIGTERM lets what is under way end; SIGHUP takes up a changed configuration."#;

pub(crate) const CONFIG: &str = r#"Examples:
  leverframe config init
  leverframe config check leverframe.toml && kill -HUP "$(pidof leverframe)"
  leverframe config show"#;

pub(crate) const KEYS: &str = r#"Examples:
  leverframe keys new team-a > team-a.key
  leverframe keys new --admin

The key goes to standard output, the lines for the configuration to standard error."#;

pub(crate) const CHAT: &str = r#"Examples:
  leverframe chat --emulated                       a conversation; Ctrl-D ends it
  leverframe chat 'Why is the sky blue?'
  git diff | leverframe chat --system 'Write a commit message for this.' --model claude/claude-haiku-4-5
  leverframe chat --explain 'Hello' 2> why.txt     the answer on standard output, the reasons on standard error

In a conversation Ctrl-C stops the answer under way, not the program."#;

pub(crate) const LOGS: &str = r#"Examples:
  leverframe logs --follow --state failed
  leverframe logs --since 24h --provider claude --limit 100
  leverframe logs --json | jq 'select(.attempts | length > 1) | .id'"#;

pub(crate) const STATS: &str = r#"Examples:
  leverframe stats
  leverframe stats --by user --since 7d"#;

pub(crate) const EXPLAIN: &str = r#"Examples:
  leverframe explain 0199f3a0-6f5e-7cc1-a2b5-0d8d1b1f4a11
  leverframe explain 0199f3a0-6f5e-7cc1-a2b5-0d8d1b1f4a11 demo.redb"#;

pub(crate) const EXPORT: &str = r#"Examples:
  leverframe export > requests.csv
  leverframe export --lines attempts --format jsonl --since 7d | gzip > attempts.jsonl.gz"#;

pub(crate) const DOCTOR: &str = r#"Examples:
  leverframe doctor
  leverframe doctor --config leverframe.toml --json | jq '.checks[] | select(.state == "failed")'
  leverframe doctor --emulated

Asks each provider for its list of models, which costs nothing. No key is shown.
Exit codes: 0 all is well, or only worth a look; 1 something failed; 2 the command line is wrong."#;

pub(crate) const PROVIDERS: &str = r#"Examples:
  leverframe providers                             as a gateway's log last had it
  leverframe providers --json | jq '.providers[] | select(.healthy | not) | .name'
  LEVERFRAME_ADMIN_KEY=lf-... leverframe providers --url http://127.0.0.1:4141

--url needs the key of [admin] in the gateway's configuration: leverframe keys new --admin"#;

pub(crate) const COMPLETIONS: &str = r#"Examples:
  leverframe completions bash > ~/.local/share/bash-completion/completions/leverframe
  leverframe completions zsh > ~/.zfunc/_leverframe"#;
