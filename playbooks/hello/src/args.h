/* What the command line says. */
#pragma once

#include "types.h"
#include "virtio.h"

enum { COMMAND_LINE_LIMIT = 4096, WORDS_LIMIT = 256, PLACES_LIMIT = 8 };

struct arguments {
    const char *name, *generation;
    bool networked; /* net.ip was given */
    u32 ip, mask, gateway;
    const char *environment[WORDS_LIMIT], *words[WORDS_LIMIT];
    u32 environment_count, words_count;
    struct virtio_place places[PLACES_LIMIT];
    u32 places_count;

    u32 port;
    const char *greeting;
    const char *call_address; /* as written, or NULL */
    const char *call_label;
    u32 call_ip;
    u16 call_port;
    bool count, log, mute, flood;
    u64 delay, unhealthy_until, unhealthy_after, crash_after, hang_after, exit_at;
    u32 exit_code;
};

extern struct arguments arguments;

/* Reads the command line, with the words of a boot module (it may be empty) put before its own; ends the guest with one
   sentence where it cannot be understood. */
void arguments_read(const char *module, u64 module_length, const char *command_line);
