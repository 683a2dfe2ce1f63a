// Go's net package: a goroutine for each connection, and one thread that runs them.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"runtime"
	"syscall"
)

const (
	buffer  = 4096
	backlog = 1024
	answer  = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n"
)

var headEnd = []byte("\r\n\r\n")

func echo(conn net.Conn) {
	defer conn.Close()
	bytes := make([]byte, buffer)
	for {
		count, err := conn.Read(bytes)
		if err != nil {
			return
		}
		if _, err := conn.Write(bytes[:count]); err != nil {
			return
		}
	}
}

func http(conn net.Conn) {
	defer conn.Close()
	came := make([]byte, buffer)
	filled := 0
	var answers []byte
	// A head as long as the buffer leaves no room to read into.
	for filled < buffer {
		count, err := conn.Read(came[filled:])
		if err != nil {
			return
		}
		filled += count
		answers = answers[:0]
		used := 0
		for {
			place := bytes.Index(came[used:filled], headEnd)
			if place < 0 {
				break
			}
			answers = append(answers, answer...)
			used += place + len(headEnd)
		}
		filled = copy(came, came[used:filled])
		if len(answers) == 0 {
			continue
		}
		if _, err := conn.Write(answers); err != nil {
			return
		}
	}
}

func main() {
	port := flag.Int("port", 0, "0: the system picks")
	mode := flag.String("mode", "echo", "echo or http")
	flag.Parse()
	serve, known := map[string]func(net.Conn){"echo": echo, "http": http}[*mode]
	if !known {
		log.Fatalf("unknown: --mode %s", *mode)
	}
	runtime.GOMAXPROCS(1)
	// Accepted sockets have TCP_NODELAY by themselves; the others here set nothing else.
	config := net.ListenConfig{KeepAlive: -1}
	listener, err := config.Listen(context.Background(), "tcp4", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	// The second call sets the backlog anew; Go's own is the largest that the system allows.
	if err := raw.Control(func(fd uintptr) { syscall.Listen(int(fd), backlog) }); err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(conn)
	}
}
