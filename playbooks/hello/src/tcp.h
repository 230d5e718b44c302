/* TCP: connections with a buffer each way, and callbacks to whoever uses them. */
#pragma once

#include "types.h"

/* Beyond TCP_INPUT_FULL there is room for one more whole segment: a sender that sees less room than that may wait for
   seconds, and the user with it. */
enum { TCP_INPUT_FULL = 4096, TCP_INPUT = 5632, TCP_OUTPUT = 12288 };

struct connection;

/* What the user of a connection wants to hear. After tcp_close and tcp_abort nothing is heard any more. */
struct tcp_user {
    void (*opened)(struct connection *);
    /* Bytes arrived, or were taken by the other end, or the other end sends no more. */
    void (*moved)(struct connection *);
    /* The moment given to tcp_deadline has come. */
    void (*expired)(struct connection *);
    /* Refused, reset or given up: the connection is gone when this returns. */
    void (*broken)(struct connection *);
};

/* Makes as many connections as memory allows, up to a limit; their user needs so many bytes for each as well. */
void tcp_start(u64 user_bytes);
u32 tcp_limit(void);
/* A number below tcp_limit(), the connection's own for as long as it lives. */
u32 tcp_index(const struct connection *c);
struct connection *tcp_connection(u32 index);

void tcp_listen(u16 port, const struct tcp_user *user);
/* NULL when there are too many connections. */
struct connection *tcp_open(u32 ip, u16 port, const struct tcp_user *user);

const char *tcp_input(const struct connection *c, u32 *length);
bool tcp_input_ended(const struct connection *c);
void tcp_take(struct connection *c, u32 length);
/* Bytes written that the other end has not confirmed yet. */
u32 tcp_unconfirmed(const struct connection *c);
/* The caller sees to it that there is room. */
void tcp_write(struct connection *c, const char *bytes, u32 length);
/* Sends what was written; needed only outside of `opened`, `moved` and `expired`. */
void tcp_push(struct connection *c);
void tcp_deadline(struct connection *c, u64 moment);
/* Orderly, after what was written; later input is thrown away. */
void tcp_close(struct connection *c);
void tcp_abort(struct connection *c);

/* From the layers below. */
void tcp_receive(const u8 *from, u32 source, const u8 *segment, u32 length);
void tcp_neighbour_found(void);

void tcp_run_timers(void);
/* When tcp_run_timers has something to do again. */
u64 tcp_next_timer(void);
