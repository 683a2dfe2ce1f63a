//! A real PostgreSQL, talked to by tokio-postgres over our sockets: its connection is a task of ours.

mod server;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures::channel::mpsc::unbounded;
use futures::future::join_all;
use futures::{SinkExt, StreamExt, TryStreamExt, poll};
use pollywog_net::task::yield_now;
use pollywog_net::{JoinHandle, TcpStream, spawn};
use pollywog_tests::net::run;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};

use server::{PASSWORD, Server, USER};

async fn connect_raw(server: &Server) -> (Client, Connection<TcpStream, NoTlsStream>) {
    let stream = TcpStream::connect(server.addr()).await.unwrap();
    let mut config = Config::new();
    config.user(USER).password(PASSWORD).dbname("postgres");
    config.connect_raw(stream, NoTls).await.unwrap()
}

async fn connect(server: &Server) -> (Client, JoinHandle<Result<(), Error>>) {
    let (client, connection) = connect_raw(server).await;
    (client, spawn(connection))
}

/// The one value of the one row that `sql` gives.
async fn number(client: &Client, sql: &str) -> i32 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[test]
fn queries_and_what_ends_a_connection() {
    let Some(server) = Server::shared("queries_and_what_ends_a_connection") else { return };
    run(async {
        let (client, connection) = connect(server).await;
        let rows = client.query("select i, 'row ' || i from generate_series(1, 3) i", &[]).await.unwrap();
        let rows: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(rows, [1, 2, 3].map(|i| (i, format!("row {i}"))));

        let error = client.query("select nothing", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
        assert_eq!(number(&client, "select 7").await, 7, "an error of a query is not one of the connection");

        drop(client);
        connection.await.unwrap().expect("the client says goodbye, and the connection ends");
    });
}

#[test]
fn a_wrong_password_is_an_error() {
    let Some(server) = Server::shared("a_wrong_password_is_an_error") else { return };
    run(async {
        let stream = TcpStream::connect(server.addr()).await.unwrap();
        let mut config = Config::new();
        config.user(USER).password("another").dbname("postgres");
        let error = config.connect_raw(stream, NoTls).await.err().expect("it is refused");
        assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
    });
}

#[test]
fn transactions() {
    let Some(server) = Server::shared("transactions") else { return };
    run(async {
        let (mut client, _connection) = connect(server).await;
        client.batch_execute("create temporary table accounts (name text, balance int)").await.unwrap();
        let insert = client.prepare("insert into accounts values ($1, $2)").await.unwrap();

        let transaction = client.transaction().await.unwrap();
        for (name, balance) in [("ann", 10_i32), ("bob", 20), ("eve", 30)] {
            assert_eq!(transaction.execute(&insert, &[&name, &balance]).await.unwrap(), 1);
        }
        transaction.commit().await.unwrap();
        assert_eq!(number(&client, "select sum(balance)::int from accounts").await, 60);

        let transaction = client.transaction().await.unwrap();
        assert_eq!(transaction.execute("update accounts set balance = 0", &[]).await.unwrap(), 3);
        drop(transaction);
        assert_eq!(number(&client, "select sum(balance)::int from accounts").await, 60, "what is dropped is undone");
    });
}

#[test]
fn one_connection_answers_many_tasks() {
    let Some(server) = Server::shared("one_connection_answers_many_tasks") else { return };
    run(async {
        let (client, connection) = connect(server).await;
        let client = Rc::new(client);
        let sum = client.prepare("select $1::int + $2::int").await.unwrap();
        let tasks = (0..16).map(|task| {
            let (client, sum) = (client.clone(), sum.clone());
            spawn(async move {
                for round in 0..20 {
                    let row = client.query_one(&sum, &[&task, &(round * 100)]).await.unwrap();
                    assert_eq!(row.get::<_, i32>(0), task + round * 100);
                }
            })
        });
        for end in join_all(tasks).await {
            end.unwrap();
        }
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

#[test]
fn a_result_of_megabytes() {
    const ROWS: usize = 300;
    let Some(server) = Server::shared("a_result_of_megabytes") else { return };
    run(async {
        let (client, _connection) = connect(server).await;
        let sql = "select repeat(i || ' ', 5000) from generate_series(1, $1::int) i";
        let mut rows = pin!(client.query_raw(sql, [ROWS as i32]).await.unwrap());
        let (mut count, mut size) = (0, 0);
        while let Some(row) = rows.try_next().await.unwrap() {
            count += 1;
            let text: &str = row.get(0);
            assert!(text == format!("{count} ").repeat(5000), "row {count} is another");
            size += text.len();
        }
        assert_eq!((count, size > 5_000_000), (ROWS, true));
    });
}

#[test]
fn copies_in_and_out() {
    let Some(server) = Server::shared("copies_in_and_out") else { return };
    run(async {
        let (client, _connection) = connect(server).await;
        client.batch_execute("create temporary table lines (text text)").await.unwrap();
        let mut sink = pin!(client.copy_in("copy lines from stdin").await.unwrap());
        let part = "a line of the copy\n".repeat(5_000);
        for _ in 0..20 {
            sink.send(std::io::Cursor::new(part.clone())).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 100_000);

        let mut back = pin!(client.copy_out("copy lines to stdout").await.unwrap());
        let mut bytes = Vec::new();
        while let Some(part) = back.try_next().await.unwrap() {
            bytes.extend_from_slice(&part);
        }
        assert!(bytes == part.repeat(20).into_bytes(), "something else comes back");
    });
}

#[test]
fn notifications_arrive_while_nothing_is_asked() {
    let Some(server) = Server::shared("notifications_arrive_while_nothing_is_asked") else { return };
    run(async {
        let (listener, mut connection) = connect_raw(server).await;
        let (sender, mut heard) = unbounded();
        spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(note) = message.unwrap() {
                    sender.unbounded_send(note.payload().to_owned()).unwrap();
                }
            }
        });
        listener.batch_execute("listen news").await.unwrap();
        assert!(poll!(heard.next()).is_pending());
        let (speaker, _connection) = connect(server).await;
        for text in ["one", "two"] {
            speaker.execute("select pg_notify('news', $1)", &[&text]).await.unwrap();
            assert_eq!(heard.next().await.as_deref(), Some(text));
        }
        drop(listener);
        assert_eq!(heard.next().await, None, "the connection ends with its client");
    });
}

/// A query whose future is dropped, at whichever poll, leaves the connection in step: the next answer is the next
/// query's.
#[test]
fn a_query_that_is_dropped_at_any_poll() {
    let Some(server) = Server::shared("a_query_that_is_dropped_at_any_poll") else { return };
    run(async {
        let (client, _connection) = connect(server).await;
        let mut polls = 0;
        loop {
            {
                let mut query = pin!(client.query("select repeat('x', 3000) from generate_series(1, 50)", &[]));
                let mut left = polls;
                let is_done = poll_fn(|cx| match left {
                    0 => Poll::Ready(false),
                    _ => {
                        left -= 1;
                        query.as_mut().poll(cx).map(|rows| rows.unwrap().len() == 50)
                    }
                })
                .await;
                if is_done {
                    break;
                }
            }
            assert_eq!(number(&client, &format!("select {polls}")).await, polls);
            polls += 1;
        }
        assert!(polls > 3, "it waited only {polls} times");
    });
}

#[test]
fn a_query_that_runs_is_cancelled() {
    let Some(server) = Server::shared("a_query_that_runs_is_cancelled") else { return };
    run(async {
        let (client, _connection) = connect(server).await;
        let (other, _other_connection) = connect(server).await;
        let process = number(&client, "select pg_backend_pid()").await;
        {
            let mut query = pin!(client.query("select pg_sleep(1000)", &[]));
            assert!(poll!(&mut query).is_pending());
            let sleeps =
                format!("select count(*)::int from pg_stat_activity where pid = {process} and state = 'active'");
            while number(&other, &sleeps).await == 0 {
                assert!(poll!(&mut query).is_pending());
                yield_now().await;
            }
        }
        let stream = TcpStream::connect(server.addr()).await.unwrap();
        client.cancel_token().cancel_query_raw(stream, NoTls).await.unwrap();
        assert_eq!(number(&client, "select 1").await, 1, "it does not wait for the other");
    });
}

#[test]
fn the_end_of_the_server_is_an_error() {
    let Some(server) = Server::own("the_end_of_the_server_is_an_error") else { return };
    run(async {
        let addr = server.addr();
        let (busy, busy_connection) = connect(&server).await;
        let (idle, idle_connection) = connect(&server).await;
        {
            let mut query = pin!(busy.query("select pg_sleep(1000)", &[]));
            assert!(poll!(&mut query).is_pending());
            assert_eq!(number(&idle, "select 1").await, 1);
            server.stop();
            query.await.unwrap_err();
        }
        for (client, connection) in [(busy, busy_connection), (idle, idle_connection)] {
            connection.await.unwrap().unwrap_err();
            assert!(client.is_closed());
            assert!(client.query("select 1", &[]).await.unwrap_err().is_closed());
        }
        assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}
