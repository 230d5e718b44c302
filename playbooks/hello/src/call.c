/* Calling another web service. Only some connections are open at once, the rest of the calls wait for their turn:
   whoever is called may have a short queue for new connections. */
#include "call.h"

#include "args.h"
#include "memory.h"
#include "tcp.h"
#include "text.h"

enum { AT_ONCE = 16 };
enum { NOT_HTTP, INCOMPLETE, WHOLE };

struct call {
    u64 ticket; /* its place in the queue; 0 when it does not wait */
    struct connection *connection;
};

struct answer {
    u32 status;
    const char *body;
    u32 body_length;
};

static struct call *calls;
static u32 *owners; /* by the number of the connection that carries the call */
static u32 running;
static u64 tickets, waiting;
static void (*tell)(u32 owner, u32 status, const char *text, u32 length);

static const struct tcp_user caller;

u64 call_bytes_each(void)
{
    return sizeof *calls + sizeof *owners;
}

void call_start(void (*answered)(u32 owner, u32 status, const char *text, u32 length))
{
    tell = answered;
    calls = memory_take(tcp_limit() * sizeof *calls);
    owners = memory_take(tcp_limit() * sizeof *owners);
}

static void dial(u32 owner)
{
    struct connection *c = tcp_open(arguments.call_ip, arguments.call_port, &caller);
    if (!c)
        return;
    waiting--;
    running++;
    calls[owner] = (struct call){.connection = c};
    owners[tcp_index(c)] = owner;
}

static void dial_next(void)
{
    u32 next = 0;
    u64 lowest = UINT64_MAX;
    if (!waiting || running >= AT_ONCE)
        return;
    for (u32 i = 0; i < tcp_limit(); i++) {
        if (calls[i].ticket && calls[i].ticket < lowest) {
            lowest = calls[i].ticket;
            next = i;
        }
    }
    dial(next);
}

void call_begin(u32 owner)
{
    calls[owner] = (struct call){.ticket = ++tickets};
    waiting++;
    dial_next();
}

static void forget(u32 owner)
{
    if (calls[owner].ticket)
        waiting--;
    if (calls[owner].connection)
        running--;
    calls[owner] = (struct call){0};
}

void call_cancel(u32 owner)
{
    struct connection *c = calls[owner].connection;
    forget(owner);
    if (c)
        tcp_abort(c);
    dial_next();
}

static void finish(u32 owner, u32 status, const char *text, u32 length)
{
    forget(owner);
    tell(owner, status, text, length);
    dial_next();
}

static void fail(u32 owner, const char *reason)
{
    finish(owner, 0, reason, (u32)strlen(reason));
}

static void opened(struct connection *c)
{
    char bytes[128];
    struct text t = {.start = bytes, .capacity = sizeof bytes};
    text_format(&t, "GET / HTTP/1.0\r\nHost: %s\r\nUser-Agent: hello\r\n\r\n", arguments.call_address);
    tcp_write(c, t.start, t.length);
}

/* The value of a Content-Length field in this line, if it is one. */
static bool read_length(const char *line, u32 length, u32 *value)
{
    static const char name[] = "content-length:";
    u64 number;
    if (length < sizeof name || !same_ignoring_case(line, sizeof name - 1, name))
        return false;
    const char *s = line + sizeof name - 1;
    while (*s == ' ' || *s == '\t')
        s++;
    if (!read_number(&s, UINT32_MAX, &number))
        return false;
    *value = (u32)number;
    return true;
}

static u32 read_status(const char *input, u32 length)
{
    const char *s = input + 9;
    u64 status;
    bool right = length > 12 && begins(input, "HTTP/1.") && read_number(&s, 599, &status) && status >= 100;
    return right ? (u32)status : 0;
}

static u32 read_answer(const char *input, u32 length, bool ended, struct answer *answer)
{
    u32 body_length = UINT32_MAX, line = 0;
    for (u32 i = 0; i < length; i++) {
        if (input[i] != '\n')
            continue;
        u32 line_length = i - line - (i > line && input[i - 1] == '\r');
        if (line == 0 && !(answer->status = read_status(input, line_length)))
            return NOT_HTTP;
        read_length(input + line, line_length, &body_length);
        line = i + 1;
        if (line_length == 0) {
            answer->body = input + line;
            answer->body_length = least(length - line, body_length);
            return answer->body_length == body_length || (ended && body_length == UINT32_MAX) ? WHOLE : INCOMPLETE;
        }
    }
    return INCOMPLETE;
}

static void moved(struct connection *c)
{
    u32 owner = owners[tcp_index(c)], length;
    const char *input = tcp_input(c, &length);
    bool ended = tcp_input_ended(c);
    struct answer answer = {0};
    u32 result = read_answer(input, length, ended, &answer);
    if (result == INCOMPLETE && !ended && length < TCP_INPUT_FULL)
        return;
    calls[owner].connection = NULL;
    running--;
    if (result == WHOLE)
        finish(owner, answer.status, answer.body, answer.body_length);
    else
        fail(owner, result == NOT_HTTP ? "did not answer with HTTP"
                    : ended            ? "closed the connection before its answer was whole"
                                       : "answered with more than 4096 bytes");
    tcp_close(c);
}

static void expired(struct connection *c)
{
    (void)c; /* calls are bounded by whoever began them */
}

static void broken(struct connection *c)
{
    fail(owners[tcp_index(c)], "refused or broke the connection");
}

static const struct tcp_user caller = {opened, moved, expired, broken};
