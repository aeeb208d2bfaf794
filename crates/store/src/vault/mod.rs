//! Provider configurations, with their API keys sealed.
//!
//! A key is sealed with AES-256-GCM under the [`MasterKey`], with a random
//! nonce, for its label and all that is said of its provider: one that is
//! copied to another row, or whose provider is given another address by whoever
//! can write to the file, does not open. A value of the vault's own tells a wrong master key at once.

mod config;
mod master_key;

use std::{path::PathBuf, sync::Arc};

pub use config::{ApiKey, ProviderConfig, ProviderSettings};
use config::{SealedKey, Stored};
use leverframe_core::model::KeyLabel;
pub use master_key::{MASTER_KEY_VARIABLE, MasterKey};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;

use crate::{
    StoreError,
    file::{File, guarded},
    schema,
};

/// What the vault's own value is sealed for, and what it says.
const CHECK_PLACE: &[u8] = b"leverframe vault check";
const CHECK: &[u8] = b"this master key is the right one";

/// Why a provider configuration cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The text is no key.
    #[error("a master key is 64 hexadecimal digits; make one with `openssl rand -hex 32`")]
    NotAMasterKey,
    /// The key file cannot be read.
    #[error("cannot read the master key from {path}; check that the file exists and is yours")]
    KeyFile {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// Others can read the key file.
    #[error("others can read the master key in {path}; run `chmod 600 {path}`")]
    KeyFileIsOpen {
        /// Where it is.
        path: PathBuf,
    },
    /// The keys in the file are sealed with another master key.
    #[error("the API keys are sealed with another master key; give that one, and rotate to change it")]
    WrongMasterKey,
    /// A configuration is damaged, or was tampered with.
    #[error("the stored configuration of {provider} is damaged; store it anew")]
    Damaged {
        /// Whose.
        provider: String,
    },
    /// The system has no randomness to give.
    #[error("the system gives no randomness to seal keys with")]
    NoRandomness,
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps provider configurations in a log's file.
#[derive(Debug)]
pub struct Vault {
    file: Arc<File>,
    key: MasterKey,
}

impl Vault {
    /// Opens the vault of a file, or makes it.
    pub(crate) fn open(file: Arc<File>, key: MasterKey) -> Result<Self, VaultError> {
        let vault = Self { file, key };
        vault.write(|transaction| {
            let mut table = transaction.open_table(schema::VAULT).map_err(write)?;
            let check = table.get(schema::VAULT_CHECK).map_err(write)?.map(|check| check.value().to_vec());
            match check {
                Some(check) => vault.key.check(&check),
                None => {
                    let check = vault.key.seal(CHECK_PLACE, CHECK)?;
                    table.insert(schema::VAULT_CHECK, check.as_slice()).map_err(write)?;
                    Ok(())
                }
            }
        })?;
        Ok(vault)
    }

    /// Keeps a configuration, in place of the one of that name.
    ///
    /// # Errors
    /// [`VaultError::Store`], [`VaultError::NoRandomness`].
    pub fn put(&self, config: &ProviderConfig) -> Result<(), VaultError> {
        let json = seal(&self.key, config)?;
        self.write(|transaction| {
            let mut table = transaction.open_table(schema::PROVIDERS).map_err(write)?;
            table.insert(config.settings.name.as_str(), json.as_slice()).map_err(write)?;
            Ok(())
        })
    }

    /// The configuration of that name.
    ///
    /// # Errors
    /// [`VaultError::Damaged`], [`VaultError::Store`].
    pub fn get(&self, name: &str) -> Result<Option<ProviderConfig>, VaultError> {
        let row = self.read(|transaction| {
            let table = transaction.open_table(schema::PROVIDERS).map_err(StoreError::read)?;
            Ok(table.get(name).map_err(StoreError::read)?.map(|row| row.value().to_vec()))
        })?;
        row.map(|row| open(&self.key, name, &row)).transpose()
    }

    /// All configurations, by priority and then by name.
    ///
    /// # Errors
    /// [`VaultError::Damaged`], [`VaultError::Store`].
    pub fn list(&self) -> Result<Vec<ProviderConfig>, VaultError> {
        let rows = self.read(|transaction| {
            rows(&transaction.open_table(schema::PROVIDERS).map_err(StoreError::read)?)
        })?;
        let configs: Result<Vec<_>, _> = rows.iter().map(|(name, row)| open(&self.key, name, row)).collect();
        let mut configs = configs?;
        configs.sort_by(|a, b| {
            let place = |config: &ProviderConfig| (config.settings.priority, config.settings.name.clone());
            place(a).cmp(&place(b))
        });
        Ok(configs)
    }

    /// Forgets a configuration. Whether there was one.
    ///
    /// # Errors
    /// [`VaultError::Store`].
    pub fn remove(&self, name: &str) -> Result<bool, VaultError> {
        self.write(|transaction| {
            let mut table = transaction.open_table(schema::PROVIDERS).map_err(write)?;
            let removed = table.remove(name).map_err(write)?.is_some();
            Ok(removed)
        })
    }

    /// Seals every key anew under another master key: all of them, or none.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] for a configuration that does not open: remove
    /// it first; [`VaultError::Store`], [`VaultError::NoRandomness`].
    pub fn rotate(&mut self, key: MasterKey) -> Result<(), VaultError> {
        let old = &self.key;
        self.write(|transaction| {
            let mut table = transaction.open_table(schema::PROVIDERS).map_err(write)?;
            for (name, row) in rows(&table)? {
                let sealed = seal(&key, &open(old, &name, &row)?)?;
                table.insert(name.as_str(), sealed.as_slice()).map_err(write)?;
            }
            let check = key.seal(CHECK_PLACE, CHECK)?;
            let mut vault = transaction.open_table(schema::VAULT).map_err(write)?;
            vault.insert(schema::VAULT_CHECK, check.as_slice()).map_err(write)?;
            Ok(())
        })?;
        self.key = key;
        Ok(())
    }

    fn read<T>(&self, act: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        guarded(|| act(&self.file.begin_read()?))
    }

    /// Does all of it, or, should it fail, nothing.
    fn write<T>(
        &self,
        act: impl FnOnce(&WriteTransaction) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        guarded(|| {
            let mut transaction = self.file.begin_write()?;
            transaction.set_quick_repair(true);
            match act(&transaction) {
                Ok(done) => {
                    transaction.commit().map_err(StoreError::write)?;
                    Ok(Ok(done))
                }
                Err(error) => {
                    transaction.abort().map_err(StoreError::write)?;
                    Ok(Err(error))
                }
            }
        })?
    }
}

impl MasterKey {
    fn check(&self, sealed: &[u8]) -> Result<(), VaultError> {
        let opened = self.open(CHECK_PLACE, sealed).ok_or(VaultError::WrongMasterKey)?;
        if opened.expose_secret() == CHECK { Ok(()) } else { Err(VaultError::WrongMasterKey) }
    }
}

fn write(error: impl Into<redb::Error>) -> VaultError {
    VaultError::Store(StoreError::write(error))
}

fn rows(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut rows = Vec::new();
    for entry in table.iter().map_err(StoreError::read)? {
        let (name, row) = entry.map_err(StoreError::read)?;
        rows.push((name.value().to_owned(), row.value().to_vec()));
    }
    Ok(rows)
}

/// What a key is sealed for: its label, and all that is said of its provider. A
/// key whose provider was given another address does not open.
fn place(settings: &RawValue, label: &KeyLabel) -> Vec<u8> {
    let (settings, label) = (settings.get(), label.as_str());
    format!("leverframe api key {} {label} {settings}", label.len()).into_bytes()
}

fn seal(key: &MasterKey, config: &ProviderConfig) -> Result<Vec<u8>, VaultError> {
    let damaged = || VaultError::Damaged { provider: config.settings.name.to_string() };
    let settings = serde_json::value::to_raw_value(&config.settings).map_err(|_| damaged())?;
    let sealed = config.keys.iter().map(|api_key| {
        let place = place(&settings, &api_key.label);
        let sealed = key.seal(&place, api_key.key.expose_secret().as_bytes())?;
        Ok(SealedKey { label: api_key.label.clone(), sealed })
    });
    let keys: Result<Vec<_>, VaultError> = sealed.collect();
    serde_json::to_vec(&Stored { settings, keys: keys? }).map_err(|_| damaged())
}

fn open(key: &MasterKey, name: &str, row: &[u8]) -> Result<ProviderConfig, VaultError> {
    let damaged = || VaultError::Damaged { provider: name.to_owned() };
    let Stored { settings: raw, keys } = serde_json::from_slice(row).map_err(|_| damaged())?;
    let settings: ProviderSettings = serde_json::from_str(raw.get()).map_err(|_| damaged())?;
    if settings.name.as_str() != name {
        return Err(damaged());
    }
    let opened = keys.into_iter().map(|SealedKey { label, sealed }| {
        let bytes = key.open(&place(&raw, &label), &sealed).ok_or_else(damaged)?;
        let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| damaged())?;
        Ok(ApiKey { label, key: SecretString::from(text) })
    });
    let keys: Result<Vec<_>, VaultError> = opened.collect();
    Ok(ProviderConfig { keys: keys?, settings })
}

#[cfg(test)]
mod tests;
