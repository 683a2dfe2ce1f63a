//! What every example says on the terminal: one line for what goes wrong, help for who asks.

use pollywog_tests::program::run;

#[test]
fn a_wrong_address_is_one_line() {
    for (example, arguments) in [
        ("echo", &[][..]),
        ("udp_echo", &[]),
        ("chat", &[]),
        ("client", &[]),
        ("kv", &[]),
        ("proxy", &["--to", "127.0.0.1:1"]),
    ] {
        for addr in ["nonsense", "127.0.0.1", ":7007", "127.0.0.1:70007"] {
            let arguments = [&["--addr", addr], arguments].concat();
            run(example, &arguments).failed_with(2, &format!("{example}: invalid value '{addr}' for '--addr"));
        }
    }
}

#[test]
fn an_address_of_another_machine_is_one_line() {
    // Kept for documentation: no machine has it.
    run("echo", &["--addr", "192.0.2.1:7007"])
        .failed_with(1, "echo: cannot listen on 192.0.2.1:7007: Cannot assign requested address");
}

#[test]
fn a_name_that_nobody_has_is_one_line() {
    run("echo", &["--addr", "nobody.invalid:7007"]).failed_with(1, "echo: cannot listen on nobody.invalid:7007: ");
}

#[test]
fn a_missing_argument_is_one_line() {
    run("proxy", &[]).failed_with(2, "proxy: the following required arguments were not provided: --to <HOST:PORT>");
    run("echo", &["--addr"]).failed_with(2, "a value is required for '--addr <HOST:PORT>'");
}

#[test]
fn an_unknown_argument_is_one_line() {
    for example in ["echo", "udp_echo", "chat", "kv", "proxy", "client"] {
        let ended = run(example, &["--colour"]);
        ended.failed_with(2, &format!("{example}: unexpected argument '--colour' found"));
        assert!(ended.complained.trim_end().ends_with("(--help explains)"), "{ended:?}");
    }
}

#[test]
fn a_number_that_makes_no_sense_is_one_line() {
    for (option, value) in [("--connections", "0"), ("--size", "many"), ("--seconds", "0"), ("--seconds", "-1")] {
        run("client", &[option, value]).failed_with(2, value);
    }
}

#[test]
fn help_explains_every_option() {
    for (example, options) in [
        ("echo", &["--addr", "127.0.0.1:7007", "--lent", "--trace"][..]),
        ("udp_echo", &["--addr", "127.0.0.1:7007"]),
        ("chat", &["--addr", "127.0.0.1:7008", "--max-connections", "--name-timeout", "--redis", "--node"]),
        ("kv", &["--addr", "127.0.0.1:6380", "--max-connections", "--idle-timeout", "--max-memory"]),
        ("proxy", &["--addr", "127.0.0.1:7009", "--to"]),
        ("client", &["--addr", "127.0.0.1:7007", "--connections", "--size", "--seconds", "--rate", "--hot", "--json"]),
    ] {
        let help = run(example, &["--help"]);
        assert!(help.status.success(), "{help:?}");
        assert_eq!(help.complained, "");
        for option in options {
            assert!(help.said.contains(option), "`{example} --help` does not explain {option}:\n{}", help.said);
        }
    }
}
