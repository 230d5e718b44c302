/* TCP (RFC 9293) as far as small answers need it: no options but the segment size, segments out of order are dropped,
   retransmission goes back to the first unconfirmed byte. */
#include "tcp.h"

#include "arp.h"
#include "clock.h"
#include "cpu.h"
#include "ip.h"
#include "memory.h"
#include "text.h"

enum { HEADER = 20, SEGMENT_LIMIT = 1460, SEGMENT_DEFAULT = 536, WINDOW_LIMIT = 65535, BURST = 10 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };
enum { CONNECTIONS_LIMIT = 1024, BUCKETS = 1024, EPHEMERAL_FIRST = 49152, EPHEMERAL_COUNT = 16384 };
enum { TRIES = 9, TRIES_TO_OPEN = 4 };

#define RETRY_FIRST MILLISECONDS(300)
#define RETRY_LONGEST SECONDS(8)
#define LINGER SECONDS(2)
#define ORPHAN_LIFE SECONDS(10)
#define MEMORY_RESERVE (32 * 1024) /* what rounding up to pages costs */

enum state {
    CLOSED,
    SYN_SENT,
    SYN_RECEIVED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    CLOSE_WAIT,
    CLOSING,
    LAST_ACK,
    TIME_WAIT,
};

struct connection {
    struct connection *next; /* in its bucket, or among the free ones */
    const struct tcp_user *user;
    u8 state, tries, duplicates;
    bool finishing;    /* our FIN follows the output */
    bool input_ended;  /* their FIN has come */
    bool confirmation; /* an ACK is due */
    bool reachable;    /* `hardware` is known */
    u8 hardware[6];
    u32 ip;
    u16 port, own_port;

    u32 confirmed, sent, sent_most; /* SND.UNA, SND.NXT, the highest SND.NXT ever */
    u32 window, window_seq, window_ack, burst, segment;
    u32 expected, edge; /* RCV.NXT, and the end of the window we promised */
    u64 timer, retry, deadline;

    u8 *input, *output;
    u32 input_length, output_length;
};

struct segment {
    const u8 *from;
    u32 source;
    u16 port, own_port;
    u32 seq, ack, window;
    u8 flags;
    u16 size_option;
    const u8 *data;
    u32 length;
};

static struct connection *connections, *free_list, *buckets[BUCKETS];
static u32 limit, used; /* slots from `used` on were never touched */
static u64 soonest = NEVER, secret;
static u16 listening_port, next_ephemeral;
static const struct tcp_user *listener;

/* --- the table of connections --- */

static u32 mix(u32 ip, u16 port, u16 own_port)
{
    u64 hash = ((u64)ip << 32 | (u32)port << 16 | own_port) ^ secret;
    hash = (hash ^ hash >> 31) * 0x9e3779b97f4a7c15;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9;
    return (u32)(hash >> 32);
}

static struct connection **bucket(u32 ip, u16 port, u16 own_port)
{
    return &buckets[mix(ip, port, own_port) % BUCKETS];
}

static struct connection *find(u32 ip, u16 port, u16 own_port)
{
    struct connection *c = *bucket(ip, port, own_port);
    while (c && (c->ip != ip || c->port != port || c->own_port != own_port))
        c = c->next;
    return c;
}

static void release(struct connection *c)
{
    struct connection **link = bucket(c->ip, c->port, c->own_port);
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->state = CLOSED;
    c->user = NULL;
    c->next = free_list;
    free_list = c;
}

/* How gladly a connection is given up for a new one: the waiting ones first, then the half open, then the orphans. */
static u32 expendable(const struct connection *c)
{
    if (c->state == TIME_WAIT)
        return 3;
    if (c->state == SYN_RECEIVED && c->tries)
        return 2;
    return c->state == FIN_WAIT_2 && !c->user;
}

static void give_one_up(void)
{
    struct connection *chosen = NULL;
    for (u32 i = 0; i < used; i++) {
        struct connection *c = &connections[i];
        u32 gladly = expendable(c), before = chosen ? expendable(chosen) : 0;
        if (gladly > before || (gladly && gladly == before && c->timer < chosen->timer))
            chosen = c;
    }
    if (chosen)
        release(chosen);
}

static struct connection *slot(void)
{
    if (!free_list && used < limit)
        return &connections[used++];
    if (!free_list)
        give_one_up();
    struct connection *c = free_list;
    if (c)
        free_list = c->next;
    return c;
}

