/* IPv4, with the answer to a ping. */
#pragma once

#include "types.h"

enum { IP_HEADER = 20, IP_TCP = 6 };

void ip_start(u32 address, u32 mask, u32 gateway);
u32 ip_address(void);
/* Who on this network takes packets for a destination; 0 when nobody does. */
u32 ip_next_hop(u32 destination);

void ip_receive_frame(const u8 *frame, u32 length);

/* A packet's payload to fill in, or NULL when nothing can be sent now. */
u8 *ip_packet(const u8 to[6], u32 destination, u8 protocol);
/* Sends the packet that ip_packet gave last. */
void ip_send(u32 payload);

/* The internet checksum, piece by piece (all but the last of even length); 0 over bytes that hold a right one. */
u64 checksum_add(u64 sum, const u8 *bytes, u32 length);
u16 checksum_end(u64 sum);
