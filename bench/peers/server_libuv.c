/* libuv: a buffer for the loop, writes tried at once, and reads stopped while one is under way. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUFFER 4096
#define BACKLOG 1024

static const char ANSWER[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";
#define ANSWER_LENGTH (sizeof ANSWER - 1)
/* The shortest thing that counts as a request is the end of a head. */
#define REQUESTS (BUFFER / 4)

static int is_http;
static char buffer[BUFFER];
static char answers[REQUESTS * ANSWER_LENGTH];

struct connection {
    uv_tcp_t tcp;
    /* What came and is no whole request yet. */
    char *kept;
    size_t kept_length;
};

struct write {
    uv_write_t request;
    char bytes[];
};

static void check(int code, const char *what) {
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
        exit(1);
    }
}

static void on_close(uv_handle_t *handle) {
    struct connection *connection = (struct connection *)handle;
    free(connection->kept);
    free(connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    struct connection *connection = (struct connection *)handle;
    (void)suggested;
    if (connection->kept_length)
        memcpy(buffer, connection->kept, connection->kept_length);
    /* Without room the head is too long, and the read fails. */
    *room = uv_buf_init(buffer + connection->kept_length, BUFFER - connection->kept_length);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room);

static void on_write(uv_write_t *request, int status) {
    uv_handle_t *handle = (uv_handle_t *)request->handle;
    free(request);
    if (uv_is_closing(handle))
        return;
    if (status < 0)
        uv_close(handle, on_close);
    else
        uv_read_start((uv_stream_t *)handle, on_alloc, on_read);
}

static void send_all(uv_stream_t *stream, const char *bytes, size_t length) {
    uv_buf_t out = uv_buf_init((char *)bytes, length);
    int count = uv_try_write(stream, &out, 1);
    if (count == UV_EAGAIN)
        count = 0;
    if (count < 0) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    size_t rest = length - count;
    if (rest == 0)
        return;
    struct write *write = malloc(sizeof *write + rest);
    memcpy(write->bytes, bytes + count, rest);
    out = uv_buf_init(write->bytes, rest);
    uv_read_stop(stream);
    check(uv_write(&write->request, stream, &out, 1, on_write), "write");
}

static void respond(struct connection *connection, size_t length) {
    char *at = buffer, *end = buffer + length, *found;
    size_t count = 0;
    while ((found = memmem(at, end - at, "\r\n\r\n", 4))) {
        memcpy(answers + count++ * ANSWER_LENGTH, ANSWER, ANSWER_LENGTH);
        at = found + 4;
    }
    connection->kept_length = end - at;
    if (connection->kept_length) {
        if (!connection->kept)
            connection->kept = malloc(BUFFER);
        memcpy(connection->kept, at, connection->kept_length);
    }
    if (count)
        send_all((uv_stream_t *)&connection->tcp, answers, count * ANSWER_LENGTH);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room) {
    (void)room;
    if (count == 0)
        return;
    if (count < 0)
        uv_close((uv_handle_t *)stream, on_close);
    else if (is_http)
        respond((struct connection *)stream, ((struct connection *)stream)->kept_length + count);
    else
        send_all(stream, buffer, count);
}

static void on_connection(uv_stream_t *listener, int status) {
    if (status < 0)
        return;
    struct connection *connection = calloc(1, sizeof *connection);
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    check(uv_tcp_init(listener->loop, &connection->tcp), "socket");
    if (uv_accept(listener, stream) < 0 || uv_tcp_nodelay(&connection->tcp, 1) < 0)
        uv_close((uv_handle_t *)stream, on_close);
    else
        uv_read_start(stream, on_alloc, on_read);
}

int main(int count, char **arguments) {
    int port = 0, place;
    for (place = 1; place + 1 < count; place += 2) {
        if (!strcmp(arguments[place], "--port"))
            port = atoi(arguments[place + 1]);
        else if (!strcmp(arguments[place], "--mode"))
            is_http = !strcmp(arguments[place + 1], "http");
        else
            break;
    }
    if (place != count) {
        fprintf(stderr, "usage: [--port N] [--mode echo|http]\n");
        return 2;
    }
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in addr;
    int length = sizeof addr;
    uv_ip4_addr("127.0.0.1", port, &addr);
    check(uv_tcp_init(loop, &listener), "socket");
    check(uv_tcp_bind(&listener, (struct sockaddr *)&addr, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&addr, &length), "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