static struct connection *create(u32 ip, u16 port, u16 own_port, enum state state)
{
    struct connection *c = slot();
    if (!c)
        return NULL;
    u8 *input = c->input, *output = c->output;
    u32 first = mix(ip, port, own_port) + (u32)(clock_now() / 4); /* RFC 6528 */
    *c = (struct connection){
        .state = (u8)state,
        .ip = ip,
        .port = port,
        .own_port = own_port,
        .confirmed = first,
        .sent = first,
        .sent_most = first,
        .segment = SEGMENT_DEFAULT,
        .timer = NEVER,
        .retry = RETRY_FIRST,
        .deadline = NEVER,
        .input = input,
        .output = output,
    };
    struct connection **head = bucket(ip, port, own_port);
    c->next = *head;
    *head = c;
    return c;
}

void tcp_start(u64 user_bytes)
{
    u64 each = sizeof(struct connection) + TCP_INPUT + TCP_OUTPUT + user_bytes;
    u64 room = memory_left() > MEMORY_RESERVE ? memory_left() - MEMORY_RESERVE : 0;
    limit = (u32)earlier(room / each, CONNECTIONS_LIMIT);
    connections = memory_take(limit * sizeof(struct connection));
    u8 *buffers = memory_take((u64)limit * (TCP_INPUT + TCP_OUTPUT));
    for (u32 i = 0; i < limit; i++, buffers += TCP_INPUT + TCP_OUTPUT) {
        connections[i].input = buffers;
        connections[i].output = buffers + TCP_INPUT;
    }
    secret = cpu_ticks() * 0x9e3779b97f4a7c15;
    next_ephemeral = (u16)(secret >> 40);
}

u32 tcp_limit(void)
{
    return limit;
}

u32 tcp_index(const struct connection *c)
{
    return (u32)(c - connections);
}

struct connection *tcp_connection(u32 index)
{
    return &connections[index];
}

/* --- timers --- */

static void note(u64 moment)
{
    soonest = earlier(soonest, moment);
}

static void arm(struct connection *c, u64 wait)
{
    c->timer = clock_now() + wait;
    note(c->timer);
}

void tcp_deadline(struct connection *c, u64 moment)
{
    c->deadline = moment;
    note(moment);
}

/* --- sending --- */

static u32 room_for_input(const struct connection *c)
{
    return TCP_INPUT - c->input_length;
}

static u64 pseudo_header(u32 a, u32 b, u32 length)
{
    u8 bytes[12];
    store32(bytes, a);
    store32(bytes + 4, b);
    store16(bytes + 8, IP_TCP);
    store16(bytes + 10, (u16)length);
    return checksum_add(0, bytes, sizeof bytes);
}

static void write_header(u8 *header, const struct segment *s, u32 header_length)
{
    store16(header, s->own_port);
    store16(header + 2, s->port);
    store32(header + 4, s->seq);
    store32(header + 8, s->ack);
    header[12] = (u8)(header_length << 2);
    header[13] = s->flags;
    store16(header + 14, (u16)s->window);
    store32(header + 16, 0);
    if (header_length > HEADER)
        store32(header + HEADER, 0x02040000 | SEGMENT_LIMIT);
}

static void transmit(const struct segment *s, const u8 *to)
{
    u32 header_length = s->flags & SYN ? HEADER + 4 : HEADER, total = header_length + s->length;
    u8 *header = ip_packet(to, s->source, IP_TCP);
    if (!header)
        return;
    write_header(header, s, header_length);
    memcpy(header + header_length, s->data, s->length);
    u64 sum = pseudo_header(ip_address(), s->source, total);
    store16(header + 16, checksum_end(checksum_add(sum, header, total)));
    ip_send(total);
}

static void send(struct connection *c, u32 seq, u8 flags, const u8 *data, u32 length)
{
    struct segment s = {
        .source = c->ip,
        .port = c->port,
        .own_port = c->own_port,
        .seq = seq,
        .ack = flags & ACK ? c->expected : 0,
        .window = room_for_input(c),
        .flags = flags,
        .data = data,
        .length = length,
    };
    c->edge = c->expected + s.window;
    c->confirmation = false;
    transmit(&s, c->hardware);
}

static bool find_hardware(struct connection *c)
{
    u32 hop = ip_next_hop(c->ip);
    if (!c->reachable)
        c->reachable = hop && arp_find(hop, c->hardware);
    return c->reachable;
}

static void advance_sent(struct connection *c, u32 by)
{
    c->sent += by;
    if ((int32_t)(c->sent - c->sent_most) > 0)
        c->sent_most = c->sent;
    if (c->timer == NEVER)
        arm(c, c->retry);
}

static void send_syn(struct connection *c)
{
    if (c->sent != c->confirmed)
        return;
    if (find_hardware(c))
        send(c, c->sent, c->state == SYN_SENT ? SYN : SYN | ACK, NULL, 0);
    advance_sent(c, 1);
}

