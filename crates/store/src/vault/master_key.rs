//! The key that seals the others.

use std::{fmt, path::Path};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretSlice};

use super::VaultError;

/// Bytes of the key, as AES-256 has them.
const BYTES: usize = 32;

/// Most bytes of a key file that are read.
const MOST: u64 = 4_096;

/// The variable [`MasterKey::from_env`] reads.
pub const MASTER_KEY_VARIABLE: &str = "LEVERFRAME_MASTER_KEY";

/// The key that API keys are sealed with: 32 bytes, kept apart from the file
/// they seal. Make one with `openssl rand -hex 32`.
///
/// Never shown; wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterKey(SecretSlice<u8>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl MasterKey {
    /// From 64 hexadecimal digits; white space around them does not count.
    ///
    /// # Errors
    /// [`VaultError::NotAMasterKey`].
    pub fn from_hex(text: &str) -> Result<Self, VaultError> {
        let digits = text.trim().as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        match bytes {
            Some(bytes) if bytes.len() == BYTES && rest.is_empty() => Ok(Self(bytes.into())),
            _ => Err(VaultError::NotAMasterKey),
        }
    }

    /// From a file that nobody but its owner can read.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`], [`VaultError::KeyFileIsOpen`], [`VaultError::NotAMasterKey`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, VaultError> {
        use std::io::Read;
        let path = path.as_ref();
        let unread = |error| VaultError::KeyFile { path: path.to_owned(), error };
        let file = std::fs::File::open(path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if is_open_to_others(&metadata) {
            return Err(VaultError::KeyFileIsOpen { path: path.to_owned() });
        }
        let mut text = String::new();
        file.take(MOST).read_to_string(&mut text).map_err(unread)?;
        let key = Self::from_hex(&text);
        drop(SecretSlice::from(text.into_bytes())); // wiped
        key
    }

    /// From the environment variable `LEVERFRAME_MASTER_KEY`. `None` when it is
    /// not set or empty.
    ///
    /// # Errors
    /// [`VaultError::NotAMasterKey`].
    pub fn from_env() -> Result<Option<Self>, VaultError> {
        match std::env::var(MASTER_KEY_VARIABLE) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Self::from_hex(&text).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(VaultError::NotAMasterKey),
        }
    }

    fn cipher(&self) -> Result<LessSafeKey, VaultError> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose_secret());
        key.map(LessSafeKey::new).map_err(|_| VaultError::NotAMasterKey)
    }

    /// Seals bytes for one place: what `place` says must be said again to open
    /// them. The nonce, which is random and 96 bits long, comes first.
    pub(super) fn seal(&self, place: &[u8], secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::NoRandomness)?;
        let mut sealed = secret.to_vec();
        let done = self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place),
            &mut sealed,
        );
        done.map_err(|_| VaultError::NotAMasterKey)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for a place. `None` for anything else.
    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<SecretSlice<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.cipher().ok()?.open_in_place(nonce, Aad::from(place), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened.into())
    }
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(unix)]
fn is_open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}
