/* The console: lines on the first serial port (16550 at 0x3f8, 16 bytes of buffer). */
#include "serial.h"

#include "cpu.h"
#include "text.h"

enum { DATA = 0x3f8, INTERRUPTS = 0x3f9, BUFFER = 0x3fa, LINE = 0x3fb, MODEM = 0x3fc, STATUS = 0x3fd };
enum { STATUS_EMPTY = 0x20, BUFFER_BYTES = 16, PATIENCE = 2000 };

void serial_start(void)
{
    port_write8(INTERRUPTS, 0);
    port_write8(LINE, 0x80);
    port_write8(DATA, 1); /* 115200 baud */
    port_write8(INTERRUPTS, 0);
    port_write8(LINE, 3); /* 8 bits, no parity, 1 stop */
    port_write8(BUFFER, 7);
    port_write8(MODEM, 3);
}

static bool wait_empty(void)
{
    for (u32 i = 0; i < PATIENCE; i++) {
        if (port_read8(STATUS) & STATUS_EMPTY)
            return true;
        cpu_relax();
    }
    return false;
}

void serial_write(const char *s, u32 length)
{
    while (length && wait_empty())
        for (u32 n = least(length, BUFFER_BYTES); n; n--, length--)
            port_write8(DATA, (u8)*s++);
}

void say(const char *format, ...)
{
    char line[512];
    struct text t = {.start = line, .capacity = sizeof line - 1};
    va_list list;
    va_start(list, format);
    text_format(&t, "hello: ");
    text_format_list(&t, format, list);
    va_end(list);
    for (u32 i = 0; i < t.length; i++)
        if ((u8)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?'; /* a console is read by people: no control bytes out of requests or arguments */
    line[t.length++] = '\n';
    serial_write(line, t.length);
}
