//! The files of Unix sockets: who makes one removes it, and nobody else. What an address in use says.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use pollywog_net::unix::SocketAddr;
use pollywog_net::{UnixDatagram, UnixListener, UnixStream};
use pollywog_tests::folder::Folder;
use pollywog_tests::net::{alone, descriptors, run};

/// The number of the file that `path` names.
fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

#[test]
fn the_file_goes_with_its_socket() {
    let folder = Folder::new();
    let (streams, datagrams) = (folder.file("streams"), folder.file("datagrams"));
    let listener = UnixListener::bind(&streams).unwrap();
    let socket = UnixDatagram::bind(&datagrams).unwrap();
    assert!(streams.exists() && datagrams.exists());
    drop(listener);
    assert!(!streams.exists());
    drop(socket);
    assert!(!datagrams.exists());
    // And the names are free.
    UnixListener::bind(&datagrams).unwrap();
    UnixDatagram::bind(&streams).unwrap();
}

/// As when a server is started on the path of one that still ends.
#[test]
fn a_file_that_has_taken_the_name_stays() {
    let folder = Folder::new();
    let path = folder.file("socket");
    let first = UnixListener::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = UnixListener::bind(&path).unwrap();
    let number = inode(&path);
    drop(first);
    assert_eq!(inode(&path), number);
    drop(second);
    assert!(!path.exists());

    let socket = UnixDatagram::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "a file of somebody's").unwrap();
    drop(socket);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a file of somebody's");

    fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let moved = folder.file("moved");
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    drop(listener);
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink(), "a link to the file is another file");
}

#[test]
fn who_goes_on_with_the_socket_has_the_file() {
    let folder = Folder::new();
    let (streams, datagrams) = (folder.file("streams"), folder.file("datagrams"));
    let listener = UnixListener::bind(&streams).unwrap().into_std().unwrap();
    let socket = UnixDatagram::bind(&datagrams).unwrap().into_std().unwrap();
    assert!(streams.exists() && datagrams.exists());
    // Taken back, they are no longer ours.
    drop(UnixListener::from_std(listener).unwrap());
    drop(UnixDatagram::from_std(socket).unwrap());
    assert!(streams.exists() && datagrams.exists());
}

#[test]
fn a_relative_path_is_found_from_another_folder() {
    alone("a_relative_path_is_found_from_another_folder", || {
        let (folder, other) = (Folder::new(), Folder::new());
        env::set_current_dir(folder.path()).unwrap();
        let listener = UnixListener::bind("socket").unwrap();
        fs::write(other.file("socket"), "").unwrap();
        env::set_current_dir(other.path()).unwrap();
        drop(listener);
        assert!(!folder.file("socket").exists());
        assert!(other.file("socket").exists());
    });
}

/// What binding to `path` says.
fn in_use(path: &Path) -> String {
    let errors = [UnixListener::bind(path).unwrap_err(), UnixDatagram::bind(path).unwrap_err()];
    errors.iter().for_each(|error| assert_eq!(error.kind(), ErrorKind::AddrInUse));
    let [one, other] = errors.map(|error| error.to_string());
    assert_eq!(one, other);
    one
}

#[test]
fn an_address_in_use_says_what_stands_in_the_way() {
    alone("an_address_in_use_says_what_stands_in_the_way", || {
        let folder = Folder::new();
        let path = folder.file("socket");
        let says = |what: &str| assert_eq!(in_use(&path), format!("cannot bind to '{}': {what}", path.display()));

        let before = descriptors();
        drop(UnixListener::bind(&path).unwrap().into_std().unwrap());
        says("the file is there, but its socket is gone: remove the file and try again");
        fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        says("another socket is bound to it");
        let queue = listener.into_std().unwrap();
        assert_eq!(queue.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody disturbs it to find out");
        drop(queue);
        fs::remove_file(&path).unwrap();
        let socket = UnixDatagram::bind(&path).unwrap();
        says("another socket is bound to it");
        assert_eq!(socket.try_recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(socket);
        fs::write(&path, "").unwrap();
        says("a file that is no socket has the name");
        fs::remove_file(&path).unwrap();
        symlink(folder.file("nothing"), &path).unwrap();
        says("a file that is no socket has the name");
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_file_that_is_left_over_can_be_removed_as_the_error_says() {
    run(async {
        let folder = Folder::new();
        let path = folder.file("socket");
        drop(UnixListener::bind(&path).unwrap().into_std().unwrap());
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(in_use(&path).ends_with("remove the file and try again"));
        fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        UnixStream::connect(&path).await.unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
fn abstract_names_have_no_file() {
    run(async {
        let name = format!("pollywog-tests {}", std::process::id());
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind(format!("\0{name}")).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        let error = UnixListener::bind_addr(&addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), format!("cannot bind to '@{name}': another socket has the name"));

        let by_addr = UnixStream::connect_addr(&addr).await.unwrap();
        let by_path = UnixStream::connect(format!("\0{name}")).await.unwrap();
        for stream in [by_addr, by_path] {
            assert_eq!(stream.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
            listener.accept().await.unwrap();
        }
        drop(listener);
        let server = UnixDatagram::bind_addr(&addr).expect("it is gone with its socket");
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"one", format!("\0{name}")).await.unwrap();
        client.send_to_addr(b"two", &addr).await.unwrap();
        client.connect(format!("\0{name}")).unwrap();
        client.send(b"three").await.unwrap();
        let mut buffer = [0; 16];
        for expected in ["one", "two", "three"] {
            let (count, _) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], expected.as_bytes());
        }
    });
}

#[test]
fn paths_that_name_nothing_are_errors() {
    run(async {
        let folder = Folder::new();
        let nowhere = folder.file("no/such/folder");
        assert_eq!(UnixListener::bind(&nowhere).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(UnixStream::connect(&nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
        let client = UnixDatagram::unbound().unwrap();
        assert_eq!(client.send_to(b"x", &nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
        let long = folder.file(&"x".repeat(120));
        for error in [
            UnixListener::bind(&long).unwrap_err(),
            UnixDatagram::bind(&long).unwrap_err(),
            UnixStream::connect(&long).await.unwrap_err(),
            client.send_to(b"x", &long).await.unwrap_err(),
            client.connect(&long).unwrap_err(),
            UnixStream::connect("with\0zero").await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        let unnamed = UnixStream::pair().unwrap().0.local_addr().unwrap();
        let error = client.send_to_addr(b"x", &unnamed).await.unwrap_err();
        assert_eq!(error.to_string(), "the address has no name");
    });
}
