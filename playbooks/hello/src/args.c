/* What the command line says:
   `unictl.name=... net.ip=... KEY=VALUE... -- ARGUMENT... virtio_mmio.device=...`; single quotes group. */
#include "args.h"

#include "power.h"
#include "text.h"

enum { DURATION_LIMIT = 1000000000, INTERRUPT_LINE_LIMIT = 23 };

struct arguments arguments = {
    .name = "hello",
    .generation = "",
    .port = 8080,
    .unhealthy_until = 0,
    .unhealthy_after = NEVER,
    .crash_after = NEVER,
    .hang_after = NEVER,
    .exit_at = NEVER,
};

static char copy[COMMAND_LINE_LIMIT + 3];

/* --- words --- */

static void append(struct text *line, const char *bytes, u64 length)
{
    text_bytes(line, bytes, length);
    text_byte(line, ' ');
    if (line->cut)
        refuse("the command line is too long", "4096 bytes are the limit");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n';
}

/* Cuts the next word out of the text at *rest, quotes removed; NULL at the end. */
static char *next_word(char **rest)
{
    char *from = *rest;
    while (is_blank(*from))
        from++;
    if (!*from)
        return NULL;
    char *word = from, *to = from;
    bool quoted = false;
    for (; *from && (quoted || !is_blank(*from)); from++) {
        if (*from == '\'')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    if (quoted)
        refuse("a quote does not end", word);
    *rest = *from ? from + 1 : from;
    *to = 0;
    return word;
}

/* What follows the prefix, or NULL. */
static const char *after(const char *word, const char *prefix)
{
    return begins(word, prefix) ? word + strlen(prefix) : NULL;
}

/* --- values --- */

static bool read_ip(const char **s, u32 *ip)
{
    u32 address = 0;
    for (u32 i = 0; i < 4; i++) {
        u64 part;
        if ((i && *(*s)++ != '.') || !read_number(s, 255, &part))
            return false;
        address = address << 8 | (u32)part;
    }
    *ip = address;
    return true;
}

static void read_network(const char *value)
{
    const char *s = value;
    u64 bits = 32;
    if (!read_ip(&s, &arguments.ip) || *s++ != '/' || !read_number(&s, 32, &bits) || *s)
        refuse("net.ip is not ADDRESS/BITS", value);
    arguments.mask = bits ? UINT32_MAX << (32 - bits) : 0;
    arguments.networked = true;
}

static void read_gateway(const char *value)
{
    const char *s = value;
    if (*value && (!read_ip(&s, &arguments.gateway) || *s))
        refuse("net.gateway is not an IPv4 address", value);
}

static u64 read_duration(const char *word, const char *value)
{
    u64 milliseconds;
    if (!read_number(&value, DURATION_LIMIT, &milliseconds) || *value)
        refuse("an argument wants a number of milliseconds", word);
    return MILLISECONDS(milliseconds);
}

static void read_port(const char *word, const char *value)
{
    u64 port;
    if (!read_number(&value, 65535, &port) || *value || !port)
        refuse("an argument wants a port", word);
    arguments.port = (u32)port;
}

static void read_exit(const char *word, const char *value)
{
    u64 code, at = 0;
    bool right = read_number(&value, EXIT_CODE_LIMIT, &code);
    if (right && *value == '@') {
        value++;
        right = read_number(&value, DURATION_LIMIT, &at);
    }
    if (!right || *value)
        refuse("an argument wants CODE or CODE@MILLISECONDS, the code at most 127", word);
    arguments.exit_code = (u32)code;
    arguments.exit_at = MILLISECONDS(at);
}

static void read_call(const char *word, const char *label, const char *value)
{
    const char *s = value;
    u64 port;
    if (!read_ip(&s, &arguments.call_ip) || *s++ != ':' || !read_number(&s, 65535, &port) || *s || !port)
        refuse("an argument wants IPV4-ADDRESS:PORT", word);
    arguments.call_address = value;
    arguments.call_label = label;
    arguments.call_port = (u16)port;
}

static void read_device(const char *word, const char *value)
{
    const char *s = value;
    u64 size, line, base = 0;
    bool right = read_number(&s, UINT32_MAX, &size);
    while (right && *s && *s != '@')
        s++; /* a unit, as in 4K */
    right = right && *s++ == '@' && s[0] == '0' && s[1] == 'x';
    for (s += 2; right && *s && *s != ':'; s++) {
        u32 digit = is_digit(*s) ? (u32)(*s - '0') : *s >= 'a' && *s <= 'f' ? (u32)(*s - 'a' + 10) : 16;
        right = digit < 16;
        base = base << 4 | digit;
    }
    right = right && *s++ == ':' && read_number(&s, INTERRUPT_LINE_LIMIT, &line) && !*s;
    if (!right)
        refuse("a device is not SIZE@0xADDRESS:LINE", word);
    if (arguments.places_count < PLACES_LIMIT)
        arguments.places[arguments.places_count++] = (struct virtio_place){base, (u32)line};
}

/* --- the two halves --- */

static bool read_flag(const char *word)
{
    bool *flag = same(word, "--count")   ? &arguments.count
                 : same(word, "--log")   ? &arguments.log
                 : same(word, "--mute")  ? &arguments.mute
                 : same(word, "--flood") ? &arguments.flood
                                         : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

static bool read_moment(const char *word)
{
    static const struct {
        const char *prefix;
        u64 *moment;
    } moments[] = {
        {"--delay=", &arguments.delay},
        {"--unhealthy-until=", &arguments.unhealthy_until},
        {"--unhealthy-after=", &arguments.unhealthy_after},
        {"--crash-after=", &arguments.crash_after},
        {"--hang-after=", &arguments.hang_after},
    };
    for (u32 i = 0; i < sizeof moments / sizeof *moments; i++) {
        const char *value = after(word, moments[i].prefix);
        if (value) {
            *moments[i].moment = read_duration(word, value);
            return true;
        }
    }
    return false;
}

static void read_argument(const char *word)
{
    const char *value;
    if (read_flag(word) || read_moment(word))
        return;
    if ((value = after(word, "--port=")))
        read_port(word, value);
    else if ((value = after(word, "--greeting=")))
        arguments.greeting = value;
    else if ((value = after(word, "--exit=")))
        read_exit(word, value);
    else if ((value = after(word, "--counter=")))
        read_call(word, "counter", value);
    else if ((value = after(word, "--call=")))
        read_call(word, "call", value);
    else
        refuse("unknown argument", word);
}

static void read_setting(const char *word)
{
    const char *value;
    if ((value = after(word, "unictl.name=")))
        arguments.name = value;
    else if ((value = after(word, "unictl.generation=")))
        arguments.generation = value;
    else if ((value = after(word, "net.ip=")))
        read_network(value);
    else if ((value = after(word, "net.gateway=")))
        read_gateway(value);
    else if (!begins(word, "unictl.") && !begins(word, "net."))
        arguments.environment[arguments.environment_count++] = word;
}

static void check_setting(const char *word)
{
    const char *s = word;
    while (*s && *s != '=')
        s++;
    if (s == word || !*s)
        refuse("a word before -- is not KEY=VALUE", word);
}

void arguments_read(const char *module, u64 module_length, const char *command_line)
{
    struct text line = {.start = copy, .capacity = sizeof copy - 1};
    char *rest = copy, *word;
    bool settings = true;
    append(&line, module, module_length);
    append(&line, command_line, strlen(command_line));
    while ((word = next_word(&rest))) {
        const char *device = after(word, "virtio_mmio.device=");
        if (arguments.environment_count == WORDS_LIMIT || arguments.words_count == WORDS_LIMIT)
            refuse("too many words", word);
        if (device) {
            read_device(word, device);
        } else if (settings && same(word, "--")) {
            settings = false;
        } else if (settings) {
            check_setting(word);
            read_setting(word);
        } else {
            arguments.words[arguments.words_count++] = word;
            read_argument(word);
        }
    }
}