/* How many bytes of the output may go into a segment now. */
static u32 sendable(const struct connection *c, u32 offset)
{
    u32 window = least(c->window, c->burst);
    if (c->window == 0 && c->tries)
        window = 1; /* the probe of a closed window */
    if (offset >= c->output_length || offset >= window)
        return 0;
    return least(least(c->output_length, window) - offset, c->segment);
}

static bool send_next(struct connection *c)
{
    u32 offset = c->sent - c->confirmed, length = sendable(c, offset);
    bool last = c->finishing && offset + length == c->output_length;
    if (!length && !last)
        return false;
    u8 flags = (u8)(ACK | (length ? PSH : 0) | (last ? FIN : 0));
    send(c, c->sent, flags, c->output + offset, length);
    advance_sent(c, length + last);
    return true;
}

static void send_due(struct connection *c)
{
    if (c->state == CLOSED)
        return;
    if (c->state == SYN_SENT || c->state == SYN_RECEIVED) {
        send_syn(c);
        return;
    }
    while (send_next(c))
        ;
    if (c->confirmation)
        send(c, c->sent, ACK, NULL, 0);
    if (c->output_length && !c->window && c->timer == NEVER)
        arm(c, c->retry);
}

/* Answers a segment nobody here knows of. */
static void reject(const struct segment *s)
{
    if (s->flags & RST)
        return;
    struct segment answer = {.source = s->source, .port = s->port, .own_port = s->own_port};
    if (s->flags & ACK) {
        answer.seq = s->ack;
        answer.flags = RST;
    } else {
        answer.ack = s->seq + s->length + !!(s->flags & SYN) + !!(s->flags & FIN);
        answer.flags = RST | ACK;
    }
    transmit(&answer, s->from);
}

/* --- for users --- */

void tcp_listen(u16 port, const struct tcp_user *user)
{
    listening_port = port;
    listener = user;
}

struct connection *tcp_open(u32 ip, u16 port, const struct tcp_user *user)
{
    u16 own_port;
    do
        own_port = (u16)(EPHEMERAL_FIRST + next_ephemeral++ % EPHEMERAL_COUNT);
    while (find(ip, port, own_port));
    struct connection *c = create(ip, port, own_port, SYN_SENT);
    if (!c)
        return NULL;
    c->user = user;
    send_due(c);
    return c;
}

const char *tcp_input(const struct connection *c, u32 *length)
{
    *length = c->input_length;
    return (const char *)c->input;
}

bool tcp_input_ended(const struct connection *c)
{
    return c->input_ended;
}

void tcp_take(struct connection *c, u32 length)
{
    c->input_length -= length;
    memmove(c->input, c->input + length, c->input_length);
    if (c->expected + room_for_input(c) - c->edge >= SEGMENT_LIMIT)
        c->confirmation = true;
}

u32 tcp_unconfirmed(const struct connection *c)
{
    return c->output_length;
}

void tcp_write(struct connection *c, const char *bytes, u32 length)
{
    length = least(length, TCP_OUTPUT - c->output_length);
    memcpy(c->output + c->output_length, bytes, length);
    c->output_length += length;
}

void tcp_push(struct connection *c)
{
    send_due(c);
}

static void forget_user(struct connection *c)
{
    c->user = NULL;
    c->input_length = 0;
    tcp_deadline(c, clock_now() + ORPHAN_LIFE);
}

void tcp_close(struct connection *c)
{
    if (c->state != ESTABLISHED && c->state != CLOSE_WAIT) {
        tcp_abort(c);
        return;
    }
    c->state = c->state == ESTABLISHED ? FIN_WAIT_1 : LAST_ACK;
    c->finishing = true;
    forget_user(c);
}

void tcp_abort(struct connection *c)
{
    if (c->reachable && c->state != SYN_SENT)
        send(c, c->sent_most, RST | ACK, NULL, 0);
    release(c);
}

static void fail(struct connection *c)
{
    const struct tcp_user *user = c->user;
    if (user)
        user->broken(c);
    release(c);
}

/* --- receiving --- */

static void linger(struct connection *c)
{
    c->state = TIME_WAIT;
    c->deadline = NEVER;
    arm(c, LINGER);
}

static void size_from_option(struct connection *c, const struct segment *s)
{
    if (s->size_option)
        c->segment = least(s->size_option, SEGMENT_LIMIT);
    c->burst = BURST * c->segment;
}

