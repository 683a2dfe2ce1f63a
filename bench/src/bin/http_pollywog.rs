//! HTTP on Pollywog: a `Server`, with the timeouts that `Http` has by itself.

use hyper::service::service_fn;
use pollywog_bench::http::hello;
use pollywog_bench::listening_on;
use pollywog_net::http::Http;
use pollywog_net::server::Server;

fn main() -> std::io::Result<()> {
    pollywog_net::run(async {
        let server = Server::bind("127.0.0.1:0").await?.admit(|stream, _| stream.set_nodelay(true).is_ok());
        listening_on(server.listener().local_addr()?);
        Http::new().serve(server, service_fn(hello)).await
    })?
}
