//! Who may come in: no other machine without the token, no web page of another site, no name that was pointed here.
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, Uri, header};

use super::options::Token;

/// Before the token, in the list of sub-protocols that a browser asks for.
const TOKEN_PROTOCOL: &str = "wavedeck.token.";

/// What a TCP listener asks of a request.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) address: SocketAddr,
    pub(super) token: Option<Token>,
}

/// Why a request is turned away.
#[derive(Debug, PartialEq)]
pub(super) struct TurnedAway(pub(super) StatusCode, pub(super) String);

impl Guard {
    /// Checks `Host`, `Origin` and the token.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), TurnedAway> {
        self.check_host(headers, uri)?;
        self.check_origin(headers)?;
        match &self.token {
            Some(token) if !is_known(token, headers) => {
                let what = "a token is needed: `Authorization: Bearer TOKEN`, or a sub-protocol `wavedeck.token.TOKEN`";
                Err(TurnedAway(StatusCode::UNAUTHORIZED, what.into()))
            }
            _ => Ok(()),
        }
    }

    /// A name that a stranger's server points at this machine is not ours.
    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), TurnedAway> {
        let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Some(host) = header.or_else(|| uri.authority().map(|authority| authority.as_str())) else {
            return Err(TurnedAway(StatusCode::BAD_REQUEST, "the request names no host".into()));
        };
        if self.is_ours(host) {
            return Ok(());
        }
        Err(TurnedAway(StatusCode::FORBIDDEN, self.foreign("host", host)))
    }

    /// Browsers say which site a page is of that asks; other programs say nothing.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), TurnedAway> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or("?");
        let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if site.is_some_and(|site| self.is_ours(site)) {
            return Ok(());
        }
        Err(TurnedAway(StatusCode::FORBIDDEN, self.foreign("origin", origin)))
    }

    /// True for a loopback name or the address that is listened at, with any port: a forwarded one is another.
    fn is_ours(&self, authority: &str) -> bool {
        let Some(name) = name_of(authority) else { return false };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bound = self.address.ip();
        let Ok(ip) = name.parse::<IpAddr>() else {
            // Only where other machines may come in, and they need the token there.
            return !bound.is_loopback() && is_host_name(name);
        };
        // Listening at every address of the machine; a number cannot be pointed elsewhere as a name can.
        ip.is_loopback() || ip == bound || bound.is_unspecified()
    }

    fn foreign(&self, what: &str, got: &str) -> String {
        let got: String = got.chars().filter(|c| !c.is_control()).take(80).collect();
        format!("{what} `{got}` is not this port: use localhost or {}", self.address)
    }
}

/// True for the name of this machine, alone or in the local network.
fn is_host_name(name: &str) -> bool {
    let uname = rustix::system::uname();
    let own = uname.nodename().to_str().unwrap_or_default();
    let short = own.split('.').next().unwrap_or_default();
    let known = [own.to_owned(), short.to_owned(), format!("{short}.local")];
    !short.is_empty() && known.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The name in `name`, `name:port` or `[v6]:port`.
fn name_of(authority: &str) -> Option<&str> {
    let is_port = |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = authority.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        return (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(name);
    }
    match authority.split_once(':') {
        Some((name, port)) => is_port(port).then_some(name),
        None => Some(authority),
    }
}

/// True if a request shows the token in one of the two ways.
fn is_known(token: &Token, headers: &HeaderMap) -> bool {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    let mut bearer = bearer.filter_map(|value| {
        let (scheme, shown) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
    });
    let protocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut protocols =
        protocols.flat_map(|list| list.split(',')).filter_map(|name| name.trim().strip_prefix(TOKEN_PROTOCOL));
    bearer.any(|shown| token.is(shown)) || protocols.any(|shown| token.is(shown))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn guard(address: &str, token: Option<&str>) -> Guard {
        let token = token.map(|token| Token::new(token).expect("long enough"));
        Guard { address: address.parse().expect("an address"), token }
    }

    fn checked(guard: &Guard, headers: &[(&'static str, &str)]) -> u16 {
        let value = |text: &str| HeaderValue::from_str(text).expect("a value");
        let headers = headers.iter().map(|(name, text)| (name.parse().expect("a name"), value(text)));
        let outcome = guard.check(&headers.collect(), &Uri::from_static("/ws"));
        outcome.map_or_else(|TurnedAway(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        let local = guard("127.0.0.1:9300", None);
        for host in ["127.0.0.1:9300", "localhost:9300", "LOCALHOST", "[::1]:9300", "127.0.0.1:22"] {
            assert_eq!(checked(&local, &[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:9300", "192.168.1.5:9300", "", "localhost:x", "[::1", "a:b:c"]
        {
            assert_eq!(checked(&local, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(checked(&local, &[]), 400);
    }

    #[test]
    fn every_number_of_the_machine_is_a_host_when_all_are_listened_at() {
        let open = guard("0.0.0.0:9300", None);
        assert_eq!(checked(&open, &[("host", "192.168.1.5:9300")]), 200);
        assert_eq!(checked(&open, &[("host", "evil.example:9300")]), 403);
        let uname = rustix::system::uname();
        let own = uname.nodename().to_str().expect("ASCII");
        assert_eq!(checked(&open, &[("host", &format!("{own}:9300"))]), 200);
        assert_eq!(
            checked(&guard("127.0.0.1:9300", None), &[("host", own)]),
            if own == "localhost" { 200 } else { 403 }
        );
    }

    #[test]
    fn pages_of_other_sites_are_turned_away() {
        let local = guard("127.0.0.1:9300", None);
        let from = |origin: &str| checked(&local, &[("host", "localhost:9300"), ("origin", origin)]);
        for origin in ["http://localhost:9300", "http://127.0.0.1:5173", "https://localhost"] {
            assert_eq!(from(origin), 200, "{origin}");
        }
        for origin in
            ["http://evil.example", "null", "file://", "http://localhost.evil.example", "http://localhost@evil.example"]
        {
            assert_eq!(from(origin), 403, "{origin}");
        }
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_as_a_sub_protocol() {
        let locked = guard("127.0.0.1:9300", Some(TOKEN));
        let with = |name: &'static str, value: &str| checked(&locked, &[("host", "localhost"), (name, value)]);
        assert_eq!(with("authorization", "Bearer 0123456789abcdef"), 200);
        assert_eq!(with("authorization", "bearer 0123456789abcdef"), 200);
        assert_eq!(with("sec-websocket-protocol", "wavedeck, wavedeck.token.0123456789abcdef"), 200);
        for (name, value) in [
            ("authorization", "Bearer 0123456789abcdeg"),
            ("authorization", "Basic 0123456789abcdef"),
            ("authorization", "0123456789abcdef"),
            ("sec-websocket-protocol", "wavedeck"),
            ("sec-websocket-protocol", "wavedeck.token."),
            ("x-other", "Bearer 0123456789abcdef"),
        ] {
            assert_eq!(with(name, value), 401, "{name}: {value}");
        }
    }
}