static void take_window(struct connection *c, const struct segment *s)
{
    bool newer = (int32_t)(s->seq - c->window_seq) > 0 ||
                 (s->seq == c->window_seq && (int32_t)(s->ack - c->window_ack) >= 0);
    if (!newer)
        return;
    if (!c->window && s->window) {
        c->sent = c->confirmed; /* a probe of the closed window was likely thrown away */
        c->tries = 0;
        c->retry = RETRY_FIRST;
    }
    c->window = s->window;
    c->window_seq = s->seq;
    c->window_ack = s->ack;
}

static void opened(struct connection *c, const struct segment *s)
{
    c->state = ESTABLISHED;
    c->confirmed = s->ack;
    c->sent = c->sent_most = s->ack;
    c->timer = NEVER;
    c->tries = 0;
    c->retry = RETRY_FIRST;
    c->window = s->window;
    c->window_seq = s->seq;
    c->window_ack = s->ack;
    c->user->opened(c);
}

static void receive_syn(const struct segment *s)
{
    struct connection *c = create(s->source, s->port, s->own_port, SYN_RECEIVED);
    if (!c)
        return; /* they will ask again */
    memcpy(c->hardware, s->from, 6);
    c->reachable = true;
    c->expected = s->seq + 1;
    size_from_option(c, s);
    send_due(c);
}

static void receive_in_syn_sent(struct connection *c, const struct segment *s)
{
    bool confirms = s->flags & ACK && s->ack == c->confirmed + 1;
    if (s->flags & ACK && !confirms) {
        reject(s);
    } else if (s->flags & RST) {
        if (confirms)
            fail(c);
    } else if (s->flags & SYN && confirms) {
        c->expected = s->seq + 1;
        c->confirmation = true;
        size_from_option(c, s);
        opened(c, s);
        send_due(c);
    }
}

/* True if the connection moved from half open to open, or was open before. */
static bool ensure_open(struct connection *c, const struct segment *s)
{
    if (c->state != SYN_RECEIVED)
        return true;
    if (s->ack != c->confirmed + 1) {
        reject(s);
        return false;
    }
    if (!listener)
        return false;
    c->user = listener;
    opened(c, s);
    return c->state != CLOSED;
}

static void confirm_fin(struct connection *c)
{
    c->finishing = false;
    if (c->state == FIN_WAIT_1)
        c->state = FIN_WAIT_2;
    else if (c->state == CLOSING)
        linger(c);
    else if (c->state == LAST_ACK)
        release(c);
}

static void confirm(struct connection *c, u32 count)
{
    u32 data = least(count, c->output_length);
    c->output_length -= data;
    memmove(c->output, c->output + data, c->output_length);
    c->confirmed += count;
    if ((int32_t)(c->sent - c->confirmed) < 0)
        c->sent = c->confirmed;
    c->tries = c->duplicates = 0;
    c->retry = RETRY_FIRST;
    c->burst = least(c->burst + c->segment, WINDOW_LIMIT);
    c->timer = NEVER;
    if (c->confirmed != c->sent_most)
        arm(c, c->retry);
    if (count > data)
        confirm_fin(c);
}

/* A sign that a segment was lost: the other end repeats itself. */
static void count_duplicate(struct connection *c, const struct segment *s)
{
    if (s->length || s->flags & FIN || s->window != c->window || c->confirmed == c->sent_most)
        return;
    if (++c->duplicates == 3) {
        c->sent = c->confirmed;
        c->burst = 2 * c->segment;
    }
}

/* False if the segment must be ignored. */
static bool take_confirmation(struct connection *c, const struct segment *s, bool *moved)
{
    u32 count = s->ack - c->confirmed;
    if (count > c->sent_most - c->confirmed) {
        bool old = (int32_t)count < 0;
        c->confirmation |= !old;
        return old;
    }
    if (count == 0)
        count_duplicate(c, s);
    take_window(c, s);
    if (c->window == 0 && c->tries > 1)
        c->tries = 1; /* it is alive, only full */
    if (count) {
        confirm(c, count);
        *moved = true;
    }
    return c->state != CLOSED;
}

static void take_fin(struct connection *c)
{
    c->expected++;
    c->input_ended = true;
    if (c->state == ESTABLISHED)
        c->state = CLOSE_WAIT;
    else if (c->state == FIN_WAIT_1)
        c->state = CLOSING;
    else if (c->state == FIN_WAIT_2)
        linger(c);
}

