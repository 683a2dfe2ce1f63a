//! From names to addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What [`TcpListener::bind`](crate::TcpListener::bind) and [`TcpStream::connect`](crate::TcpStream::connect) take:
/// everything that std's trait of this name is implemented for.
///
/// An address is used as it is. A name is looked up on a thread of the blocking pool, never on the loop. The trait is
/// sealed.
///
/// # Examples
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use pollywog_net::TcpStream;
///
/// TcpStream::connect("localhost:8080").await?;
/// TcpStream::connect(("::1", 8080)).await?;
/// TcpStream::connect(std::net::SocketAddr::from(([127, 0, 0, 1], 8080))).await?;
/// # Ok(()) }
/// ```
pub trait ToSocketAddrs: sealed::Target {}

impl<T: sealed::Target + ?Sized> ToSocketAddrs for T {}

/// The addresses of a name, at least one, in the order in which the system gives them: the one that it would try first
/// comes first.
///
/// The look-up is the system's own (`getaddrinfo`), on a thread of the blocking pool. It has no time limit but the
/// system's, which is often ten seconds and more: see [`timeout`](crate::time::timeout). A [paused](crate::time::pause)
/// clock waits for it. What is no name is not looked up: an address is given back as it is.
///
/// # Errors
///
/// When the name has no address or nobody can be asked for it, when the text is not `HOST:PORT`, and when a list is empty.
///
/// # Cancel safety
///
/// A look-up whose future is dropped is not begun; one that is under way goes on, on its thread, and nobody gets its
/// result.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use pollywog_net::lookup_host;
///
/// pollywog_net::run(async {
///     for addr in lookup_host("localhost:8080").await? {
///         assert!(addr.ip().is_loopback());
///         assert_eq!(addr.port(), 8080);
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub async fn lookup_host(target: impl ToSocketAddrs) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(resolve(target).await?.into_iter())
}

/// The addresses behind `target`, at least one.
pub(crate) fn resolve(target: impl ToSocketAddrs) -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
    let target = target.target();
    async move {
        let addresses = match target {
            sealed::Kind::Addresses(addresses) => addresses,
            sealed::Kind::Name(name, port) => {
                // A paused clock waits for it.
                let _hold = pollywog_executor::time::hold();
                // Not a task of the executor: dropping this cancels the look-up where it has not begun.
                blocking::unblock(move || look_up(name, port)).await?
            }
            sealed::Kind::Wrong(error) => return Err(error),
        };
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to use: the list is empty"));
        }
        Ok(addresses)
    }
}

fn look_up(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    use std::net::ToSocketAddrs as _;

    match (name.as_str(), port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(io::Error::new(error.kind(), format!("the name '{name}' has no address: {error}"))),
    }
}

mod sealed {
    use super::*;

    #[derive(Debug)]
    pub enum Kind {
        Addresses(Vec<SocketAddr>),
        Name(String, u16),
        Wrong(io::Error),
    }

    pub trait Target {
        fn target(&self) -> Kind;
    }

    fn name(host: &str, port: u16) -> Kind {
        match host.parse::<IpAddr>() {
            Ok(ip) => Kind::Addresses(vec![SocketAddr::new(ip, port)]),
            Err(_) => Kind::Name(host.to_owned(), port),
        }
    }

    impl Target for str {
        fn target(&self) -> Kind {
            if let Ok(address) = self.parse() {
                return Kind::Addresses(vec![address]);
            }
            let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("'{self}' is no address: {what}"));
            match self.rsplit_once(':') {
                None => Kind::Wrong(wrong("it has no port, write HOST:PORT")),
                Some(("", _)) => Kind::Wrong(wrong("it has no host, write HOST:PORT")),
                Some((host, port)) => match port.parse() {
                    Ok(port) => name(host, port),
                    Err(_) => Kind::Wrong(wrong("the port is a number up to 65535")),
                },
            }
        }
    }

    impl Target for String {
        fn target(&self) -> Kind {
            self.as_str().target()
        }
    }

    impl Target for (&str, u16) {
        fn target(&self) -> Kind {
            name(self.0, self.1)
        }
    }

    impl Target for (String, u16) {
        fn target(&self) -> Kind {
            name(&self.0, self.1)
        }
    }

    impl Target for [SocketAddr] {
        fn target(&self) -> Kind {
            Kind::Addresses(self.to_vec())
        }
    }

    impl<const N: usize> Target for [SocketAddr; N] {
        fn target(&self) -> Kind {
            self.as_slice().target()
        }
    }

    impl<T: Target + ?Sized> Target for &T {
        fn target(&self) -> Kind {
            (**self).target()
        }
    }

    macro_rules! addresses {
        ($($type:ty),*) => {$(
            impl Target for $type {
                fn target(&self) -> Kind {
                    Kind::Addresses(vec![(*self).into()])
                }
            }
        )*};
    }

    addresses!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));
}

#[cfg(test)]
mod tests {
    use super::sealed::{Kind, Target};

    #[test]
    fn a_literal_needs_no_look_up() {
        for text in ["127.0.0.1:80", "[::1]:80"] {
            assert!(matches!(text.target(), Kind::Addresses(addresses) if addresses == [text.parse().unwrap()]));
        }
        assert!(matches!(("::1", 80).target(), Kind::Addresses(addresses) if addresses[0].is_ipv6()));
        assert!(matches!("localhost:80".target(), Kind::Name(name, 80) if name == "localhost"));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, expected) in [
            ("localhost", "'localhost' is no address: it has no port, write HOST:PORT"),
            (":80", "':80' is no address: it has no host, write HOST:PORT"),
            ("localhost:http", "'localhost:http' is no address: the port is a number up to 65535"),
        ] {
            match text.target() {
                Kind::Wrong(error) => assert_eq!(error.to_string(), expected),
                kind => panic!("{text} gave {kind:?}"),
            }
        }
    }
}
