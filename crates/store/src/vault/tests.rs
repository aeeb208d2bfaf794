use std::{collections::BTreeMap, time::Duration};

use leverframe_core::{
    guard::LimitKind,
    model::{Dialect, ProviderName},
};
use proptest::prelude::*;

use super::*;
use crate::Log;

fn key(byte: u8) -> MasterKey {
    MasterKey::from_hex(&format!("{byte:02x}").repeat(32)).expect("a key")
}

fn name(name: &str) -> ProviderName {
    ProviderName::new(name).expect("a name")
}

fn config(provider: &str, priority: u32, keys: &[(&str, &str)]) -> ProviderConfig {
    let api_key = |(label, key): &(&str, &str)| ApiKey {
        label: KeyLabel::new(label).expect("a label"),
        key: SecretString::from(*key),
    };
    ProviderConfig {
        settings: ProviderSettings {
            name: name(provider),
            dialect: Dialect::OpenAiChat,
            enabled: priority.is_multiple_of(2),
            priority,
            base_url: Some("https://example.com/v1".to_owned()),
            default_model: None,
            retries: Some(3),
            timeout: Some(Duration::from_millis(1_500)),
            limits: BTreeMap::from([(LimitKind::RequestsPerMinute, 60)]),
            fallbacks: vec![name("another")],
        },
        keys: keys.iter().map(api_key).collect(),
    }
}

fn log() -> (tempfile::TempDir, Log) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::open(folder.path().join("log.redb")).expect("opens");
    (folder, log)
}

/// The row of a provider as it is in the file.
fn row(vault: &Vault, provider: &str) -> Vec<u8> {
    let table = vault.file.begin_read().expect("reads").open_table(schema::PROVIDERS).expect("there");
    table.get(provider).expect("reads").expect("there").value().to_vec()
}

fn put_row(vault: &Vault, provider: &str, row: &[u8]) {
    let put = |transaction: &WriteTransaction| {
        transaction.open_table(schema::PROVIDERS).map_err(write)?.insert(provider, row).map_err(write)?;
        Ok(())
    };
    vault.write(put).expect("written");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else(
        secret in prop::collection::vec(any::<u8>(), 0..200),
        bit: prop::sample::Index,
        byte: u8,
    ) {
        let sealed = key(1).seal(b"here", &secret).expect("sealed");
        let opened = key(1).open(b"here", &sealed).expect("opens");
        prop_assert_eq!(opened.expose_secret(), secret.as_slice());
        prop_assert!(key(1).open(b"there", &sealed).is_none());
        prop_assert!(key(2).open(b"here", &sealed).is_none());
        let mut flipped = sealed.clone();
        flipped[bit.index(sealed.len())] ^= byte.max(1);
        prop_assert!(key(1).open(b"here", &flipped).is_none());
        prop_assert!(key(1).open(b"here", &sealed[..bit.index(sealed.len())]).is_none());
        let again = key(1).seal(b"here", &secret).expect("sealed");
        prop_assert_ne!(again, sealed, "a nonce is used once");
    }

    #[test]
    fn any_bytes_are_a_configuration_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let error = open(&key(1), "x", &bytes).expect_err("no configuration");
        prop_assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    }
}

#[test]
fn configurations_are_kept_and_listed_by_priority() {
    let (_folder, log) = log();
    let vault = log.vault(key(1)).expect("opens");
    let mut first = config("b-first", 1, &[("default", "sk-1"), ("spare", "sk-2")]);
    let (second, third) = (config("a-second", 2, &[("default", "sk-3")]), config("z", 2, &[]));
    [&third, &second, &first].into_iter().for_each(|config| vault.put(config).expect("kept"));
    assert_eq!(vault.list().expect("reads"), [first.clone(), second.clone(), third]);
    first.settings.enabled = true;
    first.keys.pop();
    vault.put(&first).expect("kept");
    assert_eq!(vault.get("b-first").expect("reads"), Some(first));
    assert!(vault.remove("z").expect("removed") && !vault.remove("z").expect("gone before"));
    assert_eq!(vault.get("z").expect("reads"), None);
}

