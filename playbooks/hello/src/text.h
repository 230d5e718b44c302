/* Bytes and text: the functions the compiler expects, and a bounded text one appends to. */
#pragma once

#include "types.h"

void *memcpy(void *to, const void *from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *s);

bool same(const char *a, const char *b);
bool begins(const char *s, const char *prefix);
bool same_ignoring_case(const char *a, size_t length, const char *lower);
bool is_digit(char c);
/* Reads decimal digits up to a limit; false for none, too many, or a number above it. Moves *s behind them. */
bool read_number(const char **s, u64 limit, u64 *number);

/* Text in somebody's buffer. What does not fit is left out, and noted. */
struct text {
    char *start;
    u32 length, capacity;
    bool cut;
};

void text_byte(struct text *t, char c);
void text_bytes(struct text *t, const char *s, size_t length);
/* %s text, %u u32, %U u64, %x u32 in hexadecimal, %X u64 likewise, %i IPv4 address, %% itself. */
void text_format(struct text *t, const char *format, ...);
void text_format_list(struct text *t, const char *format, va_list list);
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void text_json(struct text *t, const char *s, size_t length);
