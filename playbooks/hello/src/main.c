/* hello: a small web service that is its own operating system. Here it starts, and here it waits for work. */
#include "args.h"
#include "arp.h"
#include "behave.h"
#include "clock.h"
#include "counter.h"
#include "cpu.h"
#include "disk.h"
#include "http.h"
#include "interrupts.h"
#include "ip.h"
#include "memory.h"
#include "nic.h"
#include "power.h"
#include "serial.h"
#include "tcp.h"

#define MEMORY_ASSUMED (8ull << 20)
#define MEMORY_LIMIT (1ull << 30) /* what boot.S maps */
#define IMAGE_START 0x100000ull

enum { START_MAGIC = 0x336ec578, KIND_MEMORY = 1 };

/* What the loader leaves (struct hvm_start_info of the PVH boot protocol). */
struct start_info {
    u32 magic, version, flags, modules_count;
    u64 modules, command_line, acpi_root, memory_map;
    u32 memory_map_entries, reserved;
};

struct module {
    u64 start, length, command_line, reserved;
};

struct memory_range {
    u64 start, size;
    u32 kind, reserved;
};

static bool serving, listening;

/* Where the memory ends that the image lies in. */
static u64 memory_end(const struct start_info *info)
{
    const struct memory_range *range = (const void *)info->memory_map;
    if (info->version >= 1)
        for (u32 i = 0; i < info->memory_map_entries; i++, range++)
            if (range->kind == KIND_MEMORY && range->start <= IMAGE_START && range->start + range->size > IMAGE_START)
                return earlier(range->start + range->size, MEMORY_LIMIT);
    return MEMORY_ASSUMED;
}

/* QEMU takes no more than about 1000 bytes of command line out of a configuration file: the rest may come as a module. */
static void read_arguments(const struct start_info *info)
{
    const struct module *module = (const void *)info->modules;
    bool given = info->modules_count && module->start && module->length;
    arguments_read(given ? (const char *)module->start : "", given ? module->length : 0,
                   (const char *)info->command_line);
}

static void start_network(void)
{
    serving = arguments.networked && nic_start(arguments.places, arguments.places_count);
    if (!serving) {
        say("%s, so it does not listen", arguments.networked ? "there is no network card" : "net.ip is not given");
        return;
    }
    ip_start(arguments.ip, arguments.mask, arguments.gateway);
    tcp_start(http_bytes_each());
    http_start();
    arp_announce();
}

static void start_counter(void)
{
    if (!arguments.count)
        return;
    if (!disk_start(arguments.places, arguments.places_count))
        refuse("--count needs a disk", "there is none");
    counter_start(http_counted);
}

static void listen_when_due(void)
{
    if (!serving || listening || clock_now() < arguments.delay)
        return;
    listening = true;
    http_listen();
    say("listening on :%u", arguments.port);
}

static u64 next_moment(void)
{
    u64 listen_at = serving && !listening ? arguments.delay : NEVER;
    return earlier(listen_at, earlier(behave_next(), tcp_next_timer()));
}

/* Sleeps until an interrupt, unless something came in while nobody looked. */
static void sleep(void)
{
    nic_interrupts(true);
    if (!nic_waiting() && !disk_waiting()) {
        clock_alarm(next_moment());
        cpu_sleep();
    }
    nic_interrupts(false);
}

static void work(void)
{
    clock_read();
    nic_poll(ip_receive_frame);
    disk_poll();
    tcp_run_timers();
    if (arguments.count)
        counter_run();
    behave_run();
    listen_when_due();
    nic_flush();
}

/* Called by boot.S. */
_Noreturn void hello_main(const struct start_info *info);
_Noreturn void hello_main(const struct start_info *info)
{
    serial_start();
    interrupts_start();
    clock_start();
    if (info->magic != START_MAGIC)
        refuse("this is no PVH boot", "start it with -kernel");
    memory_start(memory_end(info));
    read_arguments(info);
    if (arguments.networked)
        say("%s generation %s at %i", arguments.name, arguments.generation, arguments.ip);
    else
        say("%s generation %s", arguments.name, arguments.generation);
    clock_read();
    behave_start();
    start_counter();
    start_network();
    for (;;) {
        work();
        if (!behave_flooding())
            sleep();
    }
}
