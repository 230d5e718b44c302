/* What GET / and GET /json say. */
#include "page.h"

#include "args.h"
#include "clock.h"

/* The digits at the end of the name, behind a '-'; "" if there are none. */
static const char *ordinal(void)
{
    const char *found = "";
    for (const char *s = arguments.name; *s; s++)
        if (*s == '-')
            found = s + 1;
    for (const char *s = found; *s; s++)
        if (!is_digit(*s))
            return "";
    return found;
}

static bool needs_quotes(const char *s)
{
    bool empty = !*s;
    while (*s && *s != ' ')
        s++;
    return empty || *s;
}

static void text_words(struct text *t)
{
    text_format(t, "args:");
    for (u32 i = 0; i < arguments.words_count; i++)
        text_format(t, needs_quotes(arguments.words[i]) ? " '%s'" : " %s", arguments.words[i]);
    text_byte(t, '\n');
}

static void text_answer(struct text *t, const struct facts *facts)
{
    bool line_start = true;
    text_format(t, "%s: %s\n", arguments.call_label, arguments.call_address);
    for (u32 i = 0; i < facts->answer_length; i++) {
        if (line_start)
            text_format(t, "  ");
        text_byte(t, facts->answer[i]);
        line_start = facts->answer[i] == '\n';
    }
    if (!line_start)
        text_byte(t, '\n');
}

void page_text(struct text *t, const struct facts *facts)
{
    text_format(t, "hello from %s\n", arguments.name);
    if (arguments.greeting)
        text_format(t, "greeting: %s\n", arguments.greeting);
    text_format(t, "ordinal: %s\ngeneration: %s\n", ordinal(), arguments.generation);
    text_words(t);
    text_format(t, "uptime_ms: %U\n", clock_now() / 1000);
    if (arguments.count)
        text_format(t, "count: %U\n", facts->number);
    if (arguments.call_address)
        text_answer(t, facts);
}

static void json_key(struct text *t, const char *key)
{
    text_format(t, t->start[t->length - 1] == '{' ? "\"%s\":" : ",\"%s\":", key);
}

static void json_string(struct text *t, const char *key, const char *value)
{
    json_key(t, key);
    text_json(t, value, strlen(value));
}

static void json_words(struct text *t)
{
    json_key(t, "args");
    text_byte(t, '[');
    for (u32 i = 0; i < arguments.words_count; i++) {
        if (i)
            text_byte(t, ',');
        text_json(t, arguments.words[i], strlen(arguments.words[i]));
    }
    text_byte(t, ']');
}

/* Only the names: a value may be a secret. */
static void json_environment(struct text *t)
{
    json_key(t, "environment");
    text_byte(t, '[');
    for (u32 i = 0; i < arguments.environment_count; i++) {
        const char *name = arguments.environment[i];
        size_t length = 0;
        while (name[length] != '=')
            length++;
        if (i)
            text_byte(t, ',');
        text_json(t, name, length);
    }
    text_byte(t, ']');
}

static void json_ordinal(struct text *t)
{
    const char *digits = ordinal();
    while (digits[0] == '0' && digits[1])
        digits++;
    json_key(t, "ordinal");
    text_format(t, "%s", *digits ? digits : "null");
}

static void json_answer(struct text *t, const struct facts *facts)
{
    json_key(t, arguments.call_label);
    text_byte(t, '{');
    json_string(t, "address", arguments.call_address);
    json_key(t, "answer");
    text_json(t, facts->answer, facts->answer_length);
    text_byte(t, '}');
}

void page_json(struct text *t, const struct facts *facts)
{
    text_byte(t, '{');
    json_string(t, "name", arguments.name);
    json_ordinal(t);
    json_string(t, "generation", arguments.generation);
    if (arguments.greeting)
        json_string(t, "greeting", arguments.greeting);
    json_words(t);
    json_environment(t);
    json_key(t, "uptime_ms");
    text_format(t, "%U", clock_now() / 1000);
    if (arguments.count) {
        json_key(t, "count");
        text_format(t, "%U", facts->number);
    }
    if (arguments.call_address)
        json_answer(t, facts);
    text_format(t, "}\n");
}
