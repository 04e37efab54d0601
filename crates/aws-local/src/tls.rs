//! TLS in front of a plain server, with its own certificate.

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

/// Number of sessions that clients can resume.
const SESSIONS: usize = 256;

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate could not be created.
    #[error("no certificate could be made: {0}; run without TLS")]
    Certificate(String),
    /// The certificate file cannot be written.
    #[error("{0}: {1}; name a file that can be written")]
    Write(PathBuf, io::Error),
    /// No port is free.
    #[error("no port is free on 127.0.0.1: {0}; stop a program that uses them")]
    Listen(io::Error),
}

/// A self-signed certificate for `localhost`, with its key.
#[derive(Clone)]
pub struct Certificate {
    pem: String,
    config: ServerConfig,
}

impl Certificate {
    /// Creates a certificate.
    ///
    /// # Errors
    /// The certificate cannot be created.
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

    /// Writes the certificate to a file for `SSL_CERT_FILE`, after other certificates in PEM. With Amazon's roots
    /// before it, the client reads as many certificates as one that talks to AWS.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_after(&self, others: &[u8], file: &Path) -> Result<(), TlsError> {
        let certificates = [others, b"\n", self.pem.as_bytes()].concat();
        std::fs::write(file, certificates).map_err(|error| TlsError::Write(file.to_owned(), error))
    }
}

/// TLS in front of a plain server. Dropping it stops it and closes all connections.
#[derive(Debug)]
pub struct Terminator {
    port: u16,
    handshakes: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Terminator {
    /// Starts TLS on a free port, in front of `upstream`: `http://127.0.0.1:8000`.
    pub async fn start(upstream: &str, certificate: &Certificate) -> Result<Self, TlsError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.map_err(TlsError::Listen)?;
        let port = listener.local_addr().map_err(TlsError::Listen)?.port();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let mut config = certificate.config.clone();
        // A session store of its own: otherwise a client could resume a session of another terminator, because both
        // have the same name.
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

    /// URL with the certificate's host name.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Number of successful handshakes.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Forwards one connection until either side closes it.
async fn forward(stream: TcpStream, acceptor: TlsAcceptor, upstream: String, handshakes: Arc<AtomicUsize>) {
    let _ = stream.set_nodelay(true);
    // A client that does not trust the certificate closes the connection here.
    let Ok(mut encrypted) = acceptor.accept(stream).await else { return };
    handshakes.fetch_add(1, Ordering::SeqCst);
    let Ok(mut plain) = TcpStream::connect(upstream).await else { return };
    let _ = plain.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut encrypted, &mut plain).await;
}
