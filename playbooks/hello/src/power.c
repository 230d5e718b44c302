/* The ways a guest ends. */
#include "power.h"

#include "cpu.h"
#include "serial.h"

enum { DEBUG_EXIT = 0x501 };

_Noreturn void power_exit(u32 code)
{
    port_write32(DEBUG_EXIT, code);
    power_crash();
}

_Noreturn void power_crash(void)
{
    struct {
        u64 limit, base;
    } nothing = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(nothing));
    power_hang();
}

_Noreturn void power_hang(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void refuse(const char *sentence, const char *about)
{
    say("%s: %s", sentence, about);
    power_exit(EXIT_CONFIGURATION);
}
