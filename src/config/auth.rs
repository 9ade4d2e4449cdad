//! `[auth]`: by what tokens are checked. Keys and files are looked at here, so that what is wrong with them is told with the
//! line that names them.

use super::{
    ConfigError, Layers, Setting,
    file::{OneOrMore, Provider as Written, Value},
};
use microtome_proto::{
    limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN},
    token::{InvalidKey, Jwks, Key, KeysAt, Policy, Provider, Secret, Settings, Signer},
};
use std::{fs, path::PathBuf};
use toml::Spanned;

/// Longest file with a secret, a key or a set of keys, in bytes.
const FILE_LEN_MAX: u64 = 256 << 10;

impl Layers {
    /// By what tokens are checked.
    pub(crate) fn auth(&self) -> Result<Settings, ConfigError> {
        let written = &self.file.auth;
        let secret = self.secret((&written.secret, "AUTH_SECRET"), (&written.secret_file, "AUTH_SECRET_FILE"))?;
        let previous = self.secret(
            (&written.previous_secret, "AUTH_PREVIOUS_SECRET"),
            (&written.previous_secret_file, "AUTH_PREVIOUS_SECRET_FILE"),
        )?;
        let signing_key = match self.get(&written.signing_key_file, None, "AUTH_SIGNING_KEY_FILE")? {
            None => None,
            Some(file) => {
                let pem = read(&file)?;
                Signer::from_pem(&pem).map_err(|error| file.wrong(format!("{}: {error}", file.value)))?;
                Some(Secret::new(pem))
            }
        };
        let verifying_keys = self.get(&written.verifying_keys_file, None, "AUTH_VERIFYING_KEYS_FILE")?;
        let settings = Settings {
            secret,
            previous_secret: previous,
            signing_key,
            verifying_keys: verifying_keys.as_ref().map(key_set).transpose()?,
            providers: written.providers.iter().map(|provider| self.provider(provider)).collect::<Result<_, _>>()?,
        };
        if let Some(pair) = same_issuer(&written.providers) {
            return Err(self.at(pair, format!("two providers have the issuer '{}'", pair.get_ref())));
        }
        // What is left can only be that servers have nothing to sign with.
        settings.check().map_err(|error| match written.providers.first() {
            Some(provider) => self.at(&provider.issuer, error),
            None => ConfigError::at("[auth]", error),
        })?;
        Ok(settings)
    }

    /// The first user's password, where it is not to be drawn.
    pub(crate) fn first_password(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(file) = self.get(&self.file.auth.first_password_file, None, "AUTH_FIRST_PASSWORD_FILE")? else {
            return Ok(None);
        };
        let password = read(&file)?.trim_end_matches(['\r', '\n']).to_owned();
        match password.len() {
            PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX => Ok(Some(Secret::new(password))),
            len => Err(file.wrong(format!(
                "{} has a password of {len} bytes: it must have {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX}",
                file.value
            ))),
        }
    }

    /// A secret, from the configuration itself or from a file that it names.
    fn secret(
        &self,
        (value, variable): (&Value<String>, &str),
        (file, file_variable): (&Value<String>, &str),
    ) -> Result<Option<Secret>, ConfigError> {
        let secret = self.get(value, None, variable)?;
        let file = self.get(file, None, file_variable)?;
        let (secret, file) = match (secret, file) {
            // A variable comes before the file, whichever of the two forms it has.
            (Some(secret), Some(file)) => match (secret.is_variable(), file.is_variable()) {
                (true, false) => (Some(secret), None),
                (false, true) => (None, Some(file)),
                _ => return Err(file.wrong("'secret' is set too: one of the two is enough")),
            },
            one => one,
        };
        let secret = match file {
            None => secret,
            Some(file) => Some(Setting { value: read(&file)?.trim_end().to_owned(), place: file.place }),
        };
        let checked = |secret: Setting<String>| match Key::from_secret(&secret.value) {
            Ok(_) => Ok(Secret::new(secret.value)),
            Err(error) => Err(secret.wrong(error)),
        };
        secret.map(checked).transpose()
    }

