/* The web server: one exchange per connection at a time, pipelined requests one after another. */
#include "http.h"

#include "args.h"
#include "behave.h"
#include "call.h"
#include "clock.h"
#include "counter.h"
#include "memory.h"
#include "page.h"
#include "request.h"
#include "serial.h"
#include "tcp.h"
#include "text.h"

enum { HEAD_LIMIT = 256, ANSWER_LIMIT = 8192, BODY_LIMIT = ANSWER_LIMIT - HEAD_LIMIT, LINE_LIMIT = 96 };

#define IDLE_LIMIT SECONDS(60)
#define HEAD_TIME_LIMIT SECONDS(15)
#define ANSWER_STALL_LIMIT SECONDS(30)
#define DISK_TIME_LIMIT SECONDS(10)
#define CALL_TIME_LIMIT SECONDS(2)

enum stage { READING, COUNTING, CALLING, CLOSED };

struct exchange {
    u8 stage;
    bool begun; /* part of a head has come */
    bool keep_alive, json, head_only;
    u32 body_left; /* of the request, to be thrown away */
    u64 number;
    char line[LINE_LIMIT]; /* method and path, for the console */
};

static struct exchange *exchanges;
static u32 highest; /* exchanges above this one were never used */
static char body_bytes[BODY_LIMIT];


static struct exchange *exchange_of(const struct connection *c)
{
    return &exchanges[tcp_index(c)];
}

/* --- answers --- */

static const char *reason(u32 status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

static void write_head(struct connection *c, const struct exchange *e, u32 status, u32 body_length)
{
    char bytes[HEAD_LIMIT];
    struct text t = {.start = bytes, .capacity = sizeof bytes};
    text_format(&t, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n", status, reason(status),
                e->json && status == 200 ? "application/json" : "text/plain; charset=utf-8");
    if (!e->head_only)
        text_format(&t, "Content-Length: %u\r\n", body_length);
    if (status == 405)
        text_format(&t, "Allow: %s\r\n", begins(e->line, "GET") || begins(e->line, "HEAD") ? "POST" : "GET, HEAD");
    text_format(&t, "Connection: %s\r\n\r\n", e->keep_alive ? "keep-alive" : "close");
    tcp_write(c, t.start, t.length);
}

static void respond(struct connection *c, u32 status, const struct text *body)
{
    struct exchange *e = exchange_of(c);
    write_head(c, e, status, body->length);
    if (!e->head_only)
        tcp_write(c, body->start, body->length);
    if (arguments.log)
        say("%s %u", e->line, status);
    e->stage = e->keep_alive ? READING : CLOSED;
    if (e->keep_alive)
        tcp_deadline(c, clock_now() + IDLE_LIMIT);
    else
        tcp_close(c);
}

/* Answers with one line of text. */
static void respond_line(struct connection *c, u32 status, const char *format, ...)
{
    struct text body = {.start = body_bytes, .capacity = sizeof body_bytes};
    va_list list;
    va_start(list, format);
    text_format_list(&body, format, list);
    va_end(list);
    text_byte(&body, '\n');
    respond(c, status, &body);
}

/* Answers a request that was not understood; where the next one begins is then unknown too. */
static void respond_and_close(struct connection *c, u32 status)
{
    exchange_of(c)->keep_alive = false;
    respond_line(c, status, "%s", reason(status));
}

static void respond_page(struct connection *c, const char *answer, u32 answer_length)
{
    struct exchange *e = exchange_of(c);
    struct text body = {.start = body_bytes, .capacity = sizeof body_bytes};
    struct facts facts = {e->number, answer, answer_length};
    if (e->json)
        page_json(&body, &facts);
    else
        page_text(&body, &facts);
    if (body.cut)
        respond_line(c, 500, "the answer is longer than %u bytes", (u32)BODY_LIMIT);
    else
        respond(c, 200, &body);
}

/* --- the page, which may have to wait for the disk and for another service --- */

static void page_call(struct connection *c)
{
    if (!arguments.call_address) {
        respond_page(c, "", 0);
        return;
    }
    exchange_of(c)->stage = CALLING;
    tcp_deadline(c, clock_now() + CALL_TIME_LIMIT);
    call_begin(tcp_index(c));
}

static void page_begin(struct connection *c, bool json)
{
    struct exchange *e = exchange_of(c);
    e->json = json;
    if (e->head_only) {
        respond_page(c, "", 0); /* a look at the head changes nothing */
    } else if (arguments.count) {
        e->stage = COUNTING;
        e->number = counter_next();
        tcp_deadline(c, clock_now() + DISK_TIME_LIMIT);
    } else {
        page_call(c);
    }
}

/* --- requests --- */

static void serve_behaviour(struct connection *c, enum method method, const char *what)
{
    if (method != METHOD_POST)
        respond_line(c, 405, "POST it");
    else if (behave_obey(what))
        respond_line(c, 200, "%s", what);
    else
        respond_line(c, 404, "there is no behaviour %s", what);
}

static void serve(struct connection *c, enum method method, const char *path)
{
    bool page = same(path, "/"), json = same(path, "/json"), health = same(path, "/healthz");
    if (begins(path, "/behave/"))
        serve_behaviour(c, method, path + 8);
    else if (!page && !json && !health)
        respond_line(c, 404, "there is no such page");
    else if (method != METHOD_GET && method != METHOD_HEAD)
        respond_line(c, 405, "only GET and HEAD are answered here");
    else if (health)
        respond_line(c, behave_healthy() ? 200 : 503, behave_healthy() ? "ok" : "unhealthy");
    else
        page_begin(c, json);
}

static const char *method_name(enum method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "OTHER"};
    return names[method];
}

