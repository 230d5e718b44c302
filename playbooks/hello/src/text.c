/* Bytes and text: the functions the compiler expects, and a bounded text one appends to. */
#include "text.h"

void *memcpy(void *to, const void *from, size_t length)
{
    u8 *t = to;
    const u8 *f = from;
    for (; length >= 8; length -= 8, t += 8, f += 8)
        __builtin_memcpy_inline(t, f, 8);
    while (length--)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t length)
{
    u8 *t = to;
    const u8 *f = from;
    if (t <= f || t >= f + length)
        return memcpy(to, from, length);
    while (length--)
        t[length] = f[length];
    return to;
}

void *memset(void *to, int value, size_t length)
{
    u8 *t = to;
    u64 word = 0x0101010101010101 * (u8)value;
    for (; length >= 8; length -= 8, t += 8)
        __builtin_memcpy_inline(t, &word, 8);
    while (length--)
        *t++ = (u8)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
    const u8 *x = a, *y = b;
    for (; length--; x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t length = 0;
    while (s[length])
        length++;
    return length;
}

bool same(const char *a, const char *b)
{
    size_t length = strlen(a);
    return length == strlen(b) && memcmp(a, b, length) == 0;
}

bool begins(const char *s, const char *prefix)
{
    while (*prefix)
        if (*s++ != *prefix++)
            return false;
    return true;
}

bool same_ignoring_case(const char *a, size_t length, const char *lower)
{
    if (length != strlen(lower))
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
        if (c != lower[i])
            return false;
    }
    return true;
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool read_number(const char **s, u64 limit, u64 *number)
{
    u64 n = 0;
    if (!is_digit(**s))
        return false;
    for (; is_digit(**s); ++*s) {
        n = n * 10 + (u64)(**s - '0');
        if (n > limit)
            return false;
    }
    *number = n;
    return true;
}

void text_byte(struct text *t, char c)
{
    if (t->length < t->capacity)
        t->start[t->length++] = c;
    else
        t->cut = true;
}

void text_bytes(struct text *t, const char *s, size_t length)
{
    size_t room = t->capacity - t->length;
    if (length > room) {
        t->cut = true;
        length = room;
    }
    memcpy(t->start + t->length, s, length);
    t->length += (u32)length;
}

static void text_number(struct text *t, u64 n, u32 base)
{
    char digits[20];
    u32 count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    while (count)
        text_byte(t, digits[--count]);
}

static void text_address(struct text *t, u32 ip)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        text_number(t, ip >> shift & 255, 10);
        if (shift)
            text_byte(t, '.');
    }
}

void text_format_list(struct text *t, const char *format, va_list list)
{
    for (; *format; format++) {
        if (*format != '%') {
            text_byte(t, *format);
            continue;
        }
        switch (*++format) {
        case 's': {
            const char *s = va_arg(list, const char *);
            text_bytes(t, s, strlen(s));
            break;
        }
        case 'u': text_number(t, va_arg(list, u32), 10); break;
        case 'U': text_number(t, va_arg(list, u64), 10); break;
        case 'x': text_number(t, va_arg(list, u32), 16); break;
        case 'X': text_number(t, va_arg(list, u64), 16); break;
        case 'i': text_address(t, va_arg(list, u32)); break;
        default: text_byte(t, *format);
        }
    }
}

void text_format(struct text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    text_format_list(t, format, list);
    va_end(list);
}

/* Length of the UTF-8 character that starts here, 0 if none does (overlong forms and surrogates count as none). */
static u32 character_length(const u8 *s, size_t left)
{
    u32 length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (length > left)
        return 0;
    for (u32 i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return length;
}

static void text_json_ascii(struct text *t, char c)
{
    if (c == '"' || c == '\\') {
        text_byte(t, '\\');
        text_byte(t, c);
    } else if (c == '\n') {
        text_format(t, "\\n");
    } else if ((u8)c < 0x20 || c == 0x7f) {
        text_format(t, "\\u00%x%x", (u32)c >> 4, (u32)c & 15);
    } else {
        text_byte(t, c);
    }
}

void text_json(struct text *t, const char *s, size_t length)
{
    text_byte(t, '"');
    for (size_t i = 0; i < length;) {
        u32 width = character_length((const u8 *)s + i, length - i);
        if (width == 0)
            text_format(t, "\\ufffd");
        else if (width == 1)
            text_json_ascii(t, s[i]);
        else
            text_bytes(t, s + i, width);
        i += width ? width : 1;
    }
    text_byte(t, '"');
}
