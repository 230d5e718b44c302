/* The integer types, and the few words every other file needs. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* A moment that never comes; moments are microseconds since the guest started. */
#define NEVER UINT64_MAX
#define MILLISECONDS(n) ((u64)(n) * 1000)
#define SECONDS(n) ((u64)(n) * 1000000)

static inline u64 earlier(u64 a, u64 b) { return a < b ? a : b; }
static inline u32 least(u32 a, u32 b) { return a < b ? a : b; }

static inline u16 swap16(u16 n) { return __builtin_bswap16(n); }

/* Network fields stand at odd addresses: read and write them by copy. */
static inline u16 load16(const u8 *from)
{
    return (u16)(from[0] << 8 | from[1]);
}
static inline u32 load32(const u8 *from)
{
    return (u32)from[0] << 24 | (u32)from[1] << 16 | (u32)from[2] << 8 | from[3];
}
static inline void store16(u8 *to, u16 n)
{
    to[0] = (u8)(n >> 8);
    to[1] = (u8)n;
}
static inline void store32(u8 *to, u32 n)
{
    store16(to, (u16)(n >> 16));
    store16(to + 2, (u16)n);
}
