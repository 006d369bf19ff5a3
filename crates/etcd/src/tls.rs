//! Mutual TLS from PEM files.
//!
//! The files are read for every new connection: a certificate that was renewed on disk is used from the next connection on, with no
//! watcher that could miss it and no restart. (Connections are few: one per member.) Session resumption is off for the same reason:
//! a resumed session would go on under the old certificate.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use crate::error::{Error, Side, chain};

/// Whom we trust and as whom we come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the authorities that may sign a member's certificate.
    pub ca: PathBuf,
    /// Our own certificate, where the member asks for one (`--client-cert-auth`).
    pub identity: Option<Identity>,
    /// The name that the member's certificate must carry, when it is not the host of the URL (a forwarded port).
    pub server_name: Option<String>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file with the certificate and what links it to its authority.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http1,
}

impl Tls {
    /// Reads the files and makes of them what one connection needs.
    pub(crate) async fn client_config(&self, protocol: Protocol) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.ca).await? {
            roots.add(authority).map_err(|error| unusable(&self.ca, &error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::TlsSetup { reason: error.to_string() })?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = certificates(certificate).await?;
                let secret = PrivateKeyDer::from_pem_slice(&read(key).await?).map_err(|error| unusable(key, &error))?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(certificate, &error))?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match protocol {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
        };
        Ok(Arc::new(config))
    }

    /// The name that the certificate at `host` must carry.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        let name = self.server_name.as_deref().unwrap_or(host);
        ServerName::try_from(name.to_owned())
            .map_err(|error| Error::TlsSetup { reason: format!("{name:?} is no server name: {error}") })
    }
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path).await?;
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| unusable(path, &error))?;
    if found.is_empty() {
        return Err(unusable(path, &"it holds no certificate"));
    }
    Ok(found)
}

async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, why: &dyn fmt::Display) -> Error {
    Error::TlsSetup { reason: format!("{}: {why}", path.display()) }
}

/// Which side refused, if `error` comes from TLS and is about trust.
pub(crate) fn refusal(error: &std::io::Error) -> Option<Error> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match tls {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Some(Error::TlsRefused { by: Side::Client, reason: chain(tls) })
        }
        // The member's last words. All alerts it can send at this point are about our certificate or about a lack of common ground.
        rustls::Error::AlertReceived(_) => Some(Error::TlsRefused { by: Side::Server, reason: chain(tls) }),
        _ => None,
    }
}