#[test]
fn a_wrong_master_key_is_told_at_once_and_rotation_changes_it() {
    let (_folder, log) = log();
    let mut vault = log.vault(key(1)).expect("opens");
    let configs = [config("a", 1, &[("default", "sk-1")]), config("b", 2, &[("default", "sk-2")])];
    configs.iter().for_each(|config| vault.put(config).expect("kept"));
    assert!(matches!(log.vault(key(2)), Err(VaultError::WrongMasterKey)));
    vault.rotate(key(2)).expect("rotated");
    assert_eq!(vault.list().expect("reads"), configs);
    assert!(matches!(log.vault(key(1)), Err(VaultError::WrongMasterKey)));
    assert_eq!(log.vault(key(2)).expect("opens").list().expect("reads"), configs);
}

#[test]
fn a_rotation_that_fails_changes_nothing() {
    let (_folder, log) = log();
    let mut vault = log.vault(key(1)).expect("opens");
    let good = config("a", 1, &[("default", "sk-1")]);
    vault.put(&good).expect("kept");
    put_row(&vault, "b", b"{}");
    let error = vault.rotate(key(2)).expect_err("b is damaged");
    assert!(matches!(&error, VaultError::Damaged { provider } if provider == "b"), "{error}");
    assert_eq!(vault.get("a").expect("reads"), Some(good.clone()));
    assert_eq!(log.vault(key(1)).expect("still the old key").get("a").expect("reads"), Some(good));
}

#[test]
fn a_key_that_was_moved_or_is_to_be_sent_elsewhere_does_not_open() {
    let (_folder, log) = log();
    let vault = log.vault(key(1)).expect("opens");
    vault.put(&config("a", 1, &[("default", "sk-1")])).expect("kept");
    let of_a = row(&vault, "a");
    put_row(&vault, "b", &of_a);
    assert!(matches!(vault.get("b"), Err(VaultError::Damaged { .. })));
    let renamed = String::from_utf8(of_a).expect("JSON").replace(r#""name":"a""#, r#""name":"b""#);
    put_row(&vault, "b", renamed.as_bytes());
    assert!(matches!(vault.get("b"), Err(VaultError::Damaged { .. })), "sealed for a");
    let relabelled = renamed.replace(r#""label":"default""#, r#""label":"spare""#);
    put_row(&vault, "a", relabelled.replace(r#""name":"b""#, r#""name":"a""#).as_bytes());
    assert!(matches!(vault.get("a"), Err(VaultError::Damaged { .. })), "sealed for another label");
    vault.put(&config("a", 1, &[("default", "sk-1")])).expect("kept");
    let elsewhere = String::from_utf8(row(&vault, "a")).expect("JSON").replace("example.com", "evil.example");
    put_row(&vault, "a", elsewhere.as_bytes());
    assert!(matches!(vault.get("a"), Err(VaultError::Damaged { .. })), "sealed for another address");
}

#[test]
fn no_key_is_in_the_file_or_in_anything_that_is_shown() {
    let (folder, log) = log();
    let canary = "canary-5f1d07";
    let mut vault = log.vault(key(0xab)).expect("opens");
    let config = config("a", 1, &[("default", canary)]);
    vault.put(&config).expect("kept");
    vault.rotate(key(0xcd)).expect("rotated");
    let shown = format!("{vault:?} {config:?} {:?} {:?}", vault.list(), log.vault(key(1)));
    drop((vault, log));
    let file = std::fs::read(folder.path().join("log.redb")).expect("reads");
    let masters = [[0xab; 32], [0xcd; 32]];
    let secrets = [canary.as_bytes(), &masters[0], &masters[1]];
    for secret in secrets {
        assert!(!file.windows(secret.len()).any(|bytes| bytes == secret), "in the file");
    }
    for secret in [canary, "abab", "cdcd", "171, 171"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_master_key_is_checked_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master");
    for (text, good) in [
        ("0f".repeat(32), true),
        (format!("\n {} \n", "AB".repeat(32)), true),
        ("0f".repeat(31), false),
        ("0f".repeat(33), false),
        (format!("{}0", "0f".repeat(32)), false),
        ("0g".repeat(32), false),
        ("€".repeat(32), false),
        (String::new(), false),
    ] {
        let key = MasterKey::from_hex(&text);
        assert_eq!(key.is_ok(), good, "{text}");
        if let Err(error) = key {
            assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
        }
    }
    let error = MasterKey::from_file(&path).expect_err("there is none");
    assert!(error.to_string().contains("master"), "{error}");
    std::fs::write(&path, "0f".repeat(32)).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        mode(0o640);
        let error = MasterKey::from_file(&path).expect_err("others can read it");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        mode(0o600);
    }
    assert!(MasterKey::from_file(&path).is_ok());
}
