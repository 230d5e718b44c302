/* How the guest behaves for tests: when it is healthy, and when and how it ends. */
#include "behave.h"

#include "args.h"
#include "clock.h"
#include "power.h"
#include "serial.h"
#include "text.h"

#define GRACE MILLISECONDS(50)
enum { FLOOD_LINES = 64 };

static u64 crash_at, hang_at, exit_at, unhealthy_until, unhealthy_after, flooded;
static u32 exit_code;
static bool mute, flooding;

void behave_start(void)
{
    crash_at = arguments.crash_after;
    hang_at = arguments.hang_after;
    exit_at = arguments.exit_at;
    exit_code = arguments.exit_code;
    unhealthy_until = arguments.unhealthy_until;
    unhealthy_after = arguments.unhealthy_after;
    mute = arguments.mute;
    flooding = arguments.flood;
}

static void flood(void)
{
    for (u32 i = 0; i < FLOOD_LINES; i++)
        say("flood line %U: the quick brown fox jumps over the lazy dog, again and again and again", flooded++);
}

void behave_run(void)
{
    u64 now = clock_now();
    if (exit_at <= now) {
        say("exits with %u", exit_code);
        power_exit(exit_code);
    }
    if (crash_at <= now) {
        say("crashes");
        power_crash();
    }
    if (hang_at <= now) {
        say("hangs");
        power_hang();
    }
    if (flooding)
        flood();
}

u64 behave_next(void)
{
    return earlier(exit_at, earlier(crash_at, hang_at));
}

bool behave_healthy(void)
{
    return clock_now() >= unhealthy_until && clock_now() < unhealthy_after;
}

bool behave_mute(void)
{
    return mute;
}

bool behave_flooding(void)
{
    return flooding;
}

static bool obey_exit(const char *code)
{
    u64 n;
    if (!read_number(&code, EXIT_CODE_LIMIT, &n) || *code)
        return false;
    exit_code = (u32)n;
    exit_at = clock_now() + GRACE;
    return true;
}

bool behave_obey(const char *what)
{
    if (begins(what, "exit/"))
        return obey_exit(what + 5);
    if (same(what, "unhealthy")) {
        unhealthy_until = NEVER;
    } else if (same(what, "healthy")) {
        unhealthy_until = 0;
        unhealthy_after = NEVER;
    } else if (same(what, "crash")) {
        crash_at = clock_now() + GRACE;
    } else if (same(what, "hang")) {
        hang_at = clock_now() + GRACE;
    } else if (same(what, "mute")) {
        mute = true;
    } else if (same(what, "flood")) {
        flooding = true;
    } else {
        return false;
    }
    return true;
}