    fn provider(&self, written: &Written) -> Result<Provider, ConfigError> {
        let required = |text: &Spanned<String>, what: &str| match text.get_ref().is_empty() {
            true => Err(self.at(text, format!("{what} is empty"))),
            false => Ok(text.get_ref().clone()),
        };
        let setting =
            |value: &Spanned<String>| Setting { value: value.get_ref().clone(), place: Some(self.file.place(value)) };
        let keys = match (&written.jwks_url, &written.jwks_file) {
            (Some(url), None) => {
                KeysAt::url(url.get_ref()).map_err(|error| self.at(url, error))?;
                KeysAt::Url(url.get_ref().clone())
            }
            (None, Some(file)) => KeysAt::File(key_set(&setting(file))?),
            (Some(_), Some(file)) => return Err(self.at(file, "'jwks_url' is set too: one of the two is enough")),
            (None, None) => {
                return Err(self.at(&written.issuer, "where are its keys? Set 'jwks_url', or 'jwks_file'"));
            }
        };
        let audiences = match written.audience.get_ref() {
            OneOrMore::One(audience) => vec![audience.clone()],
            OneOrMore::More(all) => all.clone(),
        };
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(self.at(
                &written.audience,
                "an audience is needed: tokens of this issuer that are for others count for nothing",
            ));
        }
        let role = |value: &Value<String>, what| value.as_ref().map(|text| required(text, what)).transpose();
        let role_claim = role(&written.role_claim, "role_claim")?;
        let administrator_role = role(&written.administrator_role, "administrator_role")?;
        let member_role = role(&written.member_role, "member_role")?;
        match (&written.role_claim, written.administrator_role.as_ref().or(written.member_role.as_ref())) {
            (Some(_), Some(_)) | (None, None) => {}
            (Some(claim), None) => {
                return Err(self.at(claim, "what does it say? Set 'administrator_role', or 'member_role', too"));
            }
            (None, Some(role)) => return Err(self.at(role, "which claim has it? Set 'role_claim', too")),
        }
        let policy = Policy {
            issuer: required(&written.issuer, "issuer")?,
            audiences,
            administrators: written.administrators.as_ref().map(|all| all.get_ref().clone()).unwrap_or_default(),
            role_claim,
            administrator_role,
            member_role,
        };
        Ok(Provider { policy, keys })
    }

    fn at<T>(&self, value: &Spanned<T>, what: impl std::fmt::Display) -> ConfigError {
        Setting { value: (), place: Some(self.file.place(value)) }.wrong(what)
    }
}

/// The second of two providers whose tokens could not be told apart.
fn same_issuer(all: &[Written]) -> Option<&Spanned<String>> {
    let issuers: Vec<_> = all.iter().map(|provider| &provider.issuer).collect();
    let twice = |at: usize| issuers[..at].iter().any(|other| other.get_ref() == issuers[at].get_ref());
    (0..issuers.len()).find(|&at| twice(at)).map(|at| issuers[at])
}

/// A file with a set of keys, which must be one already now; servers read it again when it changes.
fn key_set(file: &Setting<String>) -> Result<PathBuf, ConfigError> {
    let wrong = |error: InvalidKey| file.wrong(format!("{}: {error}", file.value));
    let set = Jwks::read(read(file)?.as_bytes()).map_err(wrong)?;
    match set.left_out.first() {
        Some(why) if set.keys.is_empty() => Err(wrong(InvalidKey::new(why.clone()))),
        _ => Ok(PathBuf::from(&file.value)),
    }
}

fn read(file: &Setting<String>) -> Result<String, ConfigError> {
    let failed = |error: std::io::Error| file.wrong(format!("cannot read {}: {error}", file.value));
    if fs::metadata(&file.value).map_err(failed)?.len() > FILE_LEN_MAX {
        return Err(file.wrong(format!("{} is longer than {FILE_LEN_MAX} bytes", file.value)));
    }
    fs::read_to_string(&file.value).map_err(failed)
}
