//! Where a session is: a socket of this machine, or an address.
use std::{fmt, path::PathBuf};

use anyhow::{Context, bail};

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A session of this machine.
    Socket {
        /// Its name.
        name: String,
        /// Its socket.
        path: PathBuf,
    },
    /// A port.
    Address {
        /// `host:port`.
        host: String,
        /// What it wants to know.
        token: Option<String>,
    },
}

impl Target {
    /// Reads `ws://host:port`, with or without a path and a slash at the end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn address(text: &str, token: Option<String>) -> anyhow::Result<Self> {
        if text.starts_with("wss://") {
            bail!("`{text}`: no TLS here; tunnel the port instead, with `ssh -L 9300:localhost:9300 HOST`");
        }
        let rest = text.strip_prefix("ws://").context("an address begins with ws://")?;
        let host = rest.split('/').next().unwrap_or_default();
        let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) || host.starts_with(':') {
            bail!("an address is written such as ws://127.0.0.1:9300, got `{text}`");
        }
        Ok(Self::Address { host: host.to_owned(), token })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { name, .. } => f.write_str(name),
            Self::Address { host, .. } => write!(f, "ws://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let host = |text: &str| Target::address(text, None).map(|target| target.to_string());
        assert_eq!(host("ws://lab-3:9300/ws").ok().as_deref(), Some("ws://lab-3:9300"));
        assert_eq!(host("ws://[::1]:9300").ok().as_deref(), Some("ws://[::1]:9300"));
        for wrong in ["ws://lab-3", "ws://:9300", "http://lab-3:9300", "ws://a:99999", "wss://a:1"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
