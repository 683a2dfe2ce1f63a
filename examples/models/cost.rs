//! What one client costs a server: memory, tasks, context switches, and the time to the first answer.
//!
//! ```text
//! cargo build --release --examples                          # the servers that it starts
//! cargo run --release --example cost                        # a table
//! cargo run --release --example cost -- --figure cost.svg   # and a drawing of it
//! ```
//!
//! What to look at: the kernel counts all of this, and `/proc` shows it: `proc(5)` explains each name that is read here.
//! Memory and tasks are those of the server's processes together, less those of an iterative server without clients,
//! for each client. (Of a page that several processes share, each is charged its part.)

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use pollywog_examples::{blocking_main, explain, need_descriptors, say};

/// Measures what a client costs each of the first server models.
#[derive(Parser)]
struct Options {
    /// How many clients each server has
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    clients: u16,

    /// How many lines each client sends
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    lines: u16,

    /// Where to put a drawing of it
    #[arg(long, value_name = "FILE")]
    figure: Option<PathBuf>,
}

/// What a client costs.
struct Row {
    server: &'static str,
    each: Use,
    switches: f64,
    first_answer: Duration,
}

/// What the processes of a server use.
#[derive(Clone, Copy, Default)]
struct Use {
    /// Threads and processes: to the kernel they are the same thing.
    tasks: f64,
    /// In KiB: what is in use of the memory of the processes, the tables through which the processor finds it, and all
    /// that is mapped, in use or not.
    memory: f64,
    page_tables: f64,
    mapped: f64,
}

fn run(options: Options) -> io::Result<()> {
    need_descriptors(options.clients.into())?;
    let nobody = Server::start("iterative", &[])?.used()?;
    say(format_args!("{} clients, {} lines each\n", options.clients, options.lines));
    say(HEAD);
    let threads = options.clients.to_string();
    let servers = [("forking", &[][..]), ("threaded", &[]), ("pooled", &["--threads", &threads]), ("epoll_level", &[])];
    let mut rows = Vec::new();
    for (server, arguments) in servers {
        rows.push(measure(server, arguments, &options, nobody)?);
        say(rows.last().expect("it was pushed").text());
    }
    match options.figure {
        Some(file) => fs::write(&file, draw(&rows)).map_err(|error| explain(file.display(), &error)),
        None => Ok(()),
    }
}

fn measure(server: &'static str, arguments: &[&str], options: &Options, nobody: Use) -> io::Result<Row> {
    let running = Server::start(server, arguments)?;
    let (mut clients, mut times) = (Vec::new(), Vec::new());
    for _ in 0..options.clients {
        let start = Instant::now();
        let mut client = TcpStream::connect(&running.addr)?;
        client.write_all(LINE)?;
        answer(&mut client)?;
        times.push(start.elapsed());
        clients.push(client);
    }
    times.sort();
    let (used, before) = (running.used()?, running.switches()?);
    for _ in 0..options.lines {
        // All at once, and then all answers.
        clients.iter_mut().try_for_each(|client| client.write_all(LINE))?;
        clients.iter_mut().try_for_each(answer)?;
    }
    let switches = running.switches()? - before;
    let count = f64::from(options.clients);
    // Two programs of no client differ by a few KiB as it is.
    let share = |all: f64, without: f64| ((all - without) / count).max(0.0);
    let each = Use {
        tasks: share(used.tasks, nobody.tasks),
        memory: share(used.memory, nobody.memory),
        page_tables: share(used.page_tables, nobody.page_tables),
        mapped: share(used.mapped, nobody.mapped),
    };
    let lines = count * f64::from(options.lines);
    Ok(Row { server, each, switches: switches / lines, first_answer: times[times.len() / 2] })
}

const LINE: &[u8] = b"line\n";

/// Reads a line.
fn answer(client: &mut TcpStream) -> io::Result<()> {
    client.read_exact(&mut [0; LINE.len()])
}

