/* The probe: tries, one after another, what guests need of a processor and its accelerator, with a line on the console
   before and after each, so that where it died is seen; and counts to a number between two lines, so that the host
   sees how fast it is. There is no interrupt table: what a processor lacks ends in a triple fault. */
#include "cpu.h"

enum { SERIAL = 0x3f8, DEBUG_EXIT = 0x501, EXIT_DONE = 0x10 };

#define LOOPS 2000000
#define LOOPS_TEXT "2000000"

enum { CR0_EMULATION = 1 << 2, CR0_MONITOR = 1 << 1, CR4_FXSR = 1 << 9, CR4_EXCEPTIONS = 1 << 10, CR4_XSAVE = 1 << 18 };
enum { FEATURE_CMPXCHG16B = 1 << 13, FEATURE_XSAVE = 1 << 26 };

static void say(const char *line)
{
    while (*line)
        port_write8(SERIAL, (u8)*line++);
    port_write8(SERIAL, '\n');
}

/* Leaf 1, the word of features that instructions beyond the first 64-bit processors are in. */
static u32 features(void)
{
    u32 a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c;
}

static u64 control4(void)
{
    u64 value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static void set_control4(u64 value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value));
}

static void try_sse(void)
{
    u32 control = 0x1f80, sum[4] = {1, 2, 3, 4};
    u64 control0;
    say("sse begin");
    __asm__ volatile("mov %%cr0, %0" : "=r"(control0));
    __asm__ volatile("mov %0, %%cr0" : : "r"((control0 & ~(u64)CR0_EMULATION) | CR0_MONITOR));
    set_control4(control4() | CR4_FXSR | CR4_EXCEPTIONS);
    __asm__ volatile("ldmxcsr %1\n\t"
                     "movups %0, %%xmm0\n\t"
                     "paddd %%xmm0, %%xmm0\n\t"
                     "movups %%xmm0, %0"
                     : "+m"(sum)
                     : "m"(control));
    say(sum[0] == 2 && sum[3] == 8 ? "sse ok" : "sse wrong");
}

static void try_xgetbv(void)
{
    u32 low, high;
    if (!(features() & FEATURE_XSAVE)) {
        say("xgetbv absent");
        return;
    }
    say("xgetbv begin");
    set_control4(control4() | CR4_XSAVE);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    say(low & 1 ? "xgetbv ok" : "xgetbv wrong");
}

static void try_cmpxchg16b(void)
{
    static u64 pair[2] __attribute__((aligned(16))) = {1, 2};
    u64 low = 1, high = 2;
    if (!(features() & FEATURE_CMPXCHG16B)) {
        say("cmpxchg16b absent");
        return;
    }
    say("cmpxchg16b begin");
    __asm__ volatile("lock cmpxchg16b %0" : "+m"(pair), "+a"(low), "+d"(high) : "b"(3ull), "c"(4ull) : "cc");
    say(pair[0] == 3 && pair[1] == 4 ? "cmpxchg16b ok" : "cmpxchg16b wrong");
}

static void count(void)
{
    u64 left = LOOPS;
    say("loop begin " LOOPS_TEXT);
    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
    say("loop end " LOOPS_TEXT);
}

/* Called by probe_boot.S. */
_Noreturn void probe_main(void);
_Noreturn void probe_main(void)
{
    say("long-mode ok");
    try_sse();
    try_xgetbv();
    try_cmpxchg16b();
    count();
    say("done");
    port_write32(DEBUG_EXIT, EXIT_DONE);
    for (;;)
        __asm__ volatile("cli; hlt");
}
