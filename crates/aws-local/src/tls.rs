//! TLS before a plain server, with a certificate of its own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::ServerSessionMemoryCache;

/// How many sessions a client may come back to.
const SESSIONS: usize = 256;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be made.
    #[error("no certificate could be made: {0}; run without TLS")]
    Certificate(String),
    /// The file of certificates can't be written.
    #[error("{0}: {1}; name a file that can be written")]
    Write(PathBuf, io::Error),
    /// No port is free.
    #[error("no port is free on 127.0.0.1: {0}; end what holds them")]
    Listen(io::Error),
}

/// A certificate for `localhost` that signs itself, and the key to it.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    config: ServerConfig,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Errors
    /// It can't be made.
    pub fn new() -> Result<Self, TlsError> {
        let failed = |error: &dyn std::error::Error| TlsError::Certificate(error.to_string());
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der())
            .map_err(|error| TlsError::Certificate(error.to_owned()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .map_err(|error| failed(&error))?;
        Ok(Self { pem: issued.cert.pem(), config })
    }

    /// Writes it to a file for `SSL_CERT_FILE`, after other certificates in PEM: whoever trusts that file reads as many as one that talks
    /// to AWS, if they are Amazon's roots.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write_after(&self, others: &[u8], file: &Path) -> Result<(), TlsError> {
        let certificates = [others, b"\n", self.pem.as_bytes()].concat();
        std::fs::write(file, certificates).map_err(|error| TlsError::Write(file.to_owned(), error))
    }
}

/// TLS before a plain server. It stops, and hangs up on everybody, when this is dropped.
#[derive(Debug)]
pub struct Terminator {
    port: u16,
    handshakes: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Terminator {
    /// Starts one on any free port, before `upstream`: `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: &str, certificate: &Certificate) -> Result<Self, TlsError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.map_err(TlsError::Listen)?;
        let port = listener.local_addr().map_err(TlsError::Listen)?.port();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut config = certificate.config.clone();
        // Of its own: else a client that was at another terminator would go on with that session, since their names are one.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        let (acceptor, counted) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&handshakes));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                while connections.try_join_next().is_some() {}
                let Ok((stream, _)) = listener.accept().await else { continue };
                let connection = forward(stream, acceptor.clone(), upstream.clone(), Arc::clone(&counted));
                connections.spawn(connection);
            }
        });
        Ok(Self { port, handshakes, accepting })
    }

    /// Its URL. By name, as the certificate has it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// How many handshakes have succeeded.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, until either side hangs up.
async fn forward(stream: TcpStream, acceptor: TlsAcceptor, upstream: String, handshakes: Arc<AtomicUsize>) {
    let _ = stream.set_nodelay(true);
    // A client that does not trust the certificate hangs up here.
    let Ok(mut encrypted) = acceptor.accept(stream).await else { return };
    handshakes.fetch_add(1, Ordering::SeqCst);
    let Ok(mut plain) = TcpStream::connect(upstream).await else { return };
    let _ = plain.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut encrypted, &mut plain).await;
}
