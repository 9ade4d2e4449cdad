//! `[tls]`: how connections are encrypted. Files are looked at here, so that one that is none is told with the line that names
//! it; what is wrong inside is told by the server that reads it.

use super::{ConfigError, Layers, Setting};
use microtome_proto::tls::{CertificateFiles, Settings};
use std::{fs, path::PathBuf};

/// Longest file with certificates or a key, in bytes.
const FILE_LEN_MAX: u64 = 4 << 20;

impl Layers {
    /// How connections are encrypted, in a cluster whose servers have a secret or have none.
    pub(crate) fn tls(&self, has_secret: bool) -> Result<Settings, ConfigError> {
        let written = &self.file.tls;
        let certificate = self.get(&written.certificate_file, None, "TLS_CERTIFICATE_FILE")?;
        let key = self.get(&written.key_file, None, "TLS_KEY_FILE")?;
        let certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(CertificateFiles {
                certificate: pem(&certificate, "BEGIN CERTIFICATE")?,
                key: pem(&key, "PRIVATE KEY")?,
            }),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                return Err(one.wrong("'certificate_file' and 'key_file' belong together: set both"));
            }
        };
        let ca = self.get(&written.ca_file, None, "TLS_CA_FILE")?;
        let between = self.get(&written.between_servers, None, "TLS_BETWEEN_SERVERS")?;
        let parsed = |between: &Setting<String>| between.value.parse().map_err(|error| between.wrong(error));
        let settings = Settings {
            certificate,
            ca_file: ca.as_ref().map(|ca| pem(ca, "BEGIN CERTIFICATE")).transpose()?,
            between_servers: between.as_ref().map(parsed).transpose()?,
        };
        match (settings.check(has_secret), between) {
            (Err(error), Some(between)) => Err(between.wrong(error)),
            (Err(error), None) => Err(ConfigError::at("[tls]", error)),
            (Ok(()), _) => Ok(settings),
        }
    }
}

/// The path of a file that is PEM and has something of this kind in it.
fn pem(file: &Setting<String>, kind: &str) -> Result<PathBuf, ConfigError> {
    let failed = |error: std::io::Error| file.wrong(format!("cannot read {}: {error}", file.value));
    if fs::metadata(&file.value).map_err(failed)?.len() > FILE_LEN_MAX {
        return Err(file.wrong(format!("{} is longer than {FILE_LEN_MAX} bytes", file.value)));
    }
    match fs::read_to_string(&file.value).map_err(failed)?.contains(kind) {
        true => Ok(PathBuf::from(&file.value)),
        false => Err(file.wrong(format!("{} has no '{kind}' in it: it must be PEM", file.value))),
    }
}
