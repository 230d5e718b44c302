/* A number kept on the disk: two blocks written in turns, each with a checksum, so that a torn write costs nothing. */
#include "counter.h"

#include "disk.h"
#include "memory.h"
#include "power.h"
#include "serial.h"
#include "text.h"

static const char magic[8] = {'h', 'e', 'l', 'l', 'o', 'c', 't', '1'};

struct record {
    char magic[8];
    u64 turn, number, checksum;
};

static u8 *bytes;
static struct record last; /* the newest on the disk */
static u64 number;
static bool writing;
static void (*tell)(bool right);

static u64 checksum(const struct record *record)
{
    u64 hash = 0xcbf29ce484222325;
    for (u32 i = 0; i < offsetof(struct record, checksum); i++)
        hash = (hash ^ ((const u8 *)record)[i]) * 0x100000001b3;
    return hash;
}

static bool all_zero(void)
{
    for (u32 i = 0; i < DISK_BLOCK; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Takes over a block if it is newer; a block of somebody else's ends the guest: it must not be overwritten. */
static void read_block(u64 at)
{
    struct record found;
    if (!disk_read(at, bytes)) {
        say("the disk cannot be read");
        power_exit(EXIT_DATA);
    }
    memcpy(&found, bytes, sizeof found);
    bool ours = memcmp(found.magic, magic, sizeof magic) == 0;
    if (!ours && !all_zero()) {
        say("the disk holds something else than a counter; it is left alone");
        power_exit(EXIT_DATA);
    }
    if (ours && found.checksum == checksum(&found) && found.turn > last.turn)
        last = found;
}

void counter_start(void (*committed)(bool right))
{
    tell = committed;
    if (disk_blocks() < 2)
        refuse("--count needs a larger disk", "8192 bytes at least");
    bytes = memory_take(DISK_BLOCK);
    read_block(0);
    read_block(1);
    memset(bytes, 0, DISK_BLOCK);
    number = last.number;
    say("counter stands at %U", number);
}

u64 counter_next(void)
{
    return ++number;
}

u64 counter_safe(void)
{
    return last.number;
}

static void written(bool right)
{
    writing = false;
    if (right)
        memcpy(&last, bytes, sizeof last);
    else
        number = last.number;
    tell(right);
}

void counter_run(void)
{
    if (writing || number == last.number)
        return;
    struct record record = {.turn = last.turn + 1, .number = number};
    memcpy(record.magic, magic, sizeof magic);
    record.checksum = checksum(&record);
    memcpy(bytes, &record, sizeof record);
    writing = true;
    disk_write(record.turn % 2, bytes, written);
}