static void take_request(struct connection *c, const struct request *request)
{
    struct exchange *e = exchange_of(c);
    struct text line = {.start = e->line, .capacity = sizeof e->line - 1};
    text_format(&line, "%s ", method_name(request->method));
    const char *path = e->line + line.length; /* no page has a path long enough to be cut here */
    text_bytes(&line, request->path, request->path_length);
    e->line[line.length] = 0;
    e->begun = e->json = false;
    e->head_only = request->method == METHOD_HEAD;
    e->keep_alive = request->keep_alive;
    e->body_left = (u32)request->body_length;
    tcp_take(c, request->head_length);
    serve(c, request->method, path);
}

static void wait_for_head(struct connection *c, u32 length)
{
    struct exchange *e = exchange_of(c);
    if (tcp_input_ended(c)) {
        e->stage = CLOSED;
        tcp_close(c);
    } else if (length && !e->begun) {
        e->begun = true;
        tcp_deadline(c, clock_now() + HEAD_TIME_LIMIT);
    }
}

static void read_request(struct connection *c)
{
    struct request request;
    u32 length;
    const char *input = tcp_input(c, &length);
    u32 result = request_read(input, length, length >= TCP_INPUT_FULL, &request);
    if (result == REQUEST_INCOMPLETE) {
        wait_for_head(c, length);
    } else if (result == REQUEST_WHOLE) {
        take_request(c, &request);
    } else {
        struct text line = {.start = exchange_of(c)->line, .capacity = LINE_LIMIT};
        text_bytes(&line, "(not understood)", 17);
        respond_and_close(c, result);
    }
}

/* Accepts everything and says nothing. */
static void stay_mute(struct connection *c, u32 length)
{
    tcp_take(c, length);
    tcp_deadline(c, NEVER);
    wait_for_head(c, 0);
}

/* One step in reading; false when nothing more can be done until something comes. */
static bool step(struct connection *c)
{
    struct exchange *e = exchange_of(c);
    u32 length;
    tcp_input(c, &length);
    if (e->stage != READING)
        return false;
    if (behave_mute()) {
        stay_mute(c, length);
        return false;
    }
    if (e->body_left && length) {
        u32 skipped = least(e->body_left, length);
        e->body_left -= skipped;
        tcp_take(c, skipped);
        return true;
    }
    if (tcp_unconfirmed(c) > TCP_OUTPUT - ANSWER_LIMIT) {
        tcp_deadline(c, clock_now() + ANSWER_STALL_LIMIT);
        return false;
    }
    read_request(c);
    tcp_input(c, &length);
    return e->stage == READING && length && !e->begun;
}

static void advance(struct connection *c)
{
    while (step(c))
        ;
}

/* After an answer that came outside of the connection's own events. */
static void resume(struct connection *c)
{
    advance(c);
    tcp_push(c);
}

/* --- what others tell --- */

void http_counted(bool right)
{
    u64 safe = counter_safe();
    for (u32 i = 0; i <= highest; i++) {
        struct connection *c = tcp_connection(i);
        if (exchanges[i].stage != COUNTING || (right && exchanges[i].number > safe))
            continue;
        if (right)
            page_call(c);
        else
            respond_line(c, 503, "the disk did not take the number");
        resume(c);
    }
}

static void called(u32 owner, u32 status, const char *text, u32 length)
{
    struct connection *c = tcp_connection(owner);
    if (status == 200)
        respond_page(c, text, length);
    else if (status)
        respond_line(c, 502, "%s answered with status %u", arguments.call_address, status);
    else
        respond_line(c, 502, "%s %s", arguments.call_address, text);
    resume(c);
}

static void opened(struct connection *c)
{
    *exchange_of(c) = (struct exchange){.stage = READING};
    if (tcp_index(c) > highest)
        highest = tcp_index(c);
    tcp_deadline(c, clock_now() + IDLE_LIMIT);
}

static void expired_reading(struct connection *c)
{
    struct exchange *e = exchange_of(c);
    if (e->begun) {
        respond_and_close(c, 408);
        return;
    }
    e->stage = CLOSED;
    if (tcp_unconfirmed(c))
        tcp_abort(c);
    else
        tcp_close(c);
}

static void expired(struct connection *c)
{
    u32 stage = exchange_of(c)->stage;
    if (stage == READING) {
        expired_reading(c);
    } else if (stage == COUNTING) {
        respond_line(c, 503, "the disk did not answer");
        advance(c);
    } else if (stage == CALLING) {
        call_cancel(tcp_index(c));
        respond_line(c, 502, "%s did not answer within 2 seconds", arguments.call_address);
        advance(c);
    }
}

static void broken(struct connection *c)
{
    struct exchange *e = exchange_of(c);
    if (e->stage == CALLING)
        call_cancel(tcp_index(c));
    e->stage = CLOSED;
}

static const struct tcp_user server = {opened, advance, expired, broken};

u64 http_bytes_each(void)
{
    return sizeof(struct exchange) + call_bytes_each();
}

void http_start(void)
{
    exchanges = memory_take(tcp_limit() * sizeof *exchanges);
    for (u32 i = 0; i < tcp_limit(); i++)
        exchanges[i].stage = CLOSED;
    call_start(called);
}

void http_listen(void)
{
    tcp_listen((u16)arguments.port, &server);
}
