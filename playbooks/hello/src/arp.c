/* Which Ethernet address an IPv4 address of this network has (RFC 826). */
#include "arp.h"

#include "clock.h"
#include "ip.h"
#include "nic.h"
#include "tcp.h"
#include "text.h"

enum { PACKET = 28, REQUEST = 1, REPLY = 2, NEIGHBOURS = 32 };
enum { OPERATION = 6, SENDER_ADDRESS = 8, SENDER_IP = 14, TARGET_ADDRESS = 18, TARGET_IP = 24 };

#define FRESH SECONDS(60)

static const u8 everybody[6] = {255, 255, 255, 255, 255, 255};
static const u8 nobody[6];

static struct neighbour {
    u32 ip;
    u8 address[6];
    u64 heard;
} neighbours[NEIGHBOURS];

static void send(const u8 to[6], u16 operation, const u8 target[6], u32 target_ip)
{
    static const u8 ethernet_and_ipv4[6] = {0, 1, 8, 0, 6, 4};
    u8 *frame = nic_frame(to, ETHERNET_ARP);
    if (!frame)
        return;
    u8 *packet = frame + ETHERNET_HEADER;
    memcpy(packet, ethernet_and_ipv4, sizeof ethernet_and_ipv4);
    store16(packet + OPERATION, operation);
    memcpy(packet + SENDER_ADDRESS, nic_address(), 6);
    store32(packet + SENDER_IP, ip_address());
    memcpy(packet + TARGET_ADDRESS, target, 6);
    store32(packet + TARGET_IP, target_ip);
    nic_send(ETHERNET_HEADER + PACKET);
}

void arp_announce(void)
{
    send(everybody, REQUEST, nobody, ip_address());
}

/* The entry of this address, or else the one heard of longest ago. */
static struct neighbour *entry(u32 ip)
{
    struct neighbour *oldest = neighbours;
    for (u32 i = 0; i < NEIGHBOURS; i++) {
        if (neighbours[i].ip == ip)
            return &neighbours[i];
        if (neighbours[i].heard < oldest->heard)
            oldest = &neighbours[i];
    }
    return oldest;
}

bool arp_find(u32 ip, u8 address[6])
{
    const struct neighbour *known = entry(ip);
    bool fresh = known->ip == ip && clock_now() - known->heard < FRESH;
    if (fresh)
        memcpy(address, known->address, 6);
    else
        send(everybody, REQUEST, nobody, ip);
    return fresh;
}

static void learn(u32 ip, const u8 *address)
{
    struct neighbour *known = entry(ip);
    known->ip = ip;
    known->heard = clock_now();
    memcpy(known->address, address, 6);
}

void arp_receive(const u8 *packet, u32 length)
{
    if (length < PACKET || load32(packet) != 0x00010800 || load16(packet + 4) != 0x0604)
        return;
    u32 sender_ip = load32(packet + SENDER_IP);
    if (load32(packet + TARGET_IP) != ip_address() || sender_ip == ip_address() || sender_ip == 0)
        return;
    learn(sender_ip, packet + SENDER_ADDRESS);
    if (load16(packet + OPERATION) == REQUEST)
        send(packet + SENDER_ADDRESS, REPLY, packet + SENDER_ADDRESS, sender_ip);
    else
        tcp_neighbour_found();
}
