/* IPv4 (RFC 791; fragments are not taken), with the answer to a ping (RFC 792). */
#include "ip.h"

#include "arp.h"
#include "nic.h"
#include "tcp.h"
#include "text.h"

enum { IP_ICMP = 1, PING = 8, PONG = 0, DONT_FRAGMENT = 0x4000, FRAGMENT_BITS = 0x3fff, TIME_TO_LIVE = 64 };
enum { PAYLOAD_LIMIT = FRAME_LIMIT - ETHERNET_HEADER - IP_HEADER };

static u32 own, network_mask, router;
static u8 *current; /* the header of the packet being made */

void ip_start(u32 address, u32 mask, u32 gateway)
{
    own = address;
    network_mask = mask;
    router = gateway;
}

u32 ip_address(void)
{
    return own;
}

u32 ip_next_hop(u32 destination)
{
    return (destination ^ own) & network_mask ? router : destination;
}

u64 checksum_add(u64 sum, const u8 *bytes, u32 length)
{
    for (; length >= 4; length -= 4, bytes += 4) {
        u32 word;
        memcpy(&word, bytes, 4);
        sum += word;
    }
    u32 rest = 0;
    memcpy(&rest, bytes, length);
    return sum + rest;
}

u16 checksum_end(u64 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return swap16((u16)~sum);
}

u8 *ip_packet(const u8 to[6], u32 destination, u8 protocol)
{
    static u16 identification;
    u8 *frame = nic_frame(to, ETHERNET_IPV4);
    if (!frame)
        return NULL;
    current = frame + ETHERNET_HEADER;
    store16(current, 0x4500);
    store16(current + 4, identification++);
    store16(current + 6, DONT_FRAGMENT);
    current[8] = TIME_TO_LIVE;
    current[9] = protocol;
    store16(current + 10, 0);
    store32(current + 12, own);
    store32(current + 16, destination);
    return current + IP_HEADER;
}

void ip_send(u32 payload)
{
    store16(current + 2, (u16)(IP_HEADER + payload));
    store16(current + 10, checksum_end(checksum_add(0, current, IP_HEADER)));
    nic_send(ETHERNET_HEADER + IP_HEADER + payload);
}

static void answer_ping(const u8 *from, u32 source, const u8 *message, u32 length)
{
    if (length < 8 || length > PAYLOAD_LIMIT || message[0] != PING || checksum_end(checksum_add(0, message, length)))
        return;
    u8 *answer = ip_packet(from, source, IP_ICMP);
    if (!answer)
        return;
    memcpy(answer, message, length);
    answer[0] = PONG;
    store16(answer + 2, 0);
    store16(answer + 2, checksum_end(checksum_add(0, answer, length)));
    ip_send(length);
}

static void receive(const u8 *from, const u8 *packet, u32 length)
{
    if (length < IP_HEADER || packet[0] >> 4 != 4)
        return;
    u32 header = (packet[0] & 15) * 4u, total = load16(packet + 2), source = load32(packet + 12);
    if (header < IP_HEADER || total < header || total > length || checksum_end(checksum_add(0, packet, header)))
        return;
    if (load32(packet + 16) != own || load16(packet + 6) & FRAGMENT_BITS)
        return;
    if (packet[9] == IP_TCP)
        tcp_receive(from, source, packet + header, total - header);
    else if (packet[9] == IP_ICMP)
        answer_ping(from, source, packet + header, total - header);
}

void ip_receive_frame(const u8 *frame, u32 length)
{
    u16 kind = load16(frame + 12);
    if (kind == ETHERNET_IPV4)
        receive(frame + 6, frame + ETHERNET_HEADER, length - ETHERNET_HEADER);
    else if (kind == ETHERNET_ARP)
        arp_receive(frame + ETHERNET_HEADER, length - ETHERNET_HEADER);
}
