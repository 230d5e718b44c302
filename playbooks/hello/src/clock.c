/* Time: the processor's counter, measured against the local APIC's timer, which hypervisors run at 1 GHz. */
#include "clock.h"

#include "cpu.h"
#include "interrupts.h"

enum { TIMER_MODE = 0x320, TIMER_START = 0x380, TIMER_LEFT = 0x390, TIMER_DIVIDE = 0x3e0 };
enum { DIVIDE_BY_16 = 3, COUNTS_PER_MILLISECOND = 62500, MEASURE_MILLISECONDS = 2, TRIES = 5 };

#define LONGEST SECONDS(60) /* the timer's counter has 32 bits */

static u64 ticks_at_start, ticks_per_second;
static u64 alarm_wanted = NEVER, alarm_rings = NEVER;
static u64 now;

struct reading {
    u64 ticks;
    u32 left;
};

/* Both clocks at one moment: of some tries the one in which least time passed between. */
static struct reading read_both(void)
{
    struct reading best = {0, 0};
    u64 narrowest = UINT64_MAX;
    for (u32 i = 0; i < TRIES; i++) {
        u64 before = cpu_ticks();
        u32 left = mmio_read(LOCAL_APIC + TIMER_LEFT);
        u64 after = cpu_ticks();
        if (after - before < narrowest) {
            narrowest = after - before;
            best = (struct reading){before + (after - before) / 2, left};
        }
    }
    return best;
}

static u64 measure(void)
{
    mmio_write(LOCAL_APIC + TIMER_START, UINT32_MAX);
    struct reading first = read_both(), last;
    do
        last = read_both();
    while (first.left - last.left < COUNTS_PER_MILLISECOND * MEASURE_MILLISECONDS);
    mmio_write(LOCAL_APIC + TIMER_START, 0);
    return (last.ticks - first.ticks) * COUNTS_PER_MILLISECOND * 1000 / (first.left - last.left);
}

void clock_start(void)
{
    ticks_at_start = cpu_ticks();
    mmio_write(LOCAL_APIC + TIMER_DIVIDE, DIVIDE_BY_16);
    mmio_write(LOCAL_APIC + TIMER_MODE, VECTOR_TIMER);
    ticks_per_second = measure();
}

u64 clock_read(void)
{
    u64 ticks = cpu_ticks() - ticks_at_start;
    now = ticks / ticks_per_second * 1000000 + ticks % ticks_per_second * 1000000 / ticks_per_second;
    return now;
}

u64 clock_now(void)
{
    return now;
}

void clock_alarm(u64 moment)
{
    if (moment == alarm_wanted && (moment == NEVER || alarm_rings > now))
        return;
    u64 wait = earlier(moment > now ? moment - now : 1, LONGEST);
    u64 counts = wait * COUNTS_PER_MILLISECOND / 1000 + 1;
    alarm_wanted = moment;
    alarm_rings = now + wait;
    mmio_write(LOCAL_APIC + TIMER_START, moment == NEVER ? 0 : (u32)counts);
}