/// A server that runs. Its children end with their clients.
struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> io::Result<Self> {
        let file = std::env::current_exe()?.with_file_name(name);
        let mut command = Command::new(&file);
        command.args(["--addr", "127.0.0.1:0"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn();
        let mut child = child.map_err(|error| explain(format_args!("{} (is it built?)", file.display()), &error))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is a pipe")).read_line(&mut line)?;
        let addr = line.trim_start_matches("listening on ").trim().to_owned();
        Ok(Self { child, addr })
    }

    /// The folders of its process and of that one's children.
    fn processes(&self) -> io::Result<Vec<String>> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let ids = children.split_whitespace().map(str::to_owned);
        Ok(ids.chain([id.to_string()]).map(|id| format!("/proc/{id}")).collect())
    }

    fn used(&self) -> io::Result<Use> {
        let mut sum = Use::default();
        for process in self.processes()? {
            let status = fs::read_to_string(format!("{process}/status"))?;
            sum.tasks += number(&status, "Threads:");
            sum.page_tables += number(&status, "VmPTE:");
            sum.mapped += number(&status, "VmSize:");
            sum.memory += number(&fs::read_to_string(format!("{process}/smaps_rollup"))?, "Pss:");
        }
        Ok(sum)
    }

    /// How often its tasks have left the processor so far: to wait, or because it was another's turn.
    fn switches(&self) -> io::Result<f64> {
        let mut sum = 0.0;
        for process in self.processes()? {
            for task in fs::read_dir(format!("{process}/task"))? {
                let status = fs::read_to_string(task?.path().join("status"))?;
                sum += number(&status, "\nvoluntary_ctxt_switches:") + number(&status, "nonvoluntary_ctxt_switches:");
            }
        }
        Ok(sum)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number behind `name`; zero where there is none.
fn number(text: &str, name: &str) -> f64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

const HEAD: &str = "for each client   tasks      memory   page tables        mapped   switches a line   first answer";

impl Row {
    fn text(&self) -> String {
        let Use { tasks, memory, page_tables, mapped } = self.each;
        let (server, switches, micros) = (self.server, self.switches, self.first_answer.as_micros());
        format!(
            "{server:<15} {tasks:>7.2} {memory:>7.1} KiB {page_tables:>9.1} KiB {mapped:>9.0} KiB {switches:>17.2} \
             {micros:>11} µs"
        )
    }
}

/// Two bars for each server: what a client takes of memory, and how often its line costs a switch.
fn draw(rows: &[Row]) -> String {
    let largest = |of: fn(&Row) -> f64| rows.iter().map(of).fold(0.001, f64::max);
    let (memory, switches) = (largest(|row| row.each.memory + row.each.page_tables), largest(|row| row.switches));
    let (mut bars, mut words, mut told) = (String::new(), String::new(), String::new());
    for (row, y) in rows.iter().zip((64..).step_by(46)) {
        let Use { memory: used, page_tables, .. } = row.each;
        let [first, second] = [used, page_tables].map(|part| part / memory * 230.0);
        let third = row.switches / switches * 130.0;
        bars += &format!(
            "    <rect x=\"120\" y=\"{y}\" width=\"{first:.1}\" height=\"26\" fill=\"var(--c1)\"/>\n    \
             <rect x=\"{:.1}\" y=\"{y}\" width=\"{second:.1}\" height=\"26\" fill=\"var(--c2)\"/>\n    \
             <rect x=\"490\" y=\"{y}\" width=\"{third:.1}\" height=\"26\" fill=\"var(--c3)\"/>\n",
            120.0 + first,
        );
        words += &format!(
            "    <text x=\"110\" y=\"{0}\" text-anchor=\"end\">{1}</text>\n    \
             <text x=\"{2:.1}\" y=\"{0}\">{3:.0} KiB</text>\n    <text x=\"{4:.1}\" y=\"{0}\">{5:.2}</text>\n",
            y + 18,
            row.server,
            128.0 + first + second,
            used + page_tables,
            498.0 + third,
            row.switches,
        );
        told += &format!(" {}: {:.0} KiB, {:.2} switches.", row.server, used + page_tables, row.switches);
    }
    format!(
        "<svg role=\"img\" viewBox=\"0 0 720 {height}\" xmlns=\"http://www.w3.org/2000/svg\">\n  \
         <title>What one client costs</title>\n  \
         <desc>Memory for each client, and context switches for each line.{told}</desc>\n  \
         <g stroke=\"none\">\n{bars}    \
         <rect x=\"120\" y=\"{legend}\" width=\"14\" height=\"14\" fill=\"var(--c1)\"/>\n    \
         <rect x=\"270\" y=\"{legend}\" width=\"14\" height=\"14\" fill=\"var(--c2)\"/>\n  </g>\n  \
         <g fill=\"currentColor\" font-size=\"15\">\n    \
         <text x=\"120\" y=\"40\" font-weight=\"600\">memory for a client</text>\n    \
         <text x=\"490\" y=\"40\" font-weight=\"600\">switches for a line</text>\n{words}    \
         <text x=\"140\" y=\"{note}\" font-size=\"14\">memory in use</text>\n    \
         <text x=\"290\" y=\"{note}\" font-size=\"14\">page tables</text>\n  </g>\n</svg>\n",
        height = 110 + 46 * rows.len(),
        legend = 74 + 46 * rows.len(),
        note = 86 + 46 * rows.len(),
    )
}

fn main() -> ExitCode {
    blocking_main(run)
}
