use super::*;

fn build(config: &Config) -> Result<Built, ConfigError> {
    let env = |name: &str| name.ends_with("_API_KEY").then(|| "a-key".to_owned());
    build::build(config, Builder::default(), env)
}

#[test]
fn the_example_is_a_configuration_that_works() {
    let config = Config::parse(EXAMPLE).expect("reads");
    let built = build(&config).expect("builds");
    assert!(built.door.is_open());
    let (file, settings) = built.log.expect("a log");
    assert_eq!((file.to_str(), settings.bodies), (Some("leverframe.redb"), None));
    let router = built.builder.build().expect("a router");
    let routes = router.routes();
    let names: Vec<_> = routes.iter().map(|route| route.provider.as_str()).collect();
    assert!(names.contains(&"claude") && names.contains(&"openai"), "{names:?}");
}

#[test]
fn what_is_commented_out_in_the_example_is_known_too() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") || setting.starts_with('[') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let digest = "ab".repeat(32);
    let mut config = Config::parse(&uncommented.replace("\"...\"", &format!("\"{digest}\""))).expect("reads");
    // Those files are not there.
    (config.gateway.tls_certificate, config.gateway.tls_key) = (None, None);
    assert_eq!((config.providers.len(), config.keys.len()), (3, 1));
    assert!(!build(&config).expect("builds").door.is_open());
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_would_be_right() {
    let cases = [
        ("[gateway]\nlissten = \"127.0.0.1:1\"", ["line 2", "did you mean `listen`?"]),
        ("[[providers]]\nname = \"a\"\nkind = \"antropic\"", ["line 3", "did you mean `anthropic`?"]),
        ("[router]\ntimeout = \"soon\"", ["line 2", "500ms, 10s, 5m"]),
        ("[router]\ntimeout = \"0s\"", ["line 2", "500ms, 10s, 5m"]),
        // It was added to the time of day, in every connection.
        ("[gateway]\nidle_within = \"200000000000h\"", ["line 2", "ten years"]),
        ("[gateway]\nlisten = 7", ["line 2", "listen"]),
        ("[log\n", ["line 1", "]"]),
        ("[[providers]]\nkind = \"openai\"", ["line 1", "name"]),
        ("[router]\npolicy = \"cheap\"", ["line 2", "`cheapest`"]),
    ];
    for (text, says) in cases {
        let error = Config::parse(text).expect_err("is wrong").to_string();
        for said in says {
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_built_is_told_with_its_name() {
    let provider = |more: &str| format!("[[providers]]\nname = \"mine\"\n{more}");
    let cases = [
        (provider("kind = \"openai\""), "mine has no key"),
        (provider("kind = \"openai\"\nkey_env = [\"NOT_SET\"]"), "NOT_SET is not set"),
        (provider("kind = \"openai\"\nkey_file = [\"/no/such/file\"]"), "/no/such/file"),
        (provider("kind = \"openai-compatible\""), "no base_url"),
        (
            provider(
                "kind = \"openai\"\nkey_env = [\"X_API_KEY\"]\n[providers.limits]\ndollars_per_day = -1.0",
            ),
            "dollars_per_day",
        ),
        (
            format!(
                "{}\n[[keys]]\nname = \"team\"\nsha256 = \"abc\"",
                provider("kind = \"openai\"\nkey_env = [\"X_API_KEY\"]")
            ),
            "key team",
        ),
    ];
    for (text, says) in cases {
        let error = build(&Config::parse(&text).expect("reads")).expect_err("cannot be built").to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn no_bytes_make_it_panic() {
    use proptest::prelude::*;
    proptest!(|(text in "[a-z\\[\\]={}\"' \n0-9.#,]{0,200}")| {
        let _ = Config::parse(&text);
    });
}