/* Takes what follows on what came before; an orphan throws it away. True if anything was taken. */
static bool take_data(struct connection *c, const struct segment *s)
{
    bool fin = s->flags & FIN;
    u32 known = c->expected - s->seq;
    c->confirmation |= s->length || fin || known;
    if (known > s->length || s->length + fin == 0 || c->input_ended)
        return false; /* a hole before it, or nothing new */
    u32 length = s->length - known;
    u32 taken = c->user ? least(length, room_for_input(c)) : length;
    if (c->user) {
        memcpy(c->input + c->input_length, s->data + known, taken);
        c->input_length += taken;
    }
    c->expected += taken;
    if (taken == length && fin)
        take_fin(c);
    return taken || c->input_ended;
}

static void receive_in_connection(struct connection *c, const struct segment *s)
{
    bool moved = false;
    memcpy(c->hardware, s->from, 6);
    if (s->flags & RST) {
        if (s->seq == c->expected) {
            fail(c);
        } else {
            c->confirmation = true; /* a true sender will then repeat it with the right number (RFC 5961) */
            send_due(c);
        }
        return;
    }
    if (s->flags & SYN) {
        if (c->state == SYN_RECEIVED)
            c->sent = c->confirmed; /* our answer was lost */
        else
            c->confirmation = true;
        send_due(c);
        return;
    }
    if (!(s->flags & ACK) || !ensure_open(c, s))
        return;
    if (take_confirmation(c, s, &moved)) {
        moved |= take_data(c, s);
        if (moved && c->user)
            c->user->moved(c);
    }
    send_due(c);
}

static void receive(const struct segment *s)
{
    struct connection *c = find(s->source, s->port, s->own_port);
    bool first = (s->flags & (SYN | ACK | RST | FIN)) == SYN;
    if (c && c->state == TIME_WAIT && first && (int32_t)(s->seq - c->expected) > 0) {
        release(c);
        c = NULL;
    }
    if (c && c->state == SYN_SENT)
        receive_in_syn_sent(c, s);
    else if (c)
        receive_in_connection(c, s);
    else if (first && listener && s->own_port == listening_port)
        receive_syn(s);
    else
        reject(s);
}

static u16 read_size_option(const u8 *options, u32 length)
{
    for (u32 i = 0; i < length && options[i] != 0;) {
        u32 step = options[i] == 1 ? 1 : i + 1 < length ? options[i + 1] : 0;
        if (step == 0 || i + step > length)
            return 0;
        if (options[i] == 2 && step == 4)
            return load16(options + i + 2) < 64 ? 64 : load16(options + i + 2);
        i += step;
    }
    return 0;
}

void tcp_receive(const u8 *from, u32 source, const u8 *packet, u32 length)
{
    if (length < HEADER)
        return;
    u32 header = (packet[12] >> 4) * 4u;
    u64 sum = pseudo_header(source, ip_address(), length);
    if (header < HEADER || header > length || checksum_end(checksum_add(sum, packet, length)))
        return;
    struct segment s = {
        .from = from,
        .source = source,
        .port = load16(packet),
        .own_port = load16(packet + 2),
        .seq = load32(packet + 4),
        .ack = load32(packet + 8),
        .window = load16(packet + 14),
        .flags = packet[13],
        .size_option = read_size_option(packet + HEADER, header - HEADER),
        .data = packet + header,
        .length = length - header,
    };
    receive(&s);
}

/* Somebody's Ethernet address is known now: opens that waited for one need not wait for their timer. */
void tcp_neighbour_found(void)
{
    for (u32 i = 0; i < used; i++) {
        struct connection *c = &connections[i];
        if (c->state == SYN_SENT && !c->reachable) {
            c->sent = c->confirmed;
            send_due(c);
        }
    }
}

/* --- time --- */

static void retry(struct connection *c)
{
    u32 tries = c->state == SYN_RECEIVED ? TRIES_TO_OPEN : TRIES;
    if (c->state == TIME_WAIT) {
        release(c);
        return;
    }
    if (++c->tries > tries) {
        fail(c);
        return;
    }
    c->timer = NEVER;
    c->retry = earlier(c->retry * 2, RETRY_LONGEST);
    c->sent = c->confirmed;
    c->burst = c->segment;
    send_due(c);
}

static void expire(struct connection *c)
{
    c->deadline = NEVER;
    if (!c->user) {
        tcp_abort(c);
        return;
    }
    c->user->expired(c);
    send_due(c);
}

void tcp_run_timers(void)
{
    u64 now = clock_now();
    if (now < soonest)
        return;
    soonest = NEVER;
    for (u32 i = 0; i < used; i++) {
        struct connection *c = &connections[i];
        if (c->state != CLOSED && c->timer <= now)
            retry(c);
        if (c->state != CLOSED && c->deadline <= now)
            expire(c);
        if (c->state != CLOSED)
            note(earlier(c->timer, c->deadline));
    }
}

u64 tcp_next_timer(void)
{
    return soonest;
}
