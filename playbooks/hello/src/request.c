/* Reading the head of an HTTP request (RFC 9112), strictly: what is not understood for certain is refused. */
#include "request.h"

#include "text.h"

enum { BAD = 400, LENGTH_REQUIRED = 411, TOO_LARGE = 413, HEAD_TOO_LONG = 431, WRONG_VERSION = 505 };
enum { BODY_LIMIT = 1 << 20 };

/* A piece of the input. */
struct span {
    const char *start, *end;
};

struct fields {
    u32 hosts;
    bool has_length;
    bool close, keep;
};

static bool is_token(char c)
{
    static const char signs[] = "!#$%&'*+-.^_`|~";
    for (const char *s = signs; *s; s++)
        if (c == *s)
            return true;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

static u32 span_length(struct span s)
{
    return (u32)(s.end - s.start);
}

static bool span_is(struct span s, const char *lower)
{
    return same_ignoring_case(s.start, span_length(s), lower);
}

/* Cuts off what stands before the first `separator`; false if there is none. */
static bool cut(struct span *rest, char separator, struct span *before)
{
    for (const char *p = rest->start; p < rest->end; p++) {
        if (*p == separator) {
            *before = (struct span){rest->start, p};
            rest->start = p + 1;
            return true;
        }
    }
    return false;
}

static struct span trim(struct span s)
{
    while (s.start < s.end && (*s.start == ' ' || *s.start == '\t'))
        s.start++;
    while (s.start < s.end && (s.end[-1] == ' ' || s.end[-1] == '\t'))
        s.end--;
    return s;
}

/* The next line without its end, CR LF or LF. */
static bool cut_line(struct span *rest, struct span *line)
{
    if (!cut(rest, '\n', line))
        return false;
    if (line->start < line->end && line->end[-1] == '\r')
        line->end--;
    return true;
}

/* Control bytes have no place in a head; it need not be whole to be refused for them. */
static bool has_control_byte(struct span s)
{
    for (const char *p = s.start; p < s.end; p++) {
        u8 c = (u8)*p;
        bool line_end = c == '\n' || (c == '\r' && (p + 1 == s.end || p[1] == '\n'));
        if ((c < 0x20 || c == 0x7f) && c != '\t' && !line_end)
            return true;
    }
    return false;
}

/* Length up to and with the empty line, 0 if it has not come. */
static u32 find_end(struct span s)
{
    struct span rest = s, line;
    while (cut_line(&rest, &line))
        if (line.start == line.end)
            return (u32)(rest.start - s.start);
    return 0;
}

static enum method method_of(struct span s)
{
    if (span_length(s) == 3 && memcmp(s.start, "GET", 3) == 0)
        return METHOD_GET;
    if (span_length(s) == 4 && memcmp(s.start, "HEAD", 4) == 0)
        return METHOD_HEAD;
    if (span_length(s) == 4 && memcmp(s.start, "POST", 4) == 0)
        return METHOD_POST;
    return METHOD_OTHER;
}

/* The path out of "/path?query" or "http://host/path?query". */
static bool read_target(struct span target, struct request *request)
{
    struct span path = target, before;
    if (span_length(target) > 7 && same_ignoring_case(target.start, 7, "http://")) {
        path.start += 7;
        if (!cut(&path, '/', &before) || before.start == before.end)
            return false;
        path.start--;
    }
    if (path.start == path.end || *path.start != '/')
        return false;
    if (cut(&path, '?', &before))
        path = before;
    request->path = path.start;
    request->path_length = span_length(path);
    return true;
}

static u32 read_version(struct span version, struct request *request)
{
    if (span_length(version) != 8 || memcmp(version.start, "HTTP/", 5) != 0 || !is_digit(version.start[5]) ||
        version.start[6] != '.' || !is_digit(version.start[7]))
        return BAD;
    if (version.start[5] != '1')
        return WRONG_VERSION;
    request->keep_alive = version.start[7] != '0';
    return REQUEST_WHOLE;
}

static u32 read_first_line(struct span line, struct request *request)
{
    struct span method, target;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || method.start == method.end)
        return BAD;
    for (const char *p = method.start; p < method.end; p++)
        if (!is_token(*p))
            return BAD;
    for (const char *p = target.start; p < target.end; p++)
        if (*p == '\t')
            return BAD;
    request->method = method_of(method);
    if (!read_target(target, request))
        return BAD;
    return read_version(line, request);
}

static u32 read_length(struct span value, struct fields *fields, struct request *request)
{
    u64 length = 0;
    if (value.start == value.end)
        return BAD;
    for (const char *p = value.start; p < value.end; p++) {
        if (!is_digit(*p))
            return BAD;
        length = length > BODY_LIMIT ? length : length * 10 + (u64)(*p - '0');
    }
    if (fields->has_length && length != request->body_length)
        return BAD;
    fields->has_length = true;
    request->body_length = length;
    return length > BODY_LIMIT ? TOO_LARGE : REQUEST_WHOLE;
}

static void read_connection(struct span value, struct fields *fields)
{
    struct span option;
    do {
        if (!cut(&value, ',', &option)) {
            option = value;
            value.start = value.end;
        }
        option = trim(option);
        fields->close |= span_is(option, "close");
        fields->keep |= span_is(option, "keep-alive");
    } while (value.start < value.end);
}

static u32 read_field(struct span line, struct fields *fields, struct request *request)
{
    struct span name;
    if (!cut(&line, ':', &name) || name.start == name.end)
        return BAD;
    for (const char *p = name.start; p < name.end; p++)
        if (!is_token(*p))
            return BAD; /* a space before the colon, or a folded line */
    line = trim(line);
    if (span_is(name, "host"))
        fields->hosts++;
    else if (span_is(name, "content-length"))
        return read_length(line, fields, request);
    else if (span_is(name, "transfer-encoding"))
        return LENGTH_REQUIRED;
    else if (span_is(name, "connection"))
        read_connection(line, fields);
    return REQUEST_WHOLE;
}

static u32 read_head(struct span head, struct request *request)
{
    struct fields fields = {0};
    struct span line;
    u32 result = cut_line(&head, &line) ? read_first_line(line, request) : BAD;
    bool old = !request->keep_alive;
    while (result == REQUEST_WHOLE && cut_line(&head, &line) && line.start < line.end)
        result = read_field(line, &fields, request);
    if (result == REQUEST_WHOLE && (fields.hosts > 1 || (!fields.hosts && !old)))
        result = BAD;
    request->keep_alive = !fields.close && (!old || fields.keep);
    return result;
}

u32 request_read(const char *input, u32 length, bool full, struct request *request)
{
    struct span whole = {input, input + length}, head = whole;
    *request = (struct request){0};
    while (head.start < head.end && (*head.start == '\r' || *head.start == '\n'))
        head.start++; /* empty lines before a request are to be overlooked */
    u32 end = find_end(head);
    if (end)
        head.end = head.start + end;
    if (has_control_byte(head) || (head.start < head.end && !is_token(*head.start)))
        return BAD;
    if (!end)
        return full ? HEAD_TOO_LONG : REQUEST_INCOMPLETE;
    request->head_length = (u32)(head.end - input);
    return read_head(head, request);
}
